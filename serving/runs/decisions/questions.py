"""What a run asks its people: whether a call, or a plan, may be, and what became of an effect that nobody knows of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString, TypeAlias

from graph.approval import interrupt_payload
from graph.events import EffectUnknown
from graph.ledger import EffectDecision
from graph.ports import ApprovalDecision, ApprovalRequest
from graph.verdict import verdict_payload
from serving.database import Pool, fetch_all, fetch_one
from serving.runs.decisions import approvals, effects

Question: TypeAlias = ApprovalRequest | EffectUnknown
Decision: TypeAlias = ApprovalDecision | EffectDecision
_VERDICT: LiteralString = """
select decision, round - case decision when 'retry' then 1 else 0 end as round, note, decided_by as by
from effects where run_id = %s and key = %s and decided_at is not null
"""
_WAITED: LiteralString = """
select key, step_id, tool, coalesce(arguments, '{}') as arguments, reason, round,
    state <> 'unknown' or unknown_at > %(at)s as decided
from effects
where run_id = %(run_id)s and (unknown_at <= %(at)s and (state = 'unknown' or decided_at >= %(at)s)
    or unknown_at > %(at)s and decided_at >= %(at)s and round > 1)  -- tried once more, and asked about again
order by unknown_at, key
"""


def id_of(question: Question) -> str:
    return question.id if isinstance(question, ApprovalRequest) else question.key


def shown(question: Question) -> dict[str, Any]:
    """As an interrupt."""
    if isinstance(question, ApprovalRequest):
        return {"id": question.id, "value": interrupt_payload(question)}
    about = question.model_dump(include={"key", "step_id", "tool", "arguments", "reason"})
    return {"id": question.key, "value": verdict_payload(**about)}


def question_of(kept: Mapping[str, Any]) -> Question:
    """From a row, or a line of the log, where an effect has a `key`, and an approval an `id` or an `approval_id`."""
    if "key" in kept:
        return EffectUnknown.model_validate(kept)
    if "approval_id" not in kept:
        return ApprovalRequest.model_validate(kept)
    names = ("name", "arguments", "description", "expires_at")
    told = {name: kept[name] for name in names} | {"kind": kept["approval_kind"], "digest": ""}
    return ApprovalRequest.model_validate({**told, "id": kept["approval_id"]})


async def decision_on(pool: Pool, run_id: str, id_: str) -> Decision | None:
    """What a person has said."""
    if taken := (await approvals.decisions(pool, run_id)).get(id_):
        return ApprovalDecision.model_validate(taken)
    row = await fetch_one(pool, _VERDICT, (run_id, id_))
    return EffectDecision.model_validate(row) if row else None


async def waiting(pool: Pool, run_id: str) -> list[Question]:
    """What can still be answered; approvals first, of each the oldest first."""
    return [*await approvals.waiting(pool, run_id), *await effects.unknown(pool, run_id)]


async def waited(pool: Pool, run_id: str, at: datetime) -> list[tuple[Question, bool]]:
    """What was asked `at` that time, and whether it has been decided since."""
    rows = await fetch_all(pool, _WAITED, {"run_id": run_id, "at": at})
    unknown = [(EffectUnknown(**row), decided) for row in rows for decided in [row.pop("decided")]]
    return [*await approvals.waited(pool, run_id, at), *unknown]
