"""The wall in front of every call, and what counts as used time."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from graph.bounds import Bounds, Budget, spent
from graph.errors import BoundReached
from graph.events import (
    ApprovalDecided,
    CancelRequested,
    EventBody,
    ModelCalled,
    ModelFailed,
    Noted,
    RunClaimed,
    RunCreated,
    RunEvent,
    RunFinished,
    RunInterrupted,
    RunResumed,
    ToolStarted,
)

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = RunCreated(goal="g", thread_id="t")
CLAIMED = RunClaimed(worker="w", fence=1, attempt=1)
WORK = Noted(code="c", message="m")
FAILED = RunFinished(status="error", code="model_unavailable")


def history(*lines: tuple[float, EventBody]) -> list[RunEvent]:
    return [
        RunEvent(seq=seq, at=BEGUN + timedelta(seconds=second), body=body)
        for seq, (second, body) in enumerate(lines, 1)
    ]


def seconds(now: float, *lines: tuple[float, EventBody]) -> float:
    return spent(history(*lines), BEGUN + timedelta(seconds=now)).seconds


def called(cost_usd: float = 0.0, tokens: int = 0) -> ModelCalled:
    return ModelCalled(role="worker", model="m", text="", input_tokens=tokens, cost_usd=cost_usd)


def test_time_in_the_queue_does_not_count() -> None:
    assert seconds(100, (0, CREATED)) == 0
    assert seconds(100, (0, CREATED), (90, CLAIMED)) == 10


def test_time_that_waits_for_a_person_does_not_count() -> None:
    lines: list[tuple[float, EventBody]] = [(0, CREATED), (1, CLAIMED), (5, RunInterrupted(approvals=("a",)))]
    assert seconds(1_000, *lines) == 4
    lines += [(2_000, ApprovalDecided(approval_id="a", decision="approve", by="ops")), (2_000, RunResumed(by="ops"))]
    assert seconds(2_500, *lines) == 4, "it waits for a worker now"
    lines += [(3_000, CLAIMED)]
    assert seconds(3_002, *lines) == 6


def test_time_between_a_failure_and_its_resume_does_not_count() -> None:
    """Else a run that is resumed the next day would have no second left."""
    lines: list[tuple[float, EventBody]] = [(0, CREATED), (0, CLAIMED), (7, FAILED), (86_400, RunResumed(by="ops"))]
    assert seconds(86_405, *lines) == 7
    assert seconds(86_410, *lines, (86_405, CLAIMED)) == 12


def test_a_dead_workers_time_counts_until_the_end() -> None:
    assert seconds(60, (0, CREATED), (10, CLAIMED), (12, WORK), (40, CLAIMED)) == 50


def test_a_cancel_request_neither_starts_nor_stops_the_clock() -> None:
    assert seconds(9, (0, CREATED), (3, CancelRequested(by="ops"))) == 0
    assert seconds(9, (0, CREATED), (3, CLAIMED), (5, CancelRequested(by="ops"))) == 6


def test_a_log_without_claims_counts_from_its_first_work() -> None:
    assert seconds(9, (4, WORK), (6, WORK)) == 5
    assert seconds(9) == 0


def test_a_clock_that_runs_behind_the_databases_gives_no_negative_time() -> None:
    assert seconds(0, (0, CREATED), (30, CLAIMED)) == 0


def test_each_limit_stands_in_front_of_the_call() -> None:
    done = [RunEvent(seq=1, at=datetime.now(UTC), body=called(cost_usd=0.5, tokens=100))]
    for bounds in (Bounds(model_calls=1), Bounds(tokens=100), Bounds(cost_usd=0.7)):
        with pytest.raises(BoundReached), Budget(bounds, done).model_call(0.3):
            pytest.fail("the call went out")
    with Budget(Bounds(model_calls=2, tokens=101, cost_usd=0.8), done).model_call(0.3):
        pass


def test_no_call_is_made_when_the_seconds_are_over() -> None:
    long_ago = history((0, WORK))
    for wall in (Budget(Bounds(), long_ago).model_call(0.0), Budget(Bounds(), long_ago).tool_call()):
        with pytest.raises(BoundReached, match="seconds"), wall:
            pytest.fail("the call went out")
    with pytest.raises(BoundReached, match="seconds"):
        Budget(Bounds(), long_ago).seconds_left()


def test_a_paid_reply_that_was_useless_counts() -> None:
    failed = ModelFailed(role="planner", code="bad_reply", input_tokens=60, output_tokens=40, cost_usd=0.5)
    used = spent(history((0, failed)), BEGUN)
    assert (used.model_calls, used.tokens, used.cost_usd) == (1, 100, 0.5)


def test_money_and_calls_in_flight_count_and_are_given_back() -> None:
    budget = Budget(Bounds(cost_usd=1.0, model_calls=2, tool_calls=1), [])
    with budget.model_call(0.6):
        with pytest.raises(BoundReached, match="cost_usd"), budget.model_call(0.5):
            pytest.fail("more than the limit was reserved")
        with budget.model_call(0.4), pytest.raises(BoundReached, match="model_calls"), budget.model_call(0.0):
            pytest.fail("a third call at once")
    with budget.model_call(1.0):
        pass
    with budget.tool_call(), pytest.raises(BoundReached, match="tool_calls"), budget.tool_call():
        pytest.fail("a second tool call at once")


def test_a_failed_call_gives_its_reservation_back() -> None:
    budget = Budget(Bounds(cost_usd=1.0), [])
    with pytest.raises(ZeroDivisionError), budget.model_call(0.9):
        raise ZeroDivisionError
    with budget.model_call(0.9):
        pass


def test_a_model_without_a_price_runs_without_a_budget() -> None:
    with Budget(Bounds(cost_usd=0), []).model_call(0.0):
        pass
    with pytest.raises(BoundReached), Budget(Bounds(cost_usd=0), []).model_call(0.000001):
        pytest.fail("it cost something")


def test_tool_calls_may_be_forbidden() -> None:
    with pytest.raises(BoundReached), Budget(Bounds(tool_calls=0), []).tool_call():
        pytest.fail("a tool was called")


def test_what_is_started_counts_as_a_tool_call() -> None:
    started = ToolStarted(step_id="s1", attempt=1, call_id="c", tool="lookup", arguments={})
    assert spent(history((0, started), (0, started)), BEGUN).tool_calls == 2


@pytest.mark.parametrize(
    "value",
    [
        {"model_calls": 0},
        {"tool_calls": -1},
        {"critic_rounds": 21},
        {"seconds": 0},
        {"seconds": "inf"},
        {"tokens": 0},
        {"cost_usd": -0.1},
        {"cost_usd": "inf"},
        {"cost_usd": float("nan")},
        {"dollars": 1},
    ],
)
def test_bounds_that_bound_nothing_are_refused(value: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Bounds.model_validate(value)
