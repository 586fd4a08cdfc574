"""What is written down about a run: one class a kind, a discriminated union over all.

A body is what a part of the system says; `RunEvent` is the body with its place in the log. `seq` has no gaps.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter

from graph.state import Answer, Overview, Plan, Source, StepOutcome, Value, Verdict


class RunCreated(Value):
    kind: Literal["run_created"] = "run_created"
    goal: str
    thread_id: str


class RunClaimed(Value):
    """A worker took the run; `fence` grows with every claim, `attempt` > 1 means another worker had it before.

    `bundle` is the hash of the version that the worker has installed: graph, prompts, tools, routes."""

    kind: Literal["run_claimed"] = "run_claimed"
    worker: str
    fence: int
    attempt: int
    bundle: str = ""


class RunHandedOver(Value):
    """Its worker is told to go: the run is back in the queue and goes on elsewhere."""

    kind: Literal["run_handed_over"] = "run_handed_over"
    worker: str
    fence: int


class RunForked(Value):
    """The run goes on from another one: its history begins with that one's lines up to `seq`."""

    kind: Literal["run_forked"] = "run_forked"
    run_id: str
    seq: int


class MemoryRecalled(Value):
    kind: Literal["memory_recalled"] = "memory_recalled"
    items: tuple[str, ...]


class ConversationRecalled(Value):
    """(goal, answer) of the thread's earlier runs, fixed when the run starts."""

    kind: Literal["conversation_recalled"] = "conversation_recalled"
    turns: tuple[tuple[str, str], ...]


class DocumentsListed(Value):
    """What the prompts say of the run's documents: as they were when it started, whatever is ingested meanwhile."""

    kind: Literal["documents_listed"] = "documents_listed"
    overview: Overview


class PlanProposed(Value):
    kind: Literal["plan_proposed"] = "plan_proposed"
    plan: Plan
    round: int


class PlanEdited(Value):
    kind: Literal["plan_edited"] = "plan_edited"
    plan: Plan
    by: str


class StepStarted(Value):
    kind: Literal["step_started"] = "step_started"
    step_id: str
    goal: str
    attempt: int


class ModelCalled(Value):
    """A model's reply, whole: with the tool events it is the run's transcript, stored once."""

    kind: Literal["model_called"] = "model_called"
    role: str
    step_id: str = ""
    attempt: int = 1
    model: str
    text: str
    tool_calls: tuple[dict[str, Any], ...] = ()
    prompt_version: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    duration_ms: float = 0.0


class ModelFailed(Value):
    """A reply that was paid for and can't be used; counts like any other call."""

    kind: Literal["model_failed"] = "model_failed"
    role: str
    code: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0


class ToolCallDelta(Value):
    """A piece of a tool's arguments as the model writes them: JSON text. What has come of a call, with `closes` behind
    it, is a JSON object at every moment. Where one `begins`, forget what came of the step's reply before;
    `model_called` holds the reply whole and replaces it."""

    kind: Literal["tool_call_delta"] = "tool_call_delta"
    step_id: str
    attempt: int
    call_id: str
    tool: str
    text: str
    closes: str = ""
    begins: bool = False


class ToolStarted(Value):
    kind: Literal["tool_started"] = "tool_started"
    step_id: str
    attempt: int
    call_id: str
    tool: str
    arguments: dict[str, Any]


class ToolFinished(Value):
    kind: Literal["tool_finished"] = "tool_finished"
    step_id: str
    attempt: int
    call_id: str
    tool: str
    ok: bool
    content: str
    sources: tuple[Source, ...] = ()
    duration_ms: float


class StepFinished(Value):
    kind: Literal["step_finished"] = "step_finished"
    outcome: StepOutcome


class VerdictGiven(Value):
    kind: Literal["verdict_given"] = "verdict_given"
    verdict: Verdict
    round: int


class ApprovalRequested(Value):
    kind: Literal["approval_requested"] = "approval_requested"
    approval_id: str
    approval_kind: Literal["plan", "tool"]
    name: str
    arguments: dict[str, Any]
    description: str
    expires_at: str


class ApprovalDecided(Value):
    kind: Literal["approval_decided"] = "approval_decided"
    approval_id: str
    decision: Literal["approve", "edit", "reject"]
    by: str
    reason: str = ""


