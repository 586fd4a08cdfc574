"""The critic: a step that failed, or cites nothing, gets one more try; then the gap is stated."""

from graph.ports import ReviewTask
from graph.state import Plan, StepOutcome, Verdict

_SECOND_LOOK = "not found at the first attempt: look again with other words, and read the likeliest document whole"


def review(task: ReviewTask) -> Verdict:
    open_steps = [outcome for outcome in task.outcomes if outcome.status != "done"]
    again = {
        o.step_id: _SECOND_LOOK for o in open_steps if o.status == "failed" and o.attempt == 1 and _own_failure(task, o)
    }
    again |= {o.step_id: reason for o in task.outcomes if o.attempt == 1 and (reason := _unfounded(task.plan, o))}
    if again and task.round == 0:
        return Verdict(decision="revise", reasons=tuple(f"{id_}: {why}" for id_, why in again.items()), revise=again)
    reasons = tuple(f"{outcome.step_id}: {outcome.finding}" for outcome in open_steps)
    # That the documents don't hold it is an answer; an action that was not carried out is none.
    honest = all(outcome.finding.startswith("The documents do not say") for outcome in open_steps)
    return Verdict(decision="accept" if honest else "give_up", reasons=reasons)


def _own_failure(task: ReviewTask, outcome: StepOutcome) -> bool:
    """Whether the step itself failed, and not a step that it rests on."""
    failed = {other.step_id for other in task.outcomes if other.status != "done"}
    return failed.isdisjoint(task.plan.step(outcome.step_id).depends_on)


def _unfounded(plan: Plan, outcome: StepOutcome) -> str:
    """A look-up that cites nothing."""
    step = plan.step(outcome.step_id)
    if outcome.status != "done" or step.depends_on or "search_documents" not in step.tools:
        return ""
    return "" if outcome.sources else "the finding cites no source"
