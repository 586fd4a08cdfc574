"""What people changed while a run stood still, brought into its state by the attempt that takes it up.

The change itself is a line of the log: an edited plan, other bounds. Cut at any point, the next attempt does it again.
"""

from collections.abc import Collection, Container, Sequence

from graph.channels import RunState
from graph.events import AnswerWritten, BoundReached, BoundsChanged, PlanEdited, PlanProposed, RunEvent, VerdictGiven
from graph.state import Plan
from graph.transcript import bodies, last_of_round

Update = tuple[RunState, str]
_BEHIND_THE_STEPS = {"dispatch", "critic", "answer"}


def catch_up(
    state: RunState, pending: Collection[str], history: Sequence[RunEvent], decided: Container[str]
) -> Update | None:
    """An update of the state and the node it stands for; None when there is nothing to change.

    `pending` are the nodes that would come next, `decided` the ids of the approvals on which people have decided.
    """
    edited, reopened = _edited(state, pending, history, decided), _reopened(state, pending, history)
    if edited and reopened:
        return {**edited[0], **reopened[0]}, "work"
    return edited or reopened


def newest_edit(history: Sequence[RunEvent]) -> Plan | None:
    """The plan as a person edited it, unless the planner has made another one since."""
    newest = next((e.body for e in reversed(history) if isinstance(e.body, PlanEdited | PlanProposed)), None)
    return newest.plan if isinstance(newest, PlanEdited) else None


def _edited(
    state: RunState, pending: Collection[str], history: Sequence[RunEvent], decided: Container[str]
) -> Update | None:
    edited = newest_edit(history)
    if edited is None or not state.get("plan") or edited == Plan.model_validate(state["plan"]):
        return None
    if "plan" in pending and last_of_round(history, PlanProposed, state["round"]):
        return None  # it stands for the plan that the planner is about to find in the log
    update: RunState = {"plan": edited.model_dump(mode="json"), "verdict": None}
    if set(pending) <= {"plan", "review_plan"}:
        # What was decided on the plan before the edit is overtaken by it.
        return update, "review_plan" if f"plan-{state['round'] + 1}" in decided else "plan"
    if last_of_round(history, VerdictGiven, state["round"]):
        update["round"] = state["round"] + 1
    return update, "work"


def _reopened(state: RunState, pending: Collection[str], history: Sequence[RunEvent]) -> Update | None:
    """With other bounds, what a bound had stopped is done again."""
    if not _bounds_changed(history) or bodies(history, AnswerWritten) or not _BEHIND_THE_STEPS.issuperset(pending):
        return None
    if not state.get("plan"):
        return {}, "recall"
    stopped = {id_: None for id_, outcome in state["outcomes"].items() if outcome and outcome["status"] == "stopped"}
    if not stopped and (state.get("verdict") or set(pending) != {"answer"}):
        return None
    return {"outcomes": stopped, "verdict": None, "round": state["round"] + 1}, "work"


def _bounds_changed(history: Sequence[RunEvent]) -> bool:
    """Whether a bound was reached, and people changed the bounds since."""
    lines = [event.body for event in history if isinstance(event.body, BoundReached | BoundsChanged)]
    return any(isinstance(body, BoundReached) for body in lines) and isinstance(lines[-1], BoundsChanged)
