"""What the log says happened so far: the nodes read it here, so a repeated node goes on instead of starting over."""

from collections.abc import Sequence
from typing import TypeVar, cast

from graph.events import (
    BoundReached,
    BoundsChanged,
    DocumentsListed,
    MemoryRecalled,
    ModelCalled,
    PlanEdited,
    PlanProposed,
    RunEvent,
    RunForked,
    ToolFinished,
    ToolStarted,
)
from graph.ports import Message, ToolCall
from graph.state import Overview, Plan, Value
from privacy.redact import from_record

Body = TypeVar("Body", bound=Value)


def bodies(history: Sequence[RunEvent], kind: type[Body]) -> list[Body]:
    return [cast(Body, event.body) for event in history if type(event.body) is kind]


def last_of_round(history: Sequence[RunEvent], kind: type[Body], round_: int) -> Body | None:
    """The newest body of `kind` in critic round `round_`, or None when that part has not been done yet."""
    return next((body for body in reversed(bodies(history, kind)) if getattr(body, "round", None) == round_), None)


def newest_plan(history: Sequence[RunEvent]) -> Plan | None:
    """The plan as it was last proposed or edited."""
    plans = (event.body.plan for event in reversed(history) if isinstance(event.body, PlanProposed | PlanEdited))
    return next(plans, None)


def memory_of(history: Sequence[RunEvent]) -> tuple[str, ...]:
    recalled = bodies(history, MemoryRecalled)
    return recalled[0].items if recalled else ()


def overview_of(history: Sequence[RunEvent]) -> Overview:
    listed = bodies(history, DocumentsListed)
    return listed[0].overview if listed else Overview()


def bounds_reached(history: Sequence[RunEvent]) -> list[BoundReached]:
    """Those that still hold: a fork counts from zero, and changed bounds are measured anew."""
    return bodies(_since(history, BoundsChanged, RunForked), BoundReached)


def own_lines(history: Sequence[RunEvent]) -> Sequence[RunEvent]:
    """Without what a fork inherited."""
    return _since(history, RunForked)


def _since(history: Sequence[RunEvent], *kinds: type[Value]) -> Sequence[RunEvent]:
    found = (at for at in range(len(history), 0, -1) if isinstance(history[at - 1].body, kinds))
    return history[next(found, 0) :]


def stopped_by(history: Sequence[RunEvent]) -> str:
    """The run-wide bound that was reached, as a sentence; empty when none was."""
    reached = [body for body in bounds_reached(history) if body.bound != "repeated_call"]
    return f"the limit of {reached[0].limit:g} {reached[0].bound} was reached" if reached else ""


class StepTranscript:
    """The tool loop of one attempt at one step, as far as it has come."""

    def __init__(self, history: Sequence[RunEvent], step_id: str, attempt: int) -> None:
        mine = [
            event.body
            for event in history
            if isinstance(event.body, ModelCalled | ToolStarted | ToolFinished)
            and event.body.step_id == step_id
            and event.body.attempt == attempt
        ]
        self.replies = [body for body in mine if isinstance(body, ModelCalled)]
        self.started = [body for body in mine if isinstance(body, ToolStarted)]
        self.results = {body.call_id: body for body in mine if isinstance(body, ToolFinished)}

    def messages(self) -> tuple[Message, ...]:
        found: list[Message] = []
        for reply in self.replies:
            calls = tuple(ToolCall.model_validate(call) for call in reply.tool_calls)
            found.append(Message("assistant", from_record(reply.text), tool_calls=calls))
            found += [
                Message("tool", from_record(self.results[call.id].content), tool_call_id=call.id)
                for call in calls
                if call.id in self.results
            ]
        return tuple(found)

    def last_words(self) -> str | None:
        """The newest reply when it called no tool."""
        return self.replies[-1].text if self.replies and not self.replies[-1].tool_calls else None

    def waiting(self) -> ToolCall | None:
        """The first tool call of the newest reply that has no result yet."""
        calls = self.replies[-1].tool_calls if self.replies else ()
        return next((ToolCall.model_validate(call) for call in calls if call["id"] not in self.results), None)

    def called(self) -> set[str]:
        """The ids of all its tool calls."""
        return {call["id"] for reply in self.replies for call in reply.tool_calls}

    def times_called(self, call: ToolCall) -> int:
        """How often this tool has been started with exactly these arguments."""
        return sum(body.tool == call.name and body.arguments == call.arguments for body in self.started)

    def has_started(self, call: ToolCall) -> bool:
        return any(body.call_id == call.id for body in self.started)
