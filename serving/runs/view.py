"""What a caller sees of a run: its row and its log, folded into one object. All surfaces show this."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from graph.events import (
    DELTAS,
    AnswerWritten,
    ApprovalDecided,
    ApprovalRequested,
    EffectDecided,
    EffectUnknown,
    ModelCalled,
    ModelFailed,
    PlanEdited,
    PlanProposed,
    RunEvent,
    RunFinished,
    RunInterrupted,
    StepFinished,
    ToolFinished,
    ToolStarted,
    VerdictGiven,
)
from graph.form import Form
from graph.profile import Profile
from graph.state import Citation, Plan, StepOutcome, Verdict
from serving.database import Row
from serving.runs.history import History

TERMINAL = frozenset({"success", "error", "timeout", "cancelled"})


class UsageView(BaseModel):
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class ErrorView(BaseModel):
    code: str
    message: str


class RunView(BaseModel):
    """`phase` says what a run is doing now; `approvals` are the questions that wait for a person, `effects` those of
    which a person must say whether they happened, `artifacts` the names of the files it wrote; `log_head` (hex)
    stands for the log as it is, whole. After `pruned_at` only what the row knows is left.

    A fork shows the plan and the steps that it goes on from; usage, cost, duration and files are its own.
    """

    run_id: str
    thread_id: str
    forked_from: str | None = None
    forked_seq: int | None = None
    status: str
    phase: str
    goal: str
    collection: str = ""
    channel: str = "api"
    profile: Profile = Profile()
    form: Form | None = None
    answer: str | None = None
    partial: bool = False
    note: str = ""
    sources: tuple[Citation, ...] = ()
    plan: Plan | None = None
    steps: tuple[StepOutcome, ...] = ()
    verdict: Verdict | None = None
    approvals: tuple[ApprovalRequested, ...] = ()
    effects: tuple[EffectUnknown, ...] = ()
    artifacts: tuple[str, ...] = ()
    usage: UsageView
    cost_usd: float = 0.0
    cached_share: float = 0.0
    model: str = ""
    error: ErrorView | None = None
    duration_s: float = 0.0
    last_seq: int
    log_head: str
    priority: int = 0
    run_at: datetime | None = None
    created_at: datetime
    finished_at: datetime | None = None
    pruned_at: datetime | None = None


def view_of(row: Row, history: History) -> RunView:
    bodies, own = [event.body for event in history.whole], [event.body for event in history.own]
    calls = [body for body in own if isinstance(body, ModelCalled | ModelFailed)]
    plans = [body.plan for body in bodies if isinstance(body, PlanProposed | PlanEdited)]
    answers = [body.answer for body in bodies if isinstance(body, AnswerWritten)]
    verdicts = [body.verdict for body in bodies if isinstance(body, VerdictGiven)]
    answer = answers[-1] if answers else None
    usage = _usage(calls, sum(isinstance(body, ToolStarted) for body in own))
    end = row["finished_at"] or (history.own[-1].at if history.own else row["created_at"])
    return RunView(
        run_id=str(row["run_id"]),
        thread_id=str(row["thread_id"]),
        forked_from=row["forked_from"] and str(row["forked_from"]),
        forked_seq=row["forked_seq"],
        status=row["status"],
        phase=phase_of(row, history.whole),
        goal=row["request"]["goal"],
        collection=row["request"].get("collection", ""),
        channel=row["request"].get("channel", "api"),
        profile=Profile.model_validate(row["profile"] or {}),
        form=row["request"].get("form"),
        answer=answer.text if answer else None,
        partial=answer.partial if answer else False,
        note=answer.note if answer else "",
        sources=answer.sources if answer else (),
        plan=plans[-1] if plans else None,
        steps=tuple(body.outcome for body in bodies if isinstance(body, StepFinished)),
        verdict=verdicts[-1] if verdicts else None,
        approvals=_open(own) if row["status"] == "interrupted" else (),
        effects=_unknown(own) if row["status"] == "interrupted" else (),
        artifacts=tuple(row["artifacts"]),
        usage=usage,
        cost_usd=round(sum(call.cost_usd for call in calls), 6),
        cached_share=round(usage.cached_tokens / usage.input_tokens, 4) if usage.input_tokens else 0.0,
        model=", ".join(sorted({call.model for call in calls if isinstance(call, ModelCalled)})),
        error=_error(row["status"], own),
        duration_s=round((end - row["created_at"]).total_seconds(), 3),
        last_seq=row["last_seq"],
        log_head=row["log_head"].hex(),
        priority=row["priority"],
        run_at=row["run_at"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        pruned_at=row["pruned_at"],
    )


def is_settled(status: str) -> bool:
    """Whether it does nothing more by itself: it has ended, or waits for a person."""
    return status in TERMINAL or status == "interrupted"


def is_paused(row: Row) -> bool:
    """A run that stands still because somebody said so is due at no time; one that asks a person is due some day."""
    return row["status"] == "interrupted" and row["paused_by"] is not None and row["run_at"] is None


def phase_of(row: Row, history: Sequence[RunEvent]) -> str:
    """Derived from the log's last line; the status itself when nothing is under way."""
    status: str = row["status"]
    if status == "interrupted":
        return "paused" if is_paused(row) else "waiting_for_human"
    if status == "running" and row["paused_by"] is not None:
        return "pausing"
    if status != "running" or not history:
        return status
    last = next((event.body for event in reversed(history) if event.body.kind not in DELTAS), history[-1].body)
    if isinstance(last, ToolStarted):
        return "waiting_for_tool"
    if isinstance(last, ToolFinished | VerdictGiven | StepFinished) or last.kind == "step_started":
        return "waiting_for_model"
    return "planning" if not any(isinstance(event.body, PlanProposed) for event in history) else "working"


def _usage(calls: Sequence[ModelCalled | ModelFailed], tools: int) -> UsageView:
    return UsageView(
        model_calls=len(calls),
        tool_calls=tools,
        input_tokens=sum(call.input_tokens for call in calls),
        output_tokens=sum(call.output_tokens for call in calls),
        cached_tokens=sum(call.cached_tokens for call in calls),
    )


def _open(bodies: Sequence[Any]) -> tuple[ApprovalRequested, ...]:
    waiting = next((body.approvals for body in reversed(bodies) if isinstance(body, RunInterrupted)), ())
    decided = {body.approval_id for body in bodies if isinstance(body, ApprovalDecided)}
    asked = {body.approval_id: body for body in bodies if isinstance(body, ApprovalRequested)}
    return tuple(asked[id_] for id_ in waiting if id_ in asked and id_ not in decided)


def _unknown(bodies: Sequence[Any]) -> tuple[EffectUnknown, ...]:
    waiting: dict[str, EffectUnknown] = {}
    for body in bodies:
        if isinstance(body, EffectUnknown):
            waiting[body.key] = body
        elif isinstance(body, EffectDecided):
            waiting.pop(body.key, None)
    return tuple(waiting.values())


def _error(status: str, bodies: Sequence[Any]) -> ErrorView | None:
    ends = [body for body in bodies if isinstance(body, RunFinished)]
    if status not in TERMINAL or not ends or not ends[-1].code:
        return None
    return ErrorView(code=ends[-1].code, message=ends[-1].message)
