"""The critic: judges the findings against each step's done-when and the goal, in a bounded number of rounds."""

from graph.channels import RunState
from graph.errors import BadReply, BoundReached
from graph.events import VerdictGiven
from graph.ports import Deps, ReviewTask
from graph.state import Plan, StepOutcome, Verdict
from graph.transcript import last_of_round
from graph.turn import log_bound, take_turn


async def review(state: RunState, deps: Deps) -> RunState:
    """Leaves a verdict, and for `revise` clears the outcomes of the steps to be done again."""
    round_ = state["round"]
    done = last_of_round(deps.events.history, VerdictGiven, round_)
    try:
        verdict = done.verdict if done else await _judge(state, deps)
    except BoundReached as error:
        await log_bound(deps, error)
        return {"verdict": None}
    if not done:
        await deps.events.append(VerdictGiven(verdict=verdict, round=round_))
    return _next(state, verdict)


async def _judge(state: RunState, deps: Deps) -> Verdict:
    plan = Plan.model_validate(state["plan"])
    outcomes = tuple(StepOutcome.model_validate(state["outcomes"][step.id]) for step in plan.steps)
    task = ReviewTask(goal=state["goal"], plan=plan, outcomes=outcomes, round=state["round"])
    reply = await take_turn(deps, task, reply=Verdict)
    if not isinstance(reply.parsed, Verdict):
        raise BadReply("the critic's reply is not a verdict; try again or route the critic to another model")
    return _bounded(reply.parsed, plan, state["round"] + 1 >= deps.budget.bounds.critic_rounds)


def _bounded(verdict: Verdict, plan: Plan, last: bool) -> Verdict:
    """In the last round there is no doing again; and a revision must name steps of the plan."""
    if verdict.decision in ("revise", "replan") and last:
        reasons = (*verdict.reasons, *verdict.revise.values(), "no critic round is left")
        return Verdict(decision="give_up", reasons=reasons)
    named = {id_: why for id_, why in verdict.revise.items() if id_ in {step.id for step in plan.steps}}
    if verdict.decision == "revise" and not named:
        return Verdict(decision="replan", reasons=verdict.reasons)
    return verdict.model_copy(update={"revise": named})


def _next(state: RunState, verdict: Verdict) -> RunState:
    update: RunState = {"verdict": verdict.model_dump(mode="json")}
    if verdict.decision in ("revise", "replan"):
        update["round"] = state["round"] + 1
    if verdict.decision == "revise":
        again = _affected(Plan.model_validate(state["plan"]), set(verdict.revise))
        update["feedback"] = dict(verdict.revise)
        update["outcomes"] = dict.fromkeys(again)
    return update


def _affected(plan: Plan, named: set[str]) -> set[str]:
    """The named steps and all that build on them."""
    grown = named | {step.id for step in plan.steps if named.intersection(step.depends_on)}
    return grown if grown == named else _affected(plan, grown)
