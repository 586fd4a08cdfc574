"""A plan that a person edited: read strictly, and held against what the run has done by then."""

from typing import Any

from graph.events import AnswerWritten, PlanEdited, PlanProposed
from graph.plan_edit import begun_steps, broken_steps
from graph.state import Plan
from graph.transcript import newest_plan
from serving.errors import BadRequest, Conflict
from serving.runs.history import History


def edited_plan(arguments: Any) -> Plan:
    """Raises BadRequest that says what is wrong with a plan a person edited."""
    from pydantic import ValidationError

    try:
        return Plan.model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "plan"
        what = first["msg"].removeprefix("Value error, ")
        raise BadRequest(f"{where}: {what}", "trireme plan RUN shows the plan as it was", "bad_plan") from None


def changes_plan(run_id: str, history: History, edited: Plan, last_seq: int) -> bool:
    """False when the plan is already the edited one. `last_seq`: up to which line of the log the person had seen it.

    Raises Conflict (no_plan, answer_written, plan_changed), BadRequest for steps that have begun and aren't as before.
    """
    plan = newest_plan(history.whole)
    if plan is None:
        raise Conflict(f"run {run_id} has no plan yet", f"go on with it: trireme resume {run_id}", "no_plan")
    if any(isinstance(event.body, AnswerWritten) for event in history.whole):
        hint = f"fork it from an earlier line: trireme fork {run_id} --list"
        raise Conflict(f"run {run_id} has written its answer: its plan is carried out", hint, "answer_written")
    if plan == edited:
        return False
    changed = [event.seq for event in history.own if isinstance(event.body, PlanProposed | PlanEdited)]
    if changed and changed[-1] > last_seq:
        hint = f"look at it again: trireme plan {run_id}"
        raise Conflict(f"the plan was changed in line {changed[-1]}, after you saw it", hint, "plan_changed")
    if broken := broken_steps(plan, edited, begun_steps(history.whole)):
        raise BadRequest(
            f"step {', '.join(broken)} has begun: it can be neither changed nor dropped",
            "leave it as it was; say in a new step what is to be done otherwise",
            "step_begun",
        )
    return True