class EffectUnknown(Value):
    """Nobody knows whether an effect happened; the run waits for a person. `round` counts a person's retries from 1."""

    kind: Literal["effect_unknown"] = "effect_unknown"
    key: str
    step_id: str
    tool: str
    arguments: dict[str, Any]
    reason: str
    round: int


class EffectDecided(Value):
    kind: Literal["effect_decided"] = "effect_decided"
    key: str
    decision: Literal["happened", "did_not", "retry"]
    by: str
    note: str = ""


class BoundsChanged(Value):
    """A person gave a stopped run other bounds: those that are named, from here on."""

    kind: Literal["bounds_changed"] = "bounds_changed"
    bounds: dict[str, float]
    by: str


class BoundReached(Value):
    kind: Literal["bound_reached"] = "bound_reached"
    bound: str
    limit: float
    used: float


class AnswerDelta(Value):
    """A piece of the answer as it is written. Where one `begins`, forget the pieces before it: an attempt that was
    killed, or a stream that broke, is told from the start again. `answer_written` holds the whole and replaces them."""

    kind: Literal["answer_delta"] = "answer_delta"
    text: str
    begins: bool = False


class AnswerWritten(Value):
    kind: Literal["answer_written"] = "answer_written"
    answer: Answer


class MemoryProposed(Value):
    kind: Literal["memory_proposed"] = "memory_proposed"
    items: tuple[str, ...]


class Noted(Value):
    """Something an operator should know that did not stop the run (a fallback, a part that is unavailable)."""

    kind: Literal["noted"] = "noted"
    code: str
    message: str


class CancelRequested(Value):
    kind: Literal["cancel_requested"] = "cancel_requested"
    by: str


class PauseRequested(Value):
    """The run stops at the end of what it is doing now."""

    kind: Literal["pause_requested"] = "pause_requested"
    by: str


class RunPaused(Value):
    """The run stands still until somebody resumes it."""

    kind: Literal["run_paused"] = "run_paused"
    by: str


class RunInterrupted(Value):
    """The run waits for a person; `approvals` are the ids that are open, `effects` the keys that are unknown."""

    kind: Literal["run_interrupted"] = "run_interrupted"
    approvals: tuple[str, ...]
    effects: tuple[str, ...] = ()


class RunResumed(Value):
    kind: Literal["run_resumed"] = "run_resumed"
    by: str


class StreamPart(Value):
    """What a hosted graph gave out: `event` as the LangGraph SDK names it, mode and namespace with `|` between them."""

    kind: Literal["stream_part"] = "stream_part"
    event: str
    data: Any = None


class RunFinished(Value):
    """Where it `waits`, the graph of a user stopped for a person or at a breakpoint; another run goes on from there.

    `effects` are the keys of those that nobody knows of: it ended around their calls, or before a person had said.
    """

    kind: Literal["run_finished"] = "run_finished"
    status: Literal["success", "error", "timeout", "cancelled"]
    code: str = ""
    message: str = ""
    waits: bool = False
    effects: tuple[str, ...] = ()


# fmt: off
EventBody = Annotated[
    RunCreated | RunClaimed | RunHandedOver | RunForked | MemoryRecalled | ConversationRecalled
    | DocumentsListed | PlanProposed | PlanEdited | StepStarted | ModelCalled | ModelFailed | ToolCallDelta
    | ToolStarted | ToolFinished | StepFinished | VerdictGiven | ApprovalRequested | ApprovalDecided
    | EffectUnknown | EffectDecided | BoundsChanged | BoundReached | AnswerDelta | AnswerWritten
    | MemoryProposed | Noted | CancelRequested | PauseRequested | RunPaused | RunInterrupted | RunResumed
    | StreamPart | RunFinished,
    Field(discriminator="kind"),
]
# fmt: on

# What is written of something that is still being written; the line that holds it whole replaces them.
DELTAS: Final = ("answer_delta", "tool_call_delta")
BODY: TypeAdapter[EventBody] = TypeAdapter(EventBody)


class RunEvent(Value):
    """A line of the log: `seq` counts from 1 per run, in commit order; `at` is the database's clock, UTC."""

    seq: int
    at: datetime
    body: EventBody
