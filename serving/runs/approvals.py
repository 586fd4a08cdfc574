"""Approvals as rows: asked once by the attempt (fenced), decided once by a person before they expire."""

from typing import Any, LiteralString

from graph.errors import FenceLost
from graph.ports import ApprovalDecision, ApprovalRequest
from graph.tools.content import canonical
from serving.database import Connection, Pool
from serving.errors import BadRequest, Conflict, NotFound

_REQUEST: LiteralString = """
with owned as (
    select run_id from runs where run_id = %(run_id)s and fence = %(fence)s and status = 'running' for share
)
insert into approvals (approval_id, run_id, kind, request, digest, expires_at)
select %(id)s, run_id, %(kind)s, %(request)s::jsonb, %(digest)s, %(expires_at)s::timestamptz from owned
on conflict (run_id, approval_id) do update set kind = approvals.kind
returning digest, decision, expires_at, expires_at <= clock_timestamp() as expired
"""
_DECIDE: LiteralString = """
update approvals set decision = %(decision)s, decided_by = %(by)s, decided_at = clock_timestamp()
where run_id = %(run_id)s and approval_id = %(id)s and decision is null and expires_at > clock_timestamp()
returning request
"""
_WHY_NOT: LiteralString = """
select decision is not null as decided, expires_at from approvals where run_id = %s and approval_id = %s
"""
_WAITING: LiteralString = """
select request from approvals where run_id = %s and decision is null and expires_at > clock_timestamp()
order by created_at, approval_id
"""
_DECISIONS: LiteralString = """
select approval_id, decision from approvals where run_id = %s and decision is not null
"""


class PostgresApprovals:
    """Port `Approvals` for one attempt: a decision is what stands in the row, never what a resume carries."""

    decisions_rest_in_rows = True

    def __init__(self, pool: Pool, run_id: str, fence: int) -> None:
        self._pool, self._run_id, self._fence = pool, run_id, fence

    async def request(self, request: ApprovalRequest) -> ApprovalDecision | None:
        """The decision taken in time, a rejection once the request has expired without one, else None."""
        row = await self._row(request)
        if row["digest"] != request.digest:
            raise Conflict(f"approval {request.id} was asked for another action", code="approval_other_action")
        if row["decision"] is not None:
            return ApprovalDecision.model_validate(row["decision"])
        if row["expired"]:
            reason = f"nobody decided before it expired at {row['expires_at']:%Y-%m-%d %H:%M} UTC"
            return ApprovalDecision(type="reject", reason=reason, approval_id=request.id)
        return None

    async def _row(self, request: ApprovalRequest) -> dict[str, Any]:
        values = {
            **request.model_dump(include={"id", "kind", "digest", "expires_at"}),
            "request": canonical(request.model_dump(mode="json")),
            "run_id": self._run_id,
            "fence": self._fence,
        }
        async with self._pool.connection() as connection:
            row = await (await connection.execute(_REQUEST, values)).fetchone()
        if row is None:
            raise FenceLost(f"run {self._run_id}: this attempt may not ask for approvals any more")
        return row


class MemoryApprovals:
    """For Studio: the answer comes back through LangGraph's own resume, so nothing is kept and nothing expires."""

    async def request(self, request: ApprovalRequest) -> ApprovalDecision | None:
        return None


async def decide(connection: Connection, run_id: str, approval_id: str, decision: ApprovalDecision) -> ApprovalRequest:
    """Takes a person's decision inside the caller's transaction; returns what had been asked.

    Raises NotFound, Conflict (approval_already_decided, approval_expired), BadRequest for an edit without arguments.
    """
    if decision.type == "edit" and decision.arguments is None:
        raise BadRequest("an edit needs the arguments to use instead", "send them under `arguments`")
    values = {
        "run_id": run_id,
        "id": approval_id,
        "by": decision.by,
        "decision": canonical(decision.model_copy(update={"approval_id": approval_id}).model_dump(mode="json")),
    }
    row = await (await connection.execute(_DECIDE, values)).fetchone()
    if row is None:
        raise await _why_not(connection, run_id, approval_id)
    return ApprovalRequest.model_validate(row["request"])


async def _why_not(connection: Connection, run_id: str, approval_id: str) -> NotFound | Conflict:
    row = await (await connection.execute(_WHY_NOT, (run_id, approval_id))).fetchone()
    if row is None:
        return NotFound(f"run {run_id} has no approval {approval_id}", "look at the run to see which are open")
    if row["decided"]:
        return Conflict("this approval is already decided", "a decision is final", code="approval_already_decided")
    when = f"{row['expires_at']:%Y-%m-%d %H:%M} UTC"
    return Conflict(f"this approval expired at {when}", "start the run again", code="approval_expired")


async def waiting(pool: Pool, run_id: str) -> list[ApprovalRequest]:
    """What a run's people are asked and can still answer, oldest first."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_WAITING, (run_id,))).fetchall()
    return [ApprovalRequest.model_validate(row["request"]) for row in rows]


async def decisions(pool: Pool, run_id: str) -> dict[str, dict[str, Any]]:
    """Approval id -> decision, of those taken."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_DECISIONS, (run_id,))).fetchall()
    return {row["approval_id"]: row["decision"] for row in rows}
