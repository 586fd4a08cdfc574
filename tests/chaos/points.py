"""Faults at the named points of graph/faults.py: each is struck once a bout, and every pass of each is noted."""

import asyncio
import mmap
import os
import random
import signal
import time
from contextlib import nullcontext, suppress
from pathlib import Path

from psycopg import DataError, Error, OperationalError

from graph.faults import POINTS, Faults
from tests.chaos.arena import LEASE_S, Slot, rows
from tests.chaos.bout import Bout
from tests.chaos.crons import ticking
from tests.chaos.retention import due_run, prune_slot, pruned_again, torn

_CANCEL = ("cancel.ready", "cancel.committed")  # a worker hears it
_API = ("accept.", "decide.", "effect_decide.", "resume.", *_CANCEL, "pause.", "plan_edit.", "fork.", "stream.")
_WITHOUT_DATABASE = ("stream.", "cancel.heard", "drain.begun")
_ON_SIGTERM = ("drain.", "hand_over.")
_PRUNE, _CRON = "prune.", "cron."
_TRY_S, _PATIENCE_S = 16.0, 180.0
# The kinds of run that come by there, where not every run does.
_ON_THE_WAY = {
    "fork.": ("forked",),
    "plan_edit.": ("held",),
    "pause": ("held", "stopped"),
    "resume.": ("held", "resumed", "fails"),
    "cancel.": ("cancelled", "resumed", "stopped"),
    "decide.": ("approves", "forked"),
    "interrupt.": ("approves", "forked"),
    "effect": ("asks",),
    "artifact.": ("revises",),
    "park.": ("approves", "reviewed"),
}


class Recorder:
    """What a forked process installs: it notes every point it passes in a file that outlives it, then breaks or not."""

    def __init__(self, notes: Path, spec: str = "") -> None:
        self._notes = opened(notes)
        # An attempt gives its run back where a statement was refused, not where the database is gone.
        self._error = DataError if "release." in spec else OperationalError
        self._faults = Faults(spec, lambda: self._error("a fault of chaos")) if spec else None

    def __call__(self, name: str) -> None:
        at = POINTS.index(name)
        self._notes[at] = self._notes[at] or 1  # a raise stays noted, whoever passes next
        if self._faults:
            try:
                self._faults(name)
            except Error:
                self._notes[at] = 2
                raise


def opened(notes: Path) -> mmap.mmap:
    """One byte a point: 1 it was passed, 2 it raised. Shared by all processes."""
    handle = os.open(notes, os.O_RDWR | os.O_CREAT)
    os.ftruncate(handle, len(POINTS))
    return mmap.mmap(handle, len(POINTS))


def unreached(notes: Path) -> list[str]:
    return [name for name, noted in zip(POINTS, opened(notes)[:], strict=True) if not noted]


async def every_point(bout: Bout) -> None:
    """Each point struck once: killed there with the first seed, with others stopped, cut off or ended as well."""
    waiting = list(POINTS)
    bout.chance.shuffle(waiting)
    apis = [name for name in waiting if name.startswith(_API)]
    prunes = [name for name in waiting if name.startswith(_PRUNE)]
    workers = [name for name in waiting if name not in (*apis, *prunes)]
    spared = 1  # one worker and one API stay, so that something goes on
    slots = bout.arena.by_kind("worker")[spared:]
    shares = [(slot, workers[at :: len(slots)]) for at, slot in enumerate(slots)]
    shares.append((bout.arena.by_kind("api")[-1], apis))
    await asyncio.gather(*(_strike_all(bout, slot, share) for slot, share in shares), strike_prunes(bout, prunes))


async def _strike_all(bout: Bout, slot: Slot, points: list[str]) -> None:
    for name in points:
        await _strike_one(bout, slot, name)
    await bout.arena.refill(slot)


async def strike_prunes(bout: Bout, points: list[str]) -> None:
    """A log is whole or gone when its prune was struck, and gone after the next one."""
    for name in points:
        run_id = await due_run(bout, name)
        await _strike_one(bout, prune_slot(bout.arena), name)
        bout.missed += [f"struck at {name}: {line}" for line in torn(bout.arena)]
        bout.missed += [f"after {name}: {line}" for line in await pruned_again(bout.arena, run_id)]


async def _strike_one(bout: Bout, slot: Slot, name: str) -> None:
    chance = random.Random(f"{bout.seed} {name}")
    action = "kill" if bout.seed == 1 else chance.choices(["kill", "stop", "raise", "exit"], weights=(6, 2, 2, 1))[0]
    if action == "raise" and name.startswith(_WITHOUT_DATABASE):
        action = "kill"
    kinds = [kind for start, on_the_way in _ON_THE_WAY.items() if name.startswith(start) for kind in on_the_way]
    bout.wanted += kinds
    nth, until = chance.choice((1, 1, 2)), time.monotonic() + _PATIENCE_S
    async with ticking(bout) if name.startswith(_CRON) else nullcontext():
        while not (struck := await strike(bout, slot, name, action, nth)) and time.monotonic() < until:
            nth = 1  # who ended by itself before it came there, on a busy machine, has only cost a moment
    bout.count(f"points {action}")
    if not struck:
        bout.missed.append(f"{name} was not reached by {slot.kind} {slot.number} in {_PATIENCE_S:g} s")
    for kind in kinds:
        bout.wanted.remove(kind)


async def _until_busy(bout: Bout, pid: int) -> None:
    query = "select 1 from runs where status = 'running' and worker like %s"
    with suppress(TimeoutError):
        async with asyncio.timeout(_TRY_S):
            while not rows(bout.arena.dsn, query, f"%-{pid}-%"):
                await asyncio.sleep(0.05)


async def strike(bout: Bout, slot: Slot, name: str, action: str, nth: int) -> bool:
    """Puts a process in the slot that breaks at the point's nth pass; whether it did."""
    notes, at = opened(bout.arena.notes), POINTS.index(name)
    notes[at] = min(notes[at], 1)
    spec = f"{name}:{nth}={action}"
    if name.startswith("release."):  # where an attempt ends that has lost its database
        spec += ",event.committed:4=raise,event.committed:9=raise"
    process = await bout.arena.fill(slot, faults=spec)
    if name.startswith(_ON_SIGTERM):
        await _until_busy(bout, process.pid)
        process.send(signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(_TRY_S):
            if action == "raise":
                while notes[at] != 2:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.3)
                return True
            if action == "stop":
                await process.stopped.wait()
                await asyncio.sleep(LEASE_S + 0.4)
                process.send(signal.SIGCONT)
                await asyncio.sleep(0.4)
                return True
            await process.gone.wait()
            return process.code == (-signal.SIGKILL if action == "kill" else 1)
    return False
