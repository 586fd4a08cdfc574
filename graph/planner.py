"""The planner: reads what is remembered once, then turns the goal into a plan of steps."""

import asyncio
from itertools import pairwise

from graph.channels import RunState
from graph.errors import BadReply, BoundReached, MemoryUnavailable
from graph.events import ConversationRecalled, DocumentsListed, MemoryRecalled, Noted, PlanProposed
from graph.faults import point
from graph.ports import Deps, ModelReply, PlanTask
from graph.state import Overview, Plan, Verdict
from graph.transcript import bodies, last_of_round, memory_of, newest_plan, overview_of
from graph.turn import log_bound, take_turn
from privacy.redact import Redacted

_TURNS_KEPT = 6
_DOCUMENTS_LISTED = 200
_TABLES_LISTED = 20


async def recall(state: RunState, deps: Deps) -> RunState:
    """Fixes what the prompt says of memory, conversation and documents, and forgets the thread's last plan."""
    goal = await asyncio.to_thread(deps.redactor.redact, _goal(state))
    if not bodies(deps.events.history, MemoryRecalled):
        turns = _turns(state)[-_TURNS_KEPT:]
        await deps.events.append(
            MemoryRecalled(items=await _memories(goal, deps)),
            ConversationRecalled(turns=turns),
            DocumentsListed(overview=_listed(await deps.documents.overview())),
        )
    return {"goal": goal, "plan": None, "outcomes": None, "verdict": None, "feedback": {}, "round": 0, "answer": None}  # type: ignore[typeddict-item]


async def plan(state: RunState, deps: Deps) -> RunState:
    """Asks the planner, unless this round's plan stands in the log already, as proposed or as edited since. A bound
    leaves the plan empty."""
    history = deps.events.history
    if last_of_round(history, PlanProposed, state["round"]) and (standing := newest_plan(history)):
        return _planned(standing)
    try:
        return _planned(await _ask(state, deps))
    except BoundReached as error:
        await log_bound(deps, error)
        return {"plan": None}


def _planned(plan: Plan) -> RunState:
    """A new plan starts without outcomes, and without what the critic missed in a step of the last one."""
    return {"plan": plan.model_dump(mode="json"), "outcomes": None, "feedback": {}}  # type: ignore[typeddict-item]


async def _ask(state: RunState, deps: Deps) -> Plan:
    task = PlanTask(
        goal=state["goal"],
        overview=overview_of(deps.events.history),
        memory=memory_of(deps.events.history),
        previous=tuple(turn for body in bodies(deps.events.history, ConversationRecalled) for turn in body.turns),
        feedback=_feedback(state),
    )
    round_ = state["round"]

    def follows(reply: ModelReply) -> tuple[PlanProposed, ...]:
        return (PlanProposed(plan=reply.parsed, round=round_),) if isinstance(reply.parsed, Plan) else ()

    reply = await take_turn(deps, task, reply=Plan, follows=follows)
    point("plan.logged")
    if not isinstance(reply.parsed, Plan):
        raise BadReply("the planner's reply is not a plan; try again or route the planner to another model")
    return reply.parsed


def _feedback(state: RunState) -> tuple[str, ...]:
    verdict = state.get("verdict")
    return Verdict.model_validate(verdict).reasons if verdict else ()


async def _memories(goal: Redacted, deps: Deps) -> tuple[str, ...]:
    try:
        point("memory.asked")
        items = await deps.memory.recall(goal)
        point("memory.recalled")
        return tuple(item.text for item in items)
    except MemoryUnavailable as error:
        await deps.events.append(Noted(code=error.code, message=str(error)))
        return ()


def _listed(overview: Overview) -> Overview:
    documents, tables = overview.documents[:_DOCUMENTS_LISTED], overview.tables[:_TABLES_LISTED]
    return Overview(documents=documents, tables=tables, more=len(overview.documents) - len(documents))


def _goal(state: RunState) -> str:
    """Chat clients send only messages: then the goal is the person's last one."""
    if goal := state.get("goal"):
        return goal
    people = [m for m in state.get("messages", []) if getattr(m, "type", "") == "human"]
    return str(people[-1].content) if people else ""


def _turns(state: RunState) -> tuple[tuple[str, str], ...]:
    """(goal, answer) of earlier runs: each person's message with the answer that follows it."""
    talk = pairwise(state.get("messages", []))
    return tuple((str(q.content), str(a.content)) for q, a in talk if q.type == "human" and a.type == "ai")
