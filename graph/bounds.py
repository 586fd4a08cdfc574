"""The limits of a run, and the wall in front of each model and tool call. What is used is read from the log."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import Field

from graph.errors import BoundReached
from graph.events import (
    ModelCalled,
    ModelFailed,
    RunClaimed,
    RunEvent,
    RunInterrupted,
    RunResumed,
    ToolStarted,
    VerdictGiven,
)
from graph.state import Value

SAME_CALL_LIMIT = 3


class Bounds(Value):
    """Reaching one ends the run with what there is, and says so. Time that waits for a person doesn't count."""

    model_calls: int = Field(default=60, ge=1, le=10_000)
    tool_calls: int = Field(default=100, ge=0, le=10_000)
    critic_rounds: int = Field(default=3, ge=0, le=20)
    seconds: float = Field(default=900, gt=0, le=86_400)
    tokens: int = Field(default=500_000, ge=1)
    cost_usd: float = Field(default=2.0, ge=0)


class Spent(Value):
    model_calls: int = 0
    tool_calls: int = 0
    critic_rounds: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost_usd: float = 0.0


def spent(history: Sequence[RunEvent], now: datetime) -> Spent:
    """What a run has used so far, from its log."""
    bodies = [event.body for event in history]
    calls = [body for body in bodies if isinstance(body, ModelCalled | ModelFailed)]
    return Spent(
        model_calls=len(calls),
        tool_calls=sum(isinstance(body, ToolStarted) for body in bodies),
        critic_rounds=sum(isinstance(body, VerdictGiven) for body in bodies),
        seconds=_active_time(history, now).total_seconds(),
        tokens=sum(call.input_tokens + call.output_tokens for call in calls),
        cost_usd=sum(call.cost_usd for call in calls),
    )


def _active_time(history: Sequence[RunEvent], now: datetime) -> timedelta:
    if not history:
        return timedelta()
    waited, since = timedelta(), None
    for event in history:
        if isinstance(event.body, RunInterrupted):
            since = since or event.at
        elif isinstance(event.body, RunResumed | RunClaimed) and since:
            waited, since = waited + (event.at - since), None
    return max(now - history[0].at - waited, timedelta())


class Budget:
    """One attempt's wall: every call passes it first, and money in flight counts as spent.

    Raises BoundReached from each method.
    """

    def __init__(self, bounds: Bounds, history: Sequence[RunEvent]) -> None:
        self.bounds = bounds
        self._history = history
        self._reserved = 0.0

    def seconds_left(self) -> float:
        used = spent(self._history, datetime.now(UTC)).seconds
        if used >= self.bounds.seconds:
            raise BoundReached("seconds", self.bounds.seconds, round(used, 1))
        return self.bounds.seconds - used

    def check_tool(self) -> None:
        used = spent(self._history, datetime.now(UTC))
        _wall("tool_calls", self.bounds.tool_calls, used.tool_calls)
        _wall("seconds", self.bounds.seconds, used.seconds)

    @contextmanager
    def model_call(self, estimate: float) -> Iterator[None]:
        """Holds `estimate` USD until the call has ended and its real cost stands in the log."""
        used = spent(self._history, datetime.now(UTC))
        _wall("model_calls", self.bounds.model_calls, used.model_calls)
        _wall("tokens", self.bounds.tokens, used.tokens)
        _wall("seconds", self.bounds.seconds, used.seconds)
        committed = used.cost_usd + self._reserved
        if estimate and committed + estimate > self.bounds.cost_usd:
            raise BoundReached("cost_usd", self.bounds.cost_usd, round(committed + estimate, 6))
        self._reserved += estimate
        try:
            yield
        finally:
            self._reserved -= estimate


def _wall(bound: str, limit: float, used: float) -> None:
    if used >= limit:
        raise BoundReached(bound, limit, used)
