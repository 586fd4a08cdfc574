"""`RunState`: what LangGraph checkpoints at each superstep. Small plain JSON; transcripts rest in the run log."""

from typing import Annotated, Any

from langgraph.graph.message import add_messages
from typing_extensions import TypedDict  # langgraph makes JSON Schema of it, which 3.11's own can't


def merge_outcomes(old: dict[str, Any], new: dict[str, Any] | None) -> dict[str, Any]:
    """Parallel steps add their outcomes; `None` clears them for a new run or a new plan."""
    return {} if new is None else {**old, **new}


class RunState(TypedDict, total=False):
    """Values are the JSON forms of the classes in graph/state.py, so that strict deserialisation needs no types."""

    goal: str
    channel: str
    review_plan: bool
    collection: str
    run_id: str
    plan: dict[str, Any] | None
    outcomes: Annotated[dict[str, Any], merge_outcomes]
    verdict: dict[str, Any] | None
    feedback: dict[str, str]
    round: int
    answer: dict[str, Any] | None
    messages: Annotated[list[Any], add_messages]
