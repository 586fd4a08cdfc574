"""A run's log as the graph writes it: planned, taken over after a kill, paused for a person, answered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from graph.events import (
    AnswerDelta,
    AnswerWritten,
    ApprovalDecided,
    ApprovalRequested,
    EventBody,
    ModelCalled,
    Noted,
    PlanProposed,
    RunClaimed,
    RunCreated,
    RunEvent,
    RunFinished,
    RunInterrupted,
    RunResumed,
    StepFinished,
    StepStarted,
    ToolFinished,
    ToolStarted,
    VerdictGiven,
)
from graph.state import Answer, Plan, Step, StepOutcome, Verdict

RUN_ID = "01900000-0000-7000-8000-0000000000aa"
THREAD_ID = "01900000-0000-7000-8000-0000000000bb"
BEGAN = datetime(2026, 11, 21, 9, 0, 0, 123_456, tzinfo=UTC)
TICK = timedelta(milliseconds=250)
MODEL = "gemini/gemini-3.8-flash"
GOAL = "Ask [NAME_1] at [EMAIL_1] for the figures"
ANSWER = "[NAME_1] has been asked [1]."


def story() -> list[RunEvent]:
    """One event a TICK, from BEGAN on; `seq` counts from 1."""
    return [RunEvent(seq=n, at=BEGAN + (n - 1) * TICK, body=body) for n, body in enumerate(_bodies(), 1)]


def chat(role: str, step_id: str = "", text: str = "fine", *calls: dict[str, object]) -> ModelCalled:
    return ModelCalled(
        role=role,
        step_id=step_id,
        model=MODEL,
        text=text,
        tool_calls=calls,
        prompt_version="3f2a9c1d",
        input_tokens=1_200,
        output_tokens=40,
        cached_tokens=960,
        cost_usd=0.0021,
        duration_ms=100.0,
    )


def _bodies() -> Iterator[EventBody]:
    steps = (
        Step(id="s1", goal="find the address", done_when="it is known"),
        Step(id="s2", goal="write to [NAME_1]", depends_on=("s1",), done_when="it is sent"),
    )
    yield RunCreated(goal=GOAL, thread_id=THREAD_ID)
    yield RunClaimed(worker="one", fence=1, attempt=1)
    yield chat("planner", "", '{"steps": []}')
    yield PlanProposed(plan=Plan(steps=steps), round=0)
    yield StepStarted(step_id="s1", goal=steps[0].goal, attempt=1)
    yield chat("worker", "s1", "", {"id": "c1", "name": "search_documents", "arguments": {"query": "[NAME_1]"}})
    yield _tool_started("s1", "c1", "search_documents", {"query": "[NAME_1]"})
    yield RunClaimed(worker="two", fence=2, attempt=2)
    yield _tool_finished("s1", "c1", "search_documents", '{"hits": ["[EMAIL_1]"]}')
    yield StepFinished(outcome=StepOutcome(step_id="s1", status="done", finding="it is [EMAIL_1]"))
    yield StepStarted(step_id="s2", goal=steps[1].goal, attempt=1)
    yield _tool_started("s2", "c1", "send_email", {"to": "[EMAIL_1]"})
    yield ApprovalRequested(
        approval_id="a1",
        approval_kind="tool",
        name="send_email",
        arguments={"to": "[EMAIL_1]"},
        description="sends an e-mail",
        expires_at="2026-11-28T09:00:00Z",
    )
    yield RunInterrupted(approvals=("a1",))
    yield ApprovalDecided(approval_id="a1", decision="approve", by="sam")
    yield RunResumed(by="sam")
    yield RunClaimed(worker="two", fence=3, attempt=1)
    yield _tool_finished("s2", "c1", "send_email", '{"error": "no route to [EMAIL_1]"}', ok=False)
    yield Noted(code="mail_down", message="the mail server did not answer for [EMAIL_1]")
    yield StepFinished(outcome=StepOutcome(step_id="s2", status="failed", finding="the mail did not go out"))
    yield chat("critic", "", '{"decision": "accept"}')
    yield VerdictGiven(verdict=Verdict(decision="accept", reasons=("as good as it gets",)), round=0)
    yield AnswerDelta(text=ANSWER[:4])
    yield chat("writer", "", ANSWER)
    yield AnswerWritten(answer=Answer(text=ANSWER, partial=True))
    yield RunFinished(status="success")


def _tool_started(step_id: str, call_id: str, tool: str, arguments: dict[str, object]) -> ToolStarted:
    return ToolStarted(step_id=step_id, attempt=1, call_id=call_id, tool=tool, arguments=arguments)


def _tool_finished(step_id: str, call_id: str, tool: str, content: str, *, ok: bool = True) -> ToolFinished:
    return ToolFinished(step_id=step_id, attempt=1, call_id=call_id, tool=tool, ok=ok, content=content, duration_ms=9.0)
