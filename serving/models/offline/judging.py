"""The critic: a step that failed, or cites nothing, gets one more try; then the gap is stated."""

from graph.ports import ReviewTask
from graph.state import StepOutcome, Verdict

_SECOND_LOOK = "not found at the first attempt: look again with other words"


def review(task: ReviewTask) -> Verdict:
    open_steps = [outcome for outcome in task.outcomes if outcome.status != "done"]
    again = {o.step_id: why for o in task.outcomes if o.attempt == 1 and (why := _wrong(task, o))}
    if again and task.round == 0:
        return Verdict(decision="revise", reasons=tuple(f"{id_}: {why}" for id_, why in again.items()), revise=again)
    reasons = tuple(f"{outcome.step_id}: {outcome.finding}" for outcome in open_steps)
    # That the documents don't hold it is an answer; an action that was not carried out is none.
    honest = all(outcome.finding.startswith("The documents do not say") for outcome in open_steps)
    return Verdict(decision="accept" if honest else "give_up", reasons=reasons)


def _wrong(task: ReviewTask, outcome: StepOutcome) -> str:
    """What speaks for another try; nothing where a step that it rests on has failed."""
    step = task.plan.step(outcome.step_id)
    if outcome.status == "failed":
        failed = {other.step_id for other in task.outcomes if other.status != "done"}
        return _SECOND_LOOK if failed.isdisjoint(step.depends_on) else ""
    uncited = not outcome.sources and not step.depends_on and "search_documents" in step.tools
    return "the finding cites no source" if uncited and outcome.status == "done" else ""
