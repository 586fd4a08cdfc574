"""Runs whose days are over, for a prune that is struck; and what is left of them."""

import asyncio
from collections.abc import Iterator

from tests.chaos.arena import Arena, Slot, rows
from tests.chaos.bout import Bout
from tests.chaos.caller import Caller

_PATIENCE_S = 60
_TRIES = 50
_LEFT = """
select run_id::text, pruned_at is not null, last_seq,
    (select count(*) from run_events line where line.run_id = run.run_id),
    (select count(*) from effects where effects.run_id = run.run_id)
        + (select count(*) from approvals where approvals.run_id = run.run_id),
    (select count(*) from state_checkpoints state where state.thread_id = run.thread_id::text)
from runs run where finished_at < now() - interval '30 days'
"""


async def due_run(bout: Bout, name: str) -> str:
    """The id of a run with effects and approvals that ended long ago; no other's days are over."""
    rows(bout.arena.dsn, "update retention set events_days = 30")
    caller = Caller(bout.arena.ports, "approves", f"{bout.mode}:{name}:{bout.seed}", bout.wire)
    told = await asyncio.wait_for(caller.run(), _PATIENCE_S)
    query = "update runs set finished_at = finished_at - interval '100 days' where run_id = %s"
    rows(bout.arena.dsn, query, told.run_id)
    return told.run_id


def prune_slot(arena: Arena) -> Slot:
    """Of none of the arena's processes, but told what they are."""
    return Slot("prune", 0, asked=arena.slots[0].asked)


def torn(arena: Arena) -> Iterator[str]:
    for run_id, pruned, last_seq, events, others, _ in rows(arena.dsn, _LEFT):
        if events != (0 if pruned else last_seq) or bool(others) == pruned:
            about = f"run {run_id}, which is {'' if pruned else 'not '}pruned,"
            yield f"{about} has {events} of {last_seq} events, {others} effects and approvals"


async def pruned_again(arena: Arena, run_id: str) -> Iterator[str]:
    """Prunes once more, as soon as the database has let go of what the one before held."""
    for _ in range(_TRIES):
        process = await arena.fill(prune_slot(arena))
        await asyncio.wait_for(process.gone.wait(), _PATIENCE_S)
        if process.code == 0:
            return _kept(arena, run_id)
        await asyncio.sleep(0.1)
    return iter([f"prune ends with {process.code} again and again"])


def _kept(arena: Arena, run_id: str) -> Iterator[str]:
    for found, pruned, _, *left in rows(arena.dsn, _LEFT):
        if found == run_id and (not pruned or any(left)):
            yield f"run {run_id} is not gone: {left} rows are left"
