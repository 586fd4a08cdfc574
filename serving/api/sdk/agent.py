"""Planner, worker and critic as a graph that chats: messages in, a goal in the queue; answers to what it asks. What
comes in is redacted before it is kept."""

import asyncio
from typing import Any, Final, LiteralString

import orjson

from graph.ports import ApprovalDecision
from serving.api.sdk.agent_framing import AgentFraming
from serving.api.sdk.framing import events_of
from serving.database import Row
from serving.errors import Conflict
from serving.runs import approvals
from serving.runs.answers import decisions_of
from serving.runs.launch import RunCommand
from serving.runs.limits import uuid_of
from serving.runs.plan_edit import edited_plan
from serving.services import ApiServices

GIVE_UP: Final = "__end__"  # LangGraph's END: chat pages go to it to leave a question unanswered
# One that another answer has just set going may have more questions.
_ASKING: LiteralString = """
select * from runs
where thread_id = %s and tenant = %s and status in ('interrupted', 'pending', 'running') and exists (
    select from approvals where approvals.run_id = runs.run_id and decided_at is null)
order by created_at limit 1
"""
_BEFORE: LiteralString = """
select run_id, request ->> 'goal' as goal, (
    select body -> 'answer' ->> 'text' from run_events line
    where line.run_id = runs.run_id and kind = 'answer_written' order by seq desc limit 1) as answer
from runs where thread_id = %s and created_at < %s and coalesce(graph, 'trireme') = 'trireme'
order by created_at desc limit 50
"""


async def resumed(services: ApiServices, thread: str, command: RunCommand) -> Row:
    """The thread's run that asks, as it stood before it was answered or given up: it goes on as itself, or ends.

    Raises Conflict where none waits or the answer is late, Unprocessable for what answers nothing.
    """
    thread_id = uuid_of(thread, "thread")
    async with services.pool.connection() as connection:
        row = await (await connection.execute(_ASKING, (thread_id, services.runs.tenant))).fetchone()
    if row is None:
        hint = "send input instead; GET /threads/{thread_id}/state says what a thread waits for"
        raise Conflict(f"no run of thread {thread_id} waits for an answer", hint, "no_decision_pending")
    run_id = str(row["run_id"])
    if command.resume is None:
        await services.launches.cancel(thread_id, run_id, "interrupt")
        return row
    decisions = decisions_of(command.resume, await approvals.waiting(services.pool, run_id))
    fit = {id_: await _fit(services, id_, decision) for id_, decision in decisions.items()}
    for id_, decision in fit.items():
        await services.runs.decide(run_id, id_, decision)
    return row


async def agent_framing(services: ApiServices, row: Row, modes: tuple[str, ...]) -> AgentFraming:
    """It tells of the whole talk on the thread, so it begins with what was said before."""
    said = await services.restore(await _said(services, row))
    return AgentFraming(str(row["run_id"]), events_of(modes), str(row["thread_id"]), orjson.dumps(said).decode())


async def agent_values(services: ApiServices, row: Row) -> dict[str, Any]:
    """What a run of the agent came to, or how far it is."""
    run, said = await services.runs.get(str(row["run_id"])), await _said(services, row)
    framing = AgentFraming(run.run_id, frozenset(), run.thread_id, orjson.dumps(said).decode())
    answer = run.model_dump(mode="json", include={"sources", "partial", "note"}) | {"text": run.answer}
    waiting = [question.model_dump(mode="json") for question in run.approvals]
    values: dict[str, Any] = await services.restore(
        framing.values(answer=answer if run.answer is not None else None, waiting=waiting)
    )
    return values


async def _said(services: ApiServices, row: Row) -> list[dict[str, Any]]:
    """As the log has it: goals and answers of the thread's runs, this one's goal last."""
    async with services.pool.connection() as connection:
        rows = await (await connection.execute(_BEFORE, (row["thread_id"], row["created_at"]))).fetchall()
    messages: list[dict[str, Any]] = []
    for each in reversed(rows):
        messages.append(AgentFraming.human(str(each["run_id"]), each["goal"]))
        if each["answer"] is not None:
            messages.append(AgentFraming.ai(str(each["run_id"]), each["answer"]))
    return [*messages, AgentFraming.human(str(row["run_id"]), row["request"]["goal"])]


async def _fit(services: ApiServices, approval_id: str, decision: ApprovalDecision) -> ApprovalDecision:
    arguments = decision.arguments
    if arguments is not None:
        if approval_id.startswith("plan-"):
            arguments = edited_plan(arguments).model_dump(mode="json")
        arguments = await asyncio.to_thread(services.redactor.redact_json, arguments)
    said = {
        "reason": str(await services.redact(decision.reason)),
        "by": str(await services.redact(decision.by or "sdk")),
    }
    return decision.model_copy(update={**said, "arguments": arguments, "approval_id": approval_id})
