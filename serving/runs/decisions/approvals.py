"""Approvals as rows: asked once by the attempt (fenced), decided once by a person before they expire."""

from datetime import datetime
from typing import Any, LiteralString

from graph.ports import ApprovalDecision, ApprovalRequest
from graph.tools.action import told
from graph.tools.content import canonical, clean, digest
from graph.tools.registry import Problem
from serving.database import Connection, Pool, connected, fetch_all
from serving.errors import BadRequest, Conflict, NotFound
from serving.runs.decisions.reveals import refuse_hidden
from serving.runs.fence import OWNED, fence_lost

# The effect it is about is proposed with it, and fails with it when nobody has decided in time.
_REQUEST: LiteralString = """, asked as (
    insert into approvals (approval_id, run_id, kind, request, digest, expires_at)
    select %(id)s, run_id, %(kind)s, %(request)s::jsonb, %(digest)s, %(expires_at)s::timestamptz from owned
    on conflict (run_id, approval_id) do update set kind = approvals.kind
    returning run_id, digest, decision, expires_at, decision is null and expires_at <= clock_timestamp() as expired
), proposed as (
    insert into effects (run_id, key, step_id, tool, arguments_digest, state, fence)
    select run_id, %(effect_key)s, %(step_id)s, %(name)s, %(arguments_digest)s, 'proposed', %(fence)s
    from asked where %(effect_key)s <> '' and decision is null
    on conflict (run_id, key) do update set state = 'failed', result = %(refused)s
    where effects.state = 'proposed' and (select expired from asked)
)
select * from asked
"""
_DECIDE: LiteralString = """
with taken as (
    update approvals set decision = %(decision)s, decided_by = %(by)s, decided_at = clock_timestamp()
    where run_id = %(run_id)s and approval_id = %(id)s and decision is null and expires_at > clock_timestamp()
    returning run_id, request
), effect as (
    update effects set state = case when %(type)s = 'approve' then 'approved' else 'failed' end,
        result = case when %(type)s = 'approve' then null else %(refused)s::jsonb end
    from taken where effects.run_id = taken.run_id and key = request ->> 'effect_key' and state = 'proposed'
)
select request from taken
"""
_WHY_NOT: LiteralString = """
select decision is not null as decided, expires_at from approvals where run_id = %s and approval_id = %s
"""
_OF_ANOTHER: LiteralString = """
select from approvals join runs using (run_id)
where approval_id = %s and tenant = (select tenant from runs where run_id = %s)
"""
_WAITING: LiteralString = """
select request from approvals where run_id = %s and decision is null and expires_at > clock_timestamp()
order by created_at, approval_id
"""
_WAITED: LiteralString = """
select request, decision is not null as decided from approvals
where run_id = %(run_id)s and created_at <= %(at)s and (decided_at is null or decided_at >= %(at)s)
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
            **request.model_dump(include={"id", "kind", "name", "digest", "expires_at", "step_id", "effect_key"}),
            "request": canonical(request.model_dump(mode="json")),
            "arguments_digest": digest(request.arguments),
            "refused": _refused("nobody decided in time"),
            "run_id": self._run_id,
            "fence": self._fence,
        }
        async with connected(self._pool) as connection:
            row = await (await connection.execute(OWNED + _REQUEST, values)).fetchone()
        if row is None:
            raise fence_lost(self._run_id, "ask for approvals")
        return row


class MemoryApprovals:
    """Without a database: the answer comes through LangGraph's own resume; nothing is kept, and nothing expires."""

    async def request(self, request: ApprovalRequest) -> ApprovalDecision | None:
        return None


async def decide(connection: Connection, run_id: str, approval_id: str, decision: ApprovalDecision) -> ApprovalRequest:
    """Takes a person's decision inside the caller's transaction; returns what had been asked.

    Raises NotFound, Conflict (approval_already_decided, approval_expired, reveal_needed), BadRequest for an edit
    without arguments or with such as the tool does not take; the transaction must then be rolled back, and the request
    is still open.
    """
    if decision.type == "edit" and decision.arguments is None:
        raise BadRequest("an edit needs the arguments to use instead", "send them under `arguments`")
    approval_id = clean(approval_id)
    values = {
        "run_id": run_id,
        "id": approval_id,
        "by": decision.by,
        "type": decision.type,
        "refused": _refused("a person turned it down, or changed it into another action"),
        "decision": canonical(decision.model_copy(update={"approval_id": approval_id}).model_dump(mode="json")),
    }
    row = await (await connection.execute(_DECIDE, values)).fetchone()
    if row is None:
        raise await _why_not(connection, run_id, approval_id)
    request = ApprovalRequest.model_validate(row["request"])
    if decision.arguments is not None and request.parameters:
        _check_edit(request, decision.arguments)
    if decision.type != "reject":
        await refuse_hidden(connection, run_id, request, decision.arguments or request.arguments)
    return request


def _check_edit(request: ApprovalRequest, arguments: dict[str, Any]) -> None:
    """Says which field is wrong and never what stands in it."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    problem = next(Draft202012Validator(request.parameters).iter_errors(arguments), None)
    if problem is None:
        return
    where = ".".join(str(part) for part in problem.absolute_path) or "arguments"
    takes = ", ".join(request.parameters.get("properties", {}))
    message = f"{where} does not fit `{problem.validator}` of {request.name}'s parameters"
    raise BadRequest(message, f"it takes: {takes}; the request is still open", "bad_arguments")


def _refused(message: str) -> str:
    return canonical(told(Problem(code="rejected", message=message)).model_dump(mode="json"))


async def _why_not(connection: Connection, run_id: str, approval_id: str) -> NotFound | Conflict:
    row = await (await connection.execute(_WHY_NOT, (run_id, approval_id))).fetchone()
    if row is None:
        missing, hint = f"run {run_id} has no approval {approval_id}", "look at the run to see which are open"
        if (await connection.execute(_OF_ANOTHER, (approval_id, run_id))).rowcount:
            return Conflict(f"{missing}: it is another run's", hint, code="approval_of_another_run")
        return NotFound(missing, hint)
    if row["decided"]:
        return Conflict("this approval is already decided", "a decision is final", code="approval_already_decided")
    when = f"{row['expires_at']:%Y-%m-%d %H:%M} UTC"
    return Conflict(f"this approval expired at {when}", "start the run again", code="approval_expired")


async def waiting(pool: Pool, run_id: str) -> list[ApprovalRequest]:
    """What a run's people are asked and can still answer, oldest first."""
    rows = await fetch_all(pool, _WAITING, (run_id,))
    return [ApprovalRequest.model_validate(row["request"]) for row in rows]


async def waited(pool: Pool, run_id: str, at: datetime) -> list[tuple[ApprovalRequest, bool]]:
    """What a run's people were asked `at` that time, oldest first, and whether it has been decided since."""
    rows = await fetch_all(pool, _WAITED, {"run_id": run_id, "at": at})
    return [(ApprovalRequest.model_validate(row["request"]), row["decided"]) for row in rows]


async def open_plan(connection: Connection, run_id: str) -> bool:
    """Whether a person was asked about the run's plan and has not answered."""
    query: LiteralString = "select from approvals where run_id = %s and kind = 'plan' and decision is null"
    return (await connection.execute(query, (run_id,))).rowcount > 0


async def decisions(pool: Pool, run_id: str) -> dict[str, dict[str, Any]]:
    """Approval id -> decision, of those taken."""
    rows = await fetch_all(pool, _DECISIONS, (run_id,))
    return {row["approval_id"]: row["decision"] for row in rows}
