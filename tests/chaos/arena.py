"""All that runs during chaos: Postgres, the counter, the zygote, and slots of workers and APIs that are refilled."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from serving.migrate import migrate
from serving.processes.postgres import EmbeddedPostgres
from tests.chaos.zygote import Process, Zygote

LEASE_S, HEARTBEAT_S = 1.0, 0.3
WORKERS, APIS = 4, 2
_SERVER_PATIENCE_S = 60.0


@dataclass(slots=True)
class Slot:
    """A place for one process; whoever was killed there is followed by the next."""

    kind: str
    number: int
    process: Process | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Arena:
    home: Path
    postgres: EmbeddedPostgres
    zygote: Zygote
    counter: "subprocess.Popen[bytes]"
    ports: list[int]
    slots: list[Slot]
    ended: bool = False

    @property
    def dsn(self) -> str:
        return self.postgres.dsn

    @property
    def arrivals(self) -> Path:
        return self.home / "arrivals.jsonl"

    @property
    def notes(self) -> Path:
        """Which points of graph/faults.py were passed."""
        return self.home / "points"

    def by_kind(self, kind: str) -> list[Slot]:
        return [slot for slot in self.slots if slot.kind == kind]

    async def fill(self, slot: Slot, **asked: Any) -> Process:
        """Forks the slot's next process in place of the last; `asked` adds to what it is told: faults, bugs."""
        async with slot.filling:
            await self.drop(slot)
            return await self._fork(slot, asked)

    async def refill(self, slot: Slot) -> None:
        """Where the slot's process has gone, and nobody has filled it since."""
        async with slot.filling:
            if slot.process is None or slot.process.gone.is_set():
                await self._fork(slot, {})

    async def _fork(self, slot: Slot, asked: dict[str, Any]) -> Process:
        given = {"counter": str(self.home / "counter.sock"), "notes": str(self.notes), "listener": slot.number}
        given |= {**slot.asked, **asked}
        slot.process = await self.zygote.fork(slot.kind, **given)
        return slot.process

    async def fill_all(self) -> None:
        for slot in self.slots:
            await self.refill(slot)

    async def until_up(self, *slots: Slot) -> None:
        """Waits until these, or all workers and APIs, hear the database's notices."""
        names = [f"chaos-{slot.kind}-{slot.process.pid}" for slot in slots or self.slots if slot.process]
        query = """select count(distinct application_name) from pg_stat_activity
            where query ilike 'listen%%' and application_name = any(%s)"""
        async with asyncio.timeout(60):
            while rows(self.dsn, query, names)[0][0] < len(names):
                await asyncio.sleep(0.02)

    async def drop(self, slot: Slot) -> None:
        """Kills the slot's process; nobody takes its place."""
        if slot.process:
            slot.process.send(signal.SIGKILL)
            await slot.process.gone.wait()

    async def end_all(self) -> None:
        """Kills every worker and API."""
        for slot in self.slots:
            await self.drop(slot)


@asynccontextmanager
async def arena(workers: int = WORKERS, apis: int = APIS, **asked: Any) -> AsyncIterator[Arena]:
    """`asked` goes to every process, as in `Arena.fill`."""
    with TemporaryDirectory(prefix="chaos-") as folder:
        home = Path(folder)
        postgres = EmbeddedPostgres(home)
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(migrate, postgres.dsn)
        counter = _counter(home)
        zygote = Zygote(home / "zygote.log", _environment(home, postgres.dsn))
        try:
            ports = await zygote.listen(apis)
            slots = [Slot("worker", number, asked=dict(asked)) for number in range(workers)]
            slots += [Slot("api", number, asked=dict(asked)) for number in range(apis)]
            (home / "arrivals.jsonl").touch()
            yield Arena(home, postgres, zygote, counter, ports, slots)
        finally:
            zygote.close()
            counter.terminate()
            counter.wait()
            await asyncio.to_thread(postgres.stop)


def _counter(home: Path) -> "subprocess.Popen[bytes]":
    places = [str(home / name) for name in ("counter.sock", "arrivals.jsonl")]
    return subprocess.Popen([sys.executable, "-m", "tests.chaos.counter", *places])


def _environment(home: Path, dsn: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "DATABASE_URL": dsn,
        "TRIREME_HOME": str(home),
        "TRIREME_LEASE_S": str(LEASE_S),
        "TRIREME_HEARTBEAT_S": str(HEARTBEAT_S),
        "TRIREME_WORKER_CONCURRENCY": "8",
    }


def rows(dsn: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with _connected(dsn) as connection:
        return _rows(connection, query, *values)


@contextmanager
def snapshot(dsn: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """`rows`, of one moment however often it is asked."""
    with _connected(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            yield partial(_rows, connection)


def _rows(connection: "psycopg.Connection[tuple[Any, ...]]", query: str, *values: Any) -> list[tuple[Any, ...]]:
    done = connection.execute(query.encode(), values or None)
    return done.fetchall() if done.description else []


def _connected(dsn: str) -> "psycopg.Connection[tuple[Any, ...]]":
    """Waits while the server recovers, or has no place left: those of killed processes are given back one by one."""
    until = time.monotonic() + _SERVER_PATIENCE_S
    while True:
        try:
            return psycopg.connect(dsn, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
