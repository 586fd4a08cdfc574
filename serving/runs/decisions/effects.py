"""The ledger as people see it: what a run changed, and what a person says about an effect that nobody knows of."""

from datetime import datetime
from typing import Any, LiteralString

from pydantic import BaseModel

from graph.events import EffectUnknown
from graph.ledger import EffectDecision, EffectState, EffectVerdict
from graph.tools.content import canonical
from graph.tools.effects import decided
from serving.database import Connection, Pool, connected
from serving.errors import BadRequest, Conflict, NotFound
from serving.runs.decisions.reveals import refuse_hidden_retry
from serving.runs.requests.limits import parse_id

_UNKNOWN: LiteralString = """
select key, step_id, tool, coalesce(arguments, '{}') as arguments, reason, round from effects
where run_id = %s and state = 'unknown' order by unknown_at, key
"""
# Once more whether the call can still go out: it may have been let out again since that was asked with patience.
_DECIDE: LiteralString = """
update effects set state = %(state)s, result = %(result)s, decision = %(decision)s, note = %(note)s,
    decided_by = %(by)s, decided_at = clock_timestamp(),
    round = round + case %(decision)s when 'retry' then 1 else 0 end
where run_id = %(run_id)s and key = %(key)s and state = 'unknown' and round = %(round)s
    and (%(decision)s = 'happened' or not in_flight and not call_in_flight(key))
returning key
"""
_LEFT: LiteralString = """
select from effects where run_id = %(run_id)s and key = %(key)s and tenant = %(tenant)s for update
"""
_STATE: LiteralString = "select state, decided_at, round from effects where run_id = %s and key = %s"
# From the primary key, backwards: the newest run first, and a page begins right behind the last one's end. An effect
# whose run was deleted has its tenant itself.
_PAGE: LiteralString = """
select effects.*, coalesce(runs.status, 'deleted') as run_status from effects left join runs using (run_id)
where coalesce(runs.tenant, effects.tenant) = %(tenant)s and (%(run_id)s::uuid is null or run_id = %(run_id)s)
    and (%(state)s::text is null or state = %(state)s)
    and (%(after_run)s::uuid is null or (run_id, key) < (%(after_run)s::uuid, %(after_key)s))
order by run_id desc, key desc limit %(limit)s
"""


class EffectView(BaseModel):
    """`arguments` are there while it isn't settled, and where a person has settled it; `round` is 1 and one more for
    each retry that a person asked for. `in_flight`: when it became unknown, a process could still make the call.
    `run_status`: the run's, or deleted: its log is gone, and this row stays."""

    run_id: str
    run_status: str
    key: str
    step_id: str
    tool: str
    state: EffectState
    reason: str
    in_flight: bool
    round: int
    arguments: dict[str, Any] | None
    result: dict[str, Any] | None
    proposed_at: datetime | None
    approved_at: datetime | None
    prepared_at: datetime | None
    unknown_at: datetime | None
    settled_at: datetime | None
    decision: EffectVerdict | None
    decided_by: str | None
    decided_at: datetime | None
    note: str


class EffectPage(BaseModel):
    """`next` is given back as `after` for the page behind this one; None when there is none."""

    effects: list[EffectView]
    next: str | None


async def unknown(pool: Pool, run_id: str) -> list[EffectUnknown]:
    """What a run's people must look after, longest waiting first."""
    async with connected(pool) as connection:
        rows = await (await connection.execute(_UNKNOWN, (run_id,))).fetchall()
    return [EffectUnknown(**row) for row in rows]


async def is_left(connection: Connection, tenant: str, run_id: str, key: str) -> bool:
    """Whether this is an effect of a run that was deleted; from here on nobody else decides it."""
    values = {"tenant": tenant, "run_id": run_id, "key": key}
    return (await connection.execute(_LEFT, values)).rowcount > 0


async def page(
    pool: Pool, tenant: str, run_id: str | None, state: EffectState | None, limit: int, after: str
) -> EffectPage:
    """Effects of one run or of all of a tenant's. Raises BadRequest for an `after` that no page gave."""
    after_run, _, after_key = after.partition(".")
    try:
        after_run = parse_id(after_run, "run") if after else ""
    except NotFound:
        raise BadRequest("`after` is no page's end", "send the `next` of the page before", "bad_cursor") from None
    values = {"tenant": tenant, "run_id": run_id, "state": state, "limit": limit + 1}
    values |= {"after_run": after_run or None, "after_key": after_key.replace("\x00", "")}
    async with pool.connection() as connection:
        rows = await (await connection.execute(_PAGE, values)).fetchall()
    shown = [EffectView(**{**row, "run_id": str(row["run_id"])}) for row in rows[:limit]]
    return EffectPage(effects=shown, next=f"{shown[-1].run_id}.{shown[-1].key}" if len(rows) > limit else None)


async def decide(connection: Connection, run_id: str, key: str, decision: EffectDecision) -> None:
    """Takes a person's word inside the caller's transaction. Raises NotFound, Conflict (effect_already_decided,
    effect_not_unknown, effect_look_again, reveal_needed)."""
    state, result = decided(decision)
    values = {"run_id": run_id, "key": key, "state": state, **decision.model_dump()}
    values["result"] = result and canonical(result.model_dump(mode="json"))
    if await (await connection.execute(_DECIDE, values)).fetchone() is None:
        raise await _why_not(connection, run_id, key, decision.round)
    if decision.decision == "retry":
        await refuse_hidden_retry(connection, run_id, key)


async def _why_not(connection: Connection, run_id: str, key: str, round_: int) -> NotFound | Conflict:
    row = await (await connection.execute(_STATE, (run_id, key))).fetchone()
    if row is None:
        return NotFound(f"run {run_id} has no effect {key[:12]}", f"trireme effects {run_id}", "effect_not_found")
    if row["state"] == "unknown" and row["round"] != round_:
        what = f"what waits is round {row['round']} of this effect, not {round_}"
        hint = f"look again, trireme effects {run_id}, then send it with its round"
        return Conflict(what, hint, "effect_already_decided")
    if row["state"] == "unknown":
        return look_again(run_id)
    if row["decided_at"] is not None:
        return Conflict("a person has decided this already", "a decision is final", "effect_already_decided")
    hint = f"those that wait for a person: trireme effects {run_id} --state unknown"
    return Conflict(f"this effect is {row['state']}: there is nothing to decide", hint, "effect_not_unknown")


def look_again(run_id: str) -> Conflict:
    """Of an effect whose call a worker could still make when, or after, a person may have looked."""
    what = "a worker could still make this call after it became unknown, and may have made it"
    hint = f"look again whether it happened, then decide: trireme effects {run_id}"
    return Conflict(what, hint, "effect_look_again")
