"""Planner, worker and critic as a graph that chats: messages in, a goal in the queue; answers to what it asks. What
comes in is redacted before it is kept."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import orjson

from graph.ledger import EffectDecision
from graph.ports import ApprovalDecision
from serving.api.sdk.agent_framing import AgentFraming
from serving.api.sdk.agent_messages import EVENTS, ai, answer_id, human
from serving.api.sdk.framing import events_of
from serving.api.sdk.growing import Growing
from serving.database import Row, fetch_all, fetch_one
from serving.errors import Conflict, NotFound
from serving.idempotency import Claim
from serving.runs.decisions.answers import decisions_of
from serving.runs.decisions.plan_edit import edited_plan
from serving.runs.decisions.questions import Decision, decision_on, id_of, waited, waiting
from serving.runs.requests.launch import NewRun, RunCommand, goal_id
from serving.runs.requests.limits import uuid_of
from serving.services import ApiServices
from serving.threads.talks import BEFORE, BROUGHT

GIVE_UP: Final = "__end__"  # LangGraph's END: chat pages go to it to leave a question unanswered
# One that another answer has just set going may have more questions.
_ASKING: LiteralString = """
select * from runs
where thread_id = %s and tenant = %s and status in ('interrupted', 'pending', 'running') and (exists (
    select from approvals where approvals.run_id = runs.run_id and decided_at is null) or exists (
    select from effects where effects.run_id = runs.run_id and state = 'unknown'))
order by created_at limit 1
"""
_BEHIND: LiteralString = "select coalesce(max(seq), 0) as seq from run_events where run_id = %s and at < %s"


@dataclass(frozen=True, slots=True)
class Begun:
    """A run, and behind which line of its log what was asked for begins: one that is resumed has told more before."""

    row: Row
    behind: int = 0


async def resumed(services: ApiServices, thread: str, new: NewRun, command: RunCommand, key: str | None) -> Begun:
    """The thread's run that asks, answered or given up: it goes on as itself, or ends. `key`: the Idempotency-Key,
    under which that is done once.

    Raises Conflict where none waits or the answer is late, Unprocessable for what answers nothing.
    """
    thread_id = uuid_of(thread, "thread")
    row = await fetch_one(services.pool, _ASKING, (thread_id, services.runs.tenant))
    run_id = str(row["run_id"]) if row else None
    async with services.idempotency.once("answer", key, new, thread_id, run_id) as claim:
        if claim and (claim.again or row):
            return await _resumed_once(services, thread_id, claim, command)
        if row is None or run_id is None:
            hint = "send input instead; GET /threads/{thread_id}/state says what a thread waits for"
            raise Conflict(f"no run of thread {thread_id} waits for an answer", hint, "no_decision_pending")
    if command.resume is None:
        await services.launches.cancel(thread_id, run_id, by=services.asker)
    else:
        for id_, decision in decisions_of(command.resume, await waiting(services.pool, run_id)).items():
            await _decide(services, run_id, id_, await _fit(services, id_, decision))
    return Begun(await services.launches.get(thread_id, run_id), row["last_seq"])


async def _resumed_once(services: ApiServices, thread_id: str, claim: Claim, command: RunCommand) -> Begun:
    """What was asked when the key first came is answered; a question that came later waits for another answer."""
    if command.resume is None:
        with suppress(NotFound):  # it has ended
            await services.launches.cancel(thread_id, claim.id, by=services.asker)
    else:
        questions = await waited(services.pool, claim.id, claim.at)
        decided = {id_of(question) for question, decided in questions if decided}
        for id_, decision in decisions_of(command.resume, [question for question, _ in questions]).items():
            if id_ not in decided:
                await _decide_once(services, claim.id, id_, await _fit(services, id_, decision))
    row = await fetch_one(services.pool, _BEHIND, (claim.id, claim.at))
    return Begun(await services.launches.get(thread_id, claim.id), row["seq"] if row else 0)


async def _decide_once(services: ApiServices, run_id: str, id_: str, fit: Decision) -> None:
    try:
        await _decide(services, run_id, id_, fit)
    except Conflict:  # maybe the same decision, taken at this moment by the same request that came twice
        if await decision_on(services.pool, run_id, id_) != fit:
            raise


async def _decide(services: ApiServices, run_id: str, id_: str, fit: Decision) -> None:
    if isinstance(fit, ApprovalDecision):
        await services.decisions.decide(run_id, id_, fit)
    else:
        await services.decisions.decide_effect(run_id, id_, fit)


async def agent_framing(services: ApiServices, row: Row, modes: tuple[str, ...], after: int) -> AgentFraming:
    """It tells of the whole talk on the thread, so it begins with what was said before; of this run from behind line
    `after`."""
    run_id, events, said = str(row["run_id"]), events_of(modes), await services.restore(await _said(services, row))
    told = await Growing.behind(services, run_id, after) if events & EVENTS else None
    return AgentFraming(run_id, events, str(row["thread_id"]), orjson.dumps(said).decode(), told)


async def agent_values(services: ApiServices, row: Row) -> dict[str, Any]:
    """What a run of the agent came to, or how far it is."""
    run, said = await services.runs.get(str(row["run_id"])), await _said(services, row)
    framing = AgentFraming(run.run_id, frozenset(), run.thread_id, orjson.dumps(said).decode())
    answer = run.model_dump(mode="json", include={"sources", "partial", "note"}) | {"text": run.answer}
    asked = [question.model_dump(mode="json") for question in (*run.approvals, *run.effects)]
    values: dict[str, Any] = await services.restore(
        framing.values(answer=answer if run.answer is not None else None, waiting=asked)
    )
    return values


async def _said(services: ApiServices, row: Row) -> list[dict[str, Any]]:
    """What its thread has brought; then, as the log has it, goals and answers of the thread's runs, this one's goal
    last."""
    rows = await fetch_all(services.pool, BEFORE, (row["run_id"],))
    thread = await fetch_one(services.pool, BROUGHT, (row["thread_id"],))
    messages: list[dict[str, Any]] = list(thread["brought"] or ()) if thread else []
    for each in rows:
        messages.append(human(each["goal_id"], each["goal"]))
        if each["answer"] is not None:
            messages.append(ai(answer_id(str(each["run_id"])), each["answer"]))
    return [*messages, human(goal_id(str(row["run_id"]), row["launch"]), row["request"]["goal"])]


async def _fit(services: ApiServices, id_: str, decision: Decision) -> Decision:
    """As it may be kept."""
    by = services.named(str(await services.redact(decision.by)))
    if isinstance(decision, EffectDecision):
        return decision.model_copy(update={"note": str(await services.redact(decision.note)), "by": by})
    arguments = decision.arguments
    if arguments is not None:
        if id_.startswith("plan-"):
            arguments = edited_plan(arguments).model_dump(mode="json")
        arguments = await asyncio.to_thread(services.redactor.redact_json, arguments)
    said = {"reason": str(await services.redact(decision.reason)), "by": by}
    return decision.model_copy(update={**said, "arguments": arguments, "approval_id": id_})
