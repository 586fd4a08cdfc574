"""The critic: judges the findings against each step's done-when and the goal, in a bounded number of rounds."""

from graph.channels import RunState
from graph.errors import BadReply, BoundReached
from graph.events import BoundReached as BoundReachedEvent
from graph.events import EventBody, VerdictGiven
from graph.faults import point
from graph.ports import Deps, ModelReply, ReviewTask
from graph.state import Plan, StepOutcome, Verdict
from graph.transcript import last_of_round
from graph.turn import log_bound, take_turn


async def review(state: RunState, deps: Deps) -> RunState:
    """Leaves a verdict, and for `revise` clears the outcomes of the steps to be done again."""
    if deps.budget.bounds.critic_rounds == 0:
        return {"verdict": None}
    try:
        if not last_of_round(deps.events.history, VerdictGiven, state["round"]):
            await _judge(state, deps)
    except BoundReached as error:
        await log_bound(deps, error)
        return {"verdict": None}
    given = last_of_round(deps.events.history, VerdictGiven, state["round"])
    if given is None:
        raise BadReply("the critic's reply is not a verdict; try again or route the critic to another model")
    return _next(state, given.verdict)


async def _judge(state: RunState, deps: Deps) -> None:
    plan = Plan.model_validate(state["plan"])
    outcomes = tuple(StepOutcome.model_validate(state["outcomes"][step.id]) for step in plan.steps)
    task = ReviewTask(goal=state["goal"], plan=plan, outcomes=outcomes, round=state["round"])

    def follows(reply: ModelReply) -> tuple[EventBody, ...]:
        return _given(reply.parsed, task, deps) if isinstance(reply.parsed, Verdict) else ()

    await take_turn(deps, task, reply=Verdict, follows=follows)
    point("verdict.logged")


def _given(verdict: Verdict, task: ReviewTask, deps: Deps) -> tuple[EventBody, ...]:
    """In the last round there is no doing again: what is still missed ends the run by its bound."""
    verdict = _named(verdict, task.plan)
    limit, rounds = deps.budget.bounds.critic_rounds, 1 + deps.budget.rounds_used()
    if verdict.decision in ("accept", "give_up") or rounds < limit:
        return (VerdictGiven(verdict=verdict, round=task.round),)
    verdict = Verdict(decision="give_up", reasons=(*verdict.reasons, *verdict.revise.values()))
    reached = BoundReachedEvent(bound="critic_rounds", limit=limit, used=rounds)
    return reached, VerdictGiven(verdict=verdict, round=task.round)


def _named(verdict: Verdict, plan: Plan) -> Verdict:
    """A revision must name steps of the plan."""
    named = {id_: why for id_, why in verdict.revise.items() if id_ in {step.id for step in plan.steps}}
    if verdict.decision == "revise" and not named:
        return Verdict(decision="replan", reasons=verdict.reasons)
    return verdict.model_copy(update={"revise": named})


def _next(state: RunState, verdict: Verdict) -> RunState:
    update: RunState = {"verdict": verdict.model_dump(mode="json")}
    if verdict.decision in ("revise", "replan"):
        update["round"] = state["round"] + 1
    if verdict.decision == "revise":
        again = Plan.model_validate(state["plan"]).with_dependents(set(verdict.revise))
        update["feedback"] = dict(verdict.revise)
        update["outcomes"] = dict.fromkeys(again)
    return update
