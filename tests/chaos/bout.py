"""A bout: callers keep the system busy while things go wrong again and again; then every run must come to an end."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import psycopg

from tests.chaos.arena import LEASE_S, Arena, Slot, rows
from tests.chaos.caller import Caller, Told
from tests.chaos.counter import Wire
from tests.chaos.history import histories, take_overs
from tests.chaos.models import KINDS
from tests.chaos.oracle import Findings, judge

_WIDTH = 10
_PATIENCE_S = 30.0
Trouble = Callable[["Bout"], Awaitable[None]]


@dataclass(slots=True)
class Bout:
    """`seed` decides who calls for what, and what goes wrong when; only the machine's own timing is left to chance."""

    arena: Arena
    mode: str
    seed: int
    times: int
    chance: random.Random = field(init=False)
    wire: Wire = field(init=False)
    callers: list[Caller] = field(default_factory=list)
    tasks: set[asyncio.Task[Told]] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    database_back: list[float] = field(default_factory=list)
    over: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.mode} {self.seed}")
        self.wire = Wire(str(self.arena.home / "counter.sock"))

    async def fight(self, trouble: Trouble) -> Findings:
        await self.arena.fill_all()
        beside = [asyncio.create_task(work) for work in (self._keep_busy(), self._keep_filled())]
        try:
            await trouble(self)
        finally:
            self.over = True
            await asyncio.gather(*beside)
        await self.arena.fill_all()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=_PATIENCE_S)
        broken = [task for task in self.tasks if task.done() and task.exception()]
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.wire.close()
        findings = await judge(self.arena, [caller.told for caller in self.callers])
        findings.wrong += [f"a caller broke off: {task.exception()!r}" for task in broken if not task.cancelled()]
        known = histories(self.arena.dsn, [caller.told.run_id for caller in self.callers if caller.told.run_id])
        findings.take_overs = take_overs(known.values(), self.arena.zygote.processes.values())
        written = sorted(at for history in known.values() for at in history.times)
        findings.recoveries = [
            min((at for at in written if at > back), default=back + 99) - back for back in self.database_back
        ]
        findings.counts.update(self.counts)
        return findings

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def _keep_filled(self) -> None:
        """As a supervisor does: who ends by itself is started again; only a lost database is a reason to."""
        while not self.over:
            for slot in self.arena.slots:
                process = slot.process
                if process and process.gone.is_set() and process.code not in (-signal.SIGKILL, 0):
                    self.count(f"{slot.kind} ended by itself with {process.code}")
                    await self.arena.fill(slot)
            await asyncio.sleep(0.1)

    async def _keep_busy(self) -> None:
        chance = random.Random(f"load {self.mode} {self.seed}")
        while not self.over:
            while sum(not task.done() for task in self.tasks) < _WIDTH:
                number = len(self.callers)
                kind = KINDS[number % len(KINDS)]
                caller = Caller(self.arena.ports, kind, f"{self.mode}:{self.seed}:{number}", self.wire)
                self.callers.append(caller)
                self.tasks.add(asyncio.create_task(caller.run()))
                await asyncio.sleep(chance.uniform(0, 0.05))
            await asyncio.sleep(0.02)


async def random_kills(bout: Bout) -> None:
    """kill -9 at any time, three times out of four of a worker; now and then a SIGTERM, as a rolling restart does."""
    for _ in range(bout.times):
        await asyncio.sleep(bout.chance.uniform(0.05, 0.5))
        kind = "worker" if bout.chance.random() < 0.75 else "api"
        slot = bout.chance.choice(bout.arena.by_kind(kind))
        number = signal.SIGTERM if bout.chance.random() < 0.1 else signal.SIGKILL
        await _end(slot, number)
        bout.count(f"{kind} {number.name}")
        await bout.arena.fill(slot)


async def zombies(bout: Bout) -> None:
    """Workers stopped past their lease and woken again behind the next owner's back."""

    async def one(slot: Slot, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        assert slot.process is not None
        slot.process.send(signal.SIGSTOP)
        await asyncio.sleep(LEASE_S + chance.uniform(0.2, 1.2))
        slot.process.send(signal.SIGCONT)
        bout.count("zombies")

    slots = bout.arena.by_kind("worker")
    for at in range(0, bout.times, 2):
        pair = bout.chance.sample(slots, 2)[: bout.times - at]
        await asyncio.gather(*(one(slot, random.Random(bout.chance.random())) for slot in pair))


async def database_faults(bout: Bout) -> None:
    """Backends ended one by one or all at once, the server restarted, stopped hard, or crashed by a killed backend."""
    for _ in range(bout.times):
        await asyncio.sleep(bout.chance.uniform(0.2, 1.0))
        fault = bout.chance.choices(list(_DATABASE), weights=(5, 3, 1, 1, 1))[0]
        await asyncio.to_thread(_DATABASE[fault], bout.arena)
        await asyncio.to_thread(_there, bout.arena, "select 1")
        bout.database_back.append(time.time())
        bout.count(f"database {fault}")


def _terminate_some(arena: Arena) -> None:
    _terminate(arena, "random() < 0.3")


def _terminate_all(arena: Arena) -> None:
    _terminate(arena, "true")


def _terminate(arena: Arena, which: str) -> None:
    backends = "select pid from pg_stat_activity where application_name like 'chaos-%' and "
    for (pid,) in _there(arena, backends + which):
        _there(arena, f"select pg_terminate_backend({pid})")


def _there(arena: Arena, query: str) -> list[tuple[Any, ...]]:
    """Waits while the server recovers from what was done to it before."""
    for _ in range(200):
        try:
            return rows(arena.dsn, query)
        except psycopg.OperationalError:
            time.sleep(0.05)
    return rows(arena.dsn, query)


def _restart(arena: Arena) -> None:
    arena.postgres._control("restart", "-m", "fast", "-w", "-t", "30")


def _crash(arena: Arena) -> None:
    arena.postgres._control("restart", "-m", "immediate", "-w", "-t", "30")


def _kill_backend(arena: Arena) -> None:
    """The server ends every other backend as well, and recovers."""
    query = "select pid from pg_stat_activity where application_name like 'chaos-%' limit 1"
    for (pid,) in _there(arena, query):
        os.kill(pid, signal.SIGKILL)


_DATABASE: dict[str, Callable[[Arena], None]] = {
    "backends": _terminate_some,
    "all backends": _terminate_all,
    "restart": _restart,
    "crash": _crash,
    "killed backend": _kill_backend,
}


async def _end(slot: Slot, number: signal.Signals) -> None:
    if slot.process and not slot.process.gone.is_set():
        slot.process.send(number)
        await asyncio.wait_for(slot.process.gone.wait(), 20)


def watch(arena: Arena) -> None:
    """Puts the oracle's eyes into the database; its tables must be there."""
    with psycopg.connect(arena.dsn, autocommit=True) as connection:
        connection.execute((files("tests.chaos") / "watch.sql").read_bytes())


TROUBLES: dict[str, Any] = {"kills": random_kills, "zombies": zombies, "database": database_faults}
