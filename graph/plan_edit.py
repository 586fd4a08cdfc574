"""A person's edit of the plan while the run stands still: what it must leave as it is."""

from collections.abc import Container, Sequence

from graph.events import PlanEdited, PlanProposed, RunEvent, StepFinished, StepStarted, VerdictGiven
from graph.state import Plan


def begun_steps(history: Sequence[RunEvent]) -> set[str]:
    """Steps of the newest plan that are done or under way, but for those that the critic wants done again."""
    plan: Plan | None = None
    begun: set[str] = set()
    for event in history:
        match event.body:
            case PlanProposed():
                plan, begun = event.body.plan, set()
            case PlanEdited():
                plan = event.body.plan
            case StepStarted():
                begun.add(event.body.step_id)
            case StepFinished():
                begun.add(event.body.outcome.step_id)
            case VerdictGiven() if plan and event.body.verdict.decision == "revise":
                begun -= plan.with_dependents(set(event.body.verdict.revise))
    return begun


def broken_steps(plan: Plan, edited: Plan, begun: Container[str]) -> list[str]:
    """Steps that have begun and are not in the edited plan as they were."""
    return [step.id for step in plan.steps if step.id in begun and step not in edited.steps]
