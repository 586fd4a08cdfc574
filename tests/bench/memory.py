"""Memory of one worker process with many runs inside a node, and with many more that wait for a person."""

import asyncio
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from serving.database import Pool, open_pool
from serving.runs.notices import Notices
from serving.runs.requests.request import RunRequest
from serving.runs.store import RunStore
from tests.acceptance.conftest import wait_for_line
from tests.bench.figure import Figure, table
from tests.bench.memory_worker import ASK, SPARE
from tests.bench.processes import memory_of
from tests.bench.running import database

_ACTIVE, _PARKED = 1_000, 10_000
_CALLERS = 8
_SETTLED_S, _PATIENCE_S = 3.0, 600.0
_KINDS = {"plain": "three nodes", "agents": "planner, workers and critic"}


def measure() -> Iterator[Figure]:
    for kind, graph in _KINDS.items():
        with database() as dsn, _process(kind, dsn) as worker:
            idle = _rss(worker)
            asyncio.run(_hold(dsn, worker))
            active = _rss(worker)
            asyncio.run(_park(dsn))
            parked = _rss(worker)
        about = f"{graph}; {_each(idle, active)}"
        yield Figure(f"RSS with {_ACTIVE:,} active runs: {kind}", active, "MiB", 250, about)
        beside = f"{graph}; the active ones still stand in their nodes"
        yield Figure(f"RSS for {_PARKED:,} parked runs: {kind}", parked - active, "MiB", 20, beside)
    with database() as dsn, _process("stock", dsn) as process:
        idle = _rss(process)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        wait_for_line(process, "held")
        active = _rss(process)
    about = (
        f"three nodes, no queue, log or lease; {idle:.0f} MiB without, {(active - idle) / _ACTIVE * 1024:.0f} KiB a run"
    )
    yield Figure(f"RSS with {_ACTIVE:,} active graphs: LangGraph's saver", active, "MiB", None, about)


def _each(idle: float, active: float) -> str:
    return f"{idle:.0f} MiB without a run, {(active - idle) / _ACTIVE * 1024:.0f} KiB a run"


@contextmanager
def _process(kind: str, dsn: str) -> Iterator["subprocess.Popen[str]"]:
    with TemporaryDirectory(prefix="trireme-bench-") as home:
        settings = {
            "DATABASE_URL": dsn,
            "TRIREME_HOME": home,
            "TRIREME_MODEL": "offline",
            "TRIREME_VAULT_KEY": b64encode(b"k" * 32).decode(),
            "TRIREME_WORKER_CONCURRENCY": str(_ACTIVE + SPARE),
        }
        command = [sys.executable, "-m", "tests.bench.memory_worker", kind, str(_ACTIVE)]
        process = subprocess.Popen(
            command,
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            wait_for_line(process, "ready")
            yield process
        finally:
            process.kill()  # to hand a thousand runs over is of no use to anybody: the database goes as well
            process.communicate()


async def _hold(dsn: str, worker: "subprocess.Popen[str]") -> None:
    """Returns when so many runs stand inside a node, none before and none behind it."""
    async with open_pool(dsn, _CALLERS) as pool:
        await _create(pool, _ACTIVE, RunRequest(goal="wait"))
        await asyncio.to_thread(wait_for_line, worker, "held")


async def _park(dsn: str) -> None:
    async with open_pool(dsn, _CALLERS) as pool:
        await _create(pool, _PARKED, RunRequest(goal=ASK, review_plan=True))
        async with asyncio.timeout(_PATIENCE_S):
            while (standing := await _standing(pool)) != {"running": _ACTIVE, "interrupted": _PARKED}:
                assert standing.keys() <= {"pending", "running", "interrupted"}, standing
                await asyncio.sleep(0.5)


async def _create(pool: Pool, number: int, request: RunRequest) -> None:
    store, waiting = RunStore(pool, Notices(pool)), iter(range(number))

    async def one_after_the_other() -> None:
        for _ in waiting:
            await store.create(request)

    await asyncio.gather(*(one_after_the_other() for _ in range(_CALLERS)))


async def _standing(pool: Pool) -> dict[str, int]:
    async with pool.connection() as connection:
        rows = await (await connection.execute("select status, count(*) from runs group by status")).fetchall()
    return {row["status"]: row["count"] for row in rows}


def _rss(process: "subprocess.Popen[str]") -> float:
    """In MiB, when what the last runs needed for a moment has been given back."""
    time.sleep(_SETTLED_S)
    return memory_of(process.pid)[1]


if __name__ == "__main__":
    print(table(measure()))
