"""Which trouble brings which kind of bug to light: what goes wrong, in which kinds of run, how many at a time."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from tests.chaos.arena import LEASE_S, Slot, rows
from tests.chaos.bout import Bout
from tests.chaos.points import strike, strike_prunes


async def calm(bout: Bout) -> None:
    """Nothing goes wrong."""
    await asyncio.sleep(2.0)


async def robbed(bout: Bout) -> None:
    """Leases end under living attempts, as after a jump of the clock: until each finds out, two have its run."""
    for _ in range(8):
        await asyncio.sleep(0.35)
        query = "update runs set lease_until = now() where status = 'running' and attempts < 5"
        await asyncio.to_thread(rows, bout.arena.dsn, query)


async def robbed_amid_effects(bout: Bout) -> None:
    """The same, while workers take their time between an effect and their note of it."""
    for slot in bout.arena.by_kind("worker"):
        await bout.arena.fill(slot, faults=",".join(f"effect.done:{nth}=sleep 0.4" for nth in range(1, 17)))
    await robbed(bout)


async def struck(bout: Bout, kind: str, name: str, action: str, nth: int = 1) -> None:
    slot = bout.arena.by_kind(kind)[-1]
    if not await strike(bout, slot, name, action, nth):
        bout.missed.append(f"{name} was not reached")
    await asyncio.sleep(0.3)


async def slow_to_tell(bout: Bout) -> None:
    """A cancel is told long after it was committed, and workers take their time between a superstep and its pause."""
    for slot in bout.arena.slots:
        name, seconds = ("cancel.committed", 0.5) if slot.kind == "api" else ("paused.ready", 0.3)
        await bout.arena.fill(slot, faults=",".join(f"{name}:{nth}=sleep {seconds}" for nth in range(1, 9)))
    await asyncio.sleep(2.0)


async def overslept(bout: Bout) -> None:
    """The only worker stands still for longer than its leases, on its way to renew them: nobody has taken its runs."""
    worker, other = bout.arena.by_kind("worker")
    await bout.arena.drop(other)
    await _stood_still(bout, worker, "heartbeat.ready:3", LEASE_S + 0.3)


async def overtaken(bout: Bout, seconds: float) -> None:
    """A worker stands still behind its last look at its lease, until another one, or a person, has looked as well."""
    await _stood_still(bout, bout.arena.by_kind("worker")[-1], "effect.let_out:1", LEASE_S + seconds)


async def _stood_still(bout: Bout, slot: Slot, at: str, seconds: float) -> None:
    await bout.arena.drop(slot)
    process = await bout.arena.fill(slot, faults=f"{at}=stop")
    await asyncio.wait_for(process.stopped.wait(), 60)
    await asyncio.sleep(seconds)
    process.send(signal.SIGCONT)
    await asyncio.sleep(0.5)


async def alone(bout: Bout) -> None:
    """One run, one worker killed in the middle of it, and no other run that would wake the next worker."""
    worker, other = bout.arena.by_kind("worker")
    await bout.arena.drop(other)
    await bout.arena.drop(worker)
    while not bout.callers:
        await asyncio.sleep(0.02)
    bout.over = True
    process = await bout.arena.fill(worker, faults="step.started:1=kill")
    await asyncio.sleep(0.2)
    await bout.arena.fill(other)
    await bout.arena.until_up(other)
    await asyncio.wait_for(process.gone.wait(), 60)


Scenario = tuple[Callable[[Bout], Awaitable[None]], Sequence[str], int]
_FAN = ("fan",)
ROBBED: Scenario = (robbed, ("fan", "asks", "revises"), 6)
ROBBED_AMID_EFFECTS: Scenario = (robbed_amid_effects, ("fan", "asks", "revises"), 6)
OVERTAKEN: Scenario = (partial(overtaken, seconds=1.2), ("checks",), 2)
DECIDED: Scenario = (partial(overtaken, seconds=3.0), ("asks",), 2)
OVERSLEPT: Scenario = (overslept, _FAN, 4)
API_KILLED: Scenario = (partial(struck, kind="api", name="accept.received", action="kill"), _FAN, 3)
KILLED_BEHIND_AN_EFFECT: Scenario = (partial(struck, kind="worker", name="effect.done", action="kill"), ("asks",), 3)
CALM: Scenario = (calm, ("fan", "approves", "reviewed"), 4)
ALONE: Scenario = (alone, _FAN, 1)
SLOW_TO_TELL: Scenario = (slow_to_tell, ("stopped",), 4)
HELD: Scenario = (calm, ("held",), 4)
FORKED: Scenario = (calm, ("forked",), 4)
PRUNED: Scenario = (partial(strike_prunes, points=["prune.marked"]), _FAN, 1)
