"""The limits of a run, and the wall in front of each model and tool call. What is used is read from the log."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import Field

from graph.errors import BoundReached
from graph.events import (
    ApprovalDecided,
    BoundsChanged,
    CancelRequested,
    EffectDecided,
    PauseRequested,
    PlanEdited,
    RunCreated,
    RunEvent,
    RunFinished,
    RunForked,
    RunHandedOver,
    RunInterrupted,
    RunPaused,
    RunResumed,
    ToolStarted,
    VerdictGiven,
)
from graph.state import Value

SAME_CALL_LIMIT = 3
_TO_SETTLE_S = 1.0
# The bodies' own classes are looked up: `isinstance` takes some 200 ns to say no of a pydantic class, in every turn of
# every step for every line of the log.
_PAUSES = frozenset((RunCreated, RunForked, RunHandedOver, RunInterrupted, RunPaused, RunFinished))
_FROM_OUTSIDE = frozenset(
    (ApprovalDecided, BoundsChanged, CancelRequested, EffectDecided, PauseRequested, PlanEdited, RunResumed)
)


class Bounds(Value):
    """Reaching one ends the run with what there is, and says so. `seconds` are those in which a worker has the run."""

    model_calls: int = Field(default=60, ge=1, le=10_000)
    tool_calls: int = Field(default=100, ge=0, le=10_000)
    critic_rounds: int = Field(default=3, ge=0, le=20)
    seconds: float = Field(default=900, gt=0, le=86_400)
    tokens: int = Field(default=500_000, ge=1)
    cost_usd: float = Field(default=2.0, ge=0, allow_inf_nan=False)


class Spent(Value):
    model_calls: int = 0
    tool_calls: int = 0
    critic_rounds: int = 0
    seconds: float = 0.0
    tokens: int = 0
    cost_usd: float = 0.0


def spent(history: Sequence[RunEvent], now: datetime) -> Spent:
    """What a run has used so far, from its log."""
    kinds = Counter(type(event.body) for event in history)
    calls = [body for event in history if (body := event.body).kind == "model_called" or body.kind == "model_failed"]
    return Spent(
        model_calls=len(calls),
        tool_calls=kinds[ToolStarted],
        critic_rounds=kinds[VerdictGiven],
        seconds=_active_seconds(history, now),
        tokens=sum(call.input_tokens + call.output_tokens for call in calls),
        cost_usd=sum(call.cost_usd for call in calls),
    )


def _active_seconds(history: Sequence[RunEvent], now: datetime) -> float:
    """Not counted: waiting in the queue, for a person, and between a failure and its resume."""
    active, since = timedelta(), None
    for event in history:
        if type(event.body) in _PAUSES:
            active, since = active + (event.at - since if since else timedelta()), None
        elif type(event.body) not in _FROM_OUTSIDE:
            since = since or event.at
    return (active + max(now - since, timedelta()) if since else active).total_seconds()


class Budget:
    """One attempt's wall: every call passes it first, and what is in flight in parallel steps counts as used.

    `history` is what the run itself did: what a fork inherited was its parent's to pay.
    `seconds_left`, `tool_call` and `model_call` raise BoundReached.
    """

    def __init__(self, bounds: Bounds, history: Sequence[RunEvent]) -> None:
        self.bounds = bounds
        self._history = history
        self._reserved, self._model_calls, self._tool_calls = 0.0, 0, 0
        self._announced: set[str] = set()

    def seconds_left(self) -> float:
        used = _active_seconds(self._history, datetime.now(UTC))
        if used >= self.bounds.seconds:
            raise BoundReached("seconds", self.bounds.seconds, round(used, 1))
        return self.bounds.seconds - used

    def seconds_for_tool(self) -> float:
        """What is left, and never nothing: a call that a crash cut off is settled even when the time is used up."""
        used = _active_seconds(self._history, datetime.now(UTC))
        return max(self.bounds.seconds - used, _TO_SETTLE_S)

    def rounds_used(self) -> int:
        return spent(self._history, datetime.now(UTC)).critic_rounds

    def announces(self, bound: str) -> bool:
        """True for the first of this attempt's steps that says it reached `bound`."""
        first = bound not in self._announced
        self._announced.add(bound)
        return first

    @contextmanager
    def tool_call(self) -> Iterator[None]:
        """Holds a place until the call's start stands in the log."""
        used = spent(self._history, datetime.now(UTC))
        _wall("tool_calls", self.bounds.tool_calls, used.tool_calls + self._tool_calls)
        _wall("seconds", self.bounds.seconds, used.seconds)
        self._tool_calls += 1
        try:
            yield
        finally:
            self._tool_calls -= 1

    @contextmanager
    def model_call(self, estimate: float) -> Iterator[None]:
        """Holds a place and `estimate` USD until the call has ended and its real cost stands in the log."""
        used = spent(self._history, datetime.now(UTC))
        _wall("model_calls", self.bounds.model_calls, used.model_calls + self._model_calls)
        _wall("tokens", self.bounds.tokens, used.tokens)
        _wall("seconds", self.bounds.seconds, used.seconds)
        committed = used.cost_usd + self._reserved
        if estimate and committed + estimate > self.bounds.cost_usd:
            raise BoundReached("cost_usd", self.bounds.cost_usd, round(committed + estimate, 6))
        self._reserved, self._model_calls = self._reserved + estimate, self._model_calls + 1
        try:
            yield
        finally:
            self._reserved, self._model_calls = self._reserved - estimate, self._model_calls - 1


def _wall(bound: str, limit: float, used: float) -> None:
    if used >= limit:
        raise BoundReached(bound, limit, used)
