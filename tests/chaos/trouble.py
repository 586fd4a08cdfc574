"""What goes wrong in a bout: kills at any time, processes that stop and wake again, a database that breaks."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg

from tests.chaos.arena import LEASE_S, Arena, Slot, rows
from tests.chaos.bout import Bout


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
    """Asks again while the server still ends whoever is connected, for what was done to it before."""
    for _ in range(200):
        with suppress(psycopg.OperationalError):
            return rows(arena.dsn, query)
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
        await asyncio.wait_for(slot.process.gone.wait(), 60)
