"""What the graph needs from outside, as Protocols, and the values that cross them. `Deps` bundles them for one run.

Nothing here knows HTTP, SQL or a provider; `serving` implements each port and composes them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, Field

from graph.bounds import Budget
from graph.events import EventBody, RunEvent
from graph.form import Form
from graph.profile import Profile
from graph.prompt import Prompts, present_prompts
from graph.state import DocumentInfo as DocumentInfo
from graph.state import Overview as Overview
from graph.state import Plan, Source, Step, StepOutcome, Value, Verdict
from graph.state import TableInfo as TableInfo
from privacy.redact import Redacted

Role = Literal["planner", "worker", "critic", "writer"]


class ToolSchema(Value):
    """A tool as the model sees it. `parameters` is JSON Schema; schemas are sent sorted by name."""

    name: str
    description: str
    parameters: dict[str, Any]


class ToolCall(Value):
    id: str
    name: str
    arguments: dict[str, Any]


class PlanTask(Value):
    role: Literal["planner"] = "planner"
    goal: str
    overview: Overview
    memory: tuple[str, ...] = ()
    previous: tuple[tuple[str, str], ...] = Field(
        default=(), description="(goal, answer) of earlier runs on the thread"
    )
    feedback: tuple[str, ...] = Field(default=(), description="why the last plan was not enough")


class StepTask(Value):
    role: Literal["worker"] = "worker"
    goal: str
    step: Step
    overview: Overview
    memory: tuple[str, ...] = ()
    known: tuple[StepOutcome, ...] = Field(default=(), description="outcomes of the steps this one depends on")
    feedback: str = Field(default="", description="what the critic missed at the last attempt")


class ReviewTask(Value):
    role: Literal["critic"] = "critic"
    goal: str
    plan: Plan
    outcomes: tuple[StepOutcome, ...]
    round: int


class AnswerTask(Value):
    """`sources` are numbered from 1 in this order; the text cites them as [1], [2]."""

    role: Literal["writer"] = "writer"
    goal: str
    outcomes: tuple[StepOutcome, ...]
    sources: tuple[Source, ...]
    profile: Profile = Field(default_factory=Profile)
    memory: tuple[str, ...] = ()
    verdict: Verdict | None = None
    stopped: str = ""


Task = PlanTask | StepTask | ReviewTask | AnswerTask
Wanted = type[BaseModel] | Form


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant", "tool"]
    content: Redacted
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a model.

    `messages` is the whole prompt in prefix order (see graph/prefix.py): what providers get. `task` says the same as
    data: what the offline model reads. `transcript` is the tool loop so far of a StepTask, oldest first.
    `reply` is what the text must parse as, a pydantic class or a caller's form; None for free text or tool calls.
    """

    run_id: str
    thread_id: str
    task: Task
    messages: tuple[Message, ...]
    tools: tuple[ToolSchema, ...]
    transcript: tuple[Message, ...] = ()
    reply: Wanted | None = None
    allow_tools: bool = False
    max_tokens: int = 4_096
    model: str | None = None


class Usage(Value):
    """Tokens as the provider counted them; `cached_tokens` is the part of `input_tokens` read from a prefix cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelReply:
    text: Redacted
    model: str
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: BaseModel | dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CallPiece:
    """More of the arguments (JSON text) of the reply's `index`-th tool call; `id`, `name` as far as they are known."""

    index: int
    id: str
    name: str
    arguments: str


OnPiece = Callable[[str | CallPiece], Awaitable[None]]


class Models(Protocol):
    def estimate(self, call: ModelCall) -> float:
        """Upper bound of the call's cost in USD; what is reserved before it goes out."""

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        """`on_piece` gets the reply's text, and its tool calls, as they come.

        Raises graph.errors.ModelUnavailable (StreamCut), ModelRefused, BadReply."""


class Hit(Value):
    """A chunk found by `search`: `source.ref` is `path#ordinal`."""

    source: Source
    text: str
    score: float


class Documents(Protocol):
    async def overview(self) -> Overview: ...

    async def search(self, query: str, limit: int = 6) -> tuple[Hit, ...]: ...

    async def read(self, path: str, offset: int = 0, limit: int = 8_000) -> str:
        """Characters [offset, offset+limit) of a document's text. Raises KeyError for an unknown path."""


class TableResult(Value):
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    tables: tuple[str, ...] = Field(default=(), description="paths of the CSV files that the query read")


class Tables(Protocol):
    async def query(self, sql: str) -> TableResult:
        """One read-only SELECT over the collection's CSV files. Raises ValueError with the engine's message."""


class Artifacts(Protocol):
    async def write(self, name: str, media_type: str, content: str) -> str:
        """Stores a file with the run; returns where it can be read."""


class Email(Value):
    to: str
    subject: str
    body: str


class Mailer(Protocol):
    """`honours_key`: sending twice with one key sends once; else only a person can tell whether a cut-off send went."""

    @property
    def reconcile(self) -> Literal["honours_key", "ask_a_person"]: ...

    async def send(self, email: Email, key: str) -> str:
        """Returns a sentence that says where it went. Raises ToolFailed, OutcomeUnknown, StorageLost."""


class ApprovalRequest(Value):
    """What a person is asked. `digest` binds tool, version and exact arguments.

    For a tool, `parameters` is the JSON Schema that an edit must fit, and `effect_key` the ledger's key of the effect
    that is proposed with it; empty for a tool that only reads. `in_clear` is the tool's.
    """

    id: str
    kind: Literal["plan", "tool"]
    name: str
    arguments: dict[str, Any]
    description: str
    digest: str
    expires_at: str
    step_id: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    effect_key: str = ""
    in_clear: tuple[str, ...] = ()


class ApprovalDecision(Value):
    """`edit` carries the changed arguments (or plan), `reject` may carry a reason."""

    type: Literal["approve", "edit", "reject"]
    arguments: dict[str, Any] | None = None
    reason: str = ""
    by: str = ""
    approval_id: str | None = None


class Approvals(Protocol):
    async def request(self, request: ApprovalRequest) -> ApprovalDecision | None:
        """Records the request once; returns the decision if a person has already taken it."""


class ToolResult(Value):
    """What a tool returned, as the model reads it. `content` is JSON text; an error is a value, never an exception."""

    ok: bool
    content: str
    sources: tuple[Source, ...] = ()


class Tools(Protocol):
    def schemas(self) -> tuple[ToolSchema, ...]: ...

    async def run(self, call: ToolCall, step_id: str, seconds: float) -> ToolResult:
        """`seconds` bounds the call beside the tool's own limit. Raises FenceLost, StorageLost, GraphInterrupt."""


class MemoryItem(Value):
    id: str
    text: str
    source: str = ""


class Memory(Protocol):
    async def recall(self, goal: str) -> tuple[MemoryItem, ...]: ...

    async def propose(self, goal: str) -> tuple[MemoryItem, ...]:
        """Stores what the person stated as lasting in `goal`; returns what is new. Answers never become memories."""


class Events(Protocol):
    """The run's log, fenced to this attempt. `history` is every event so far, oldest first, in memory."""

    @property
    def history(self) -> Sequence[RunEvent]: ...

    async def append(self, *bodies: EventBody) -> None:
        """Durable when it returns. Raises graph.errors.FenceLost when a newer attempt owns the run."""


class Redactor(Protocol):
    def redact(self, text: str) -> Redacted: ...


@dataclass(frozen=True, slots=True)
class Deps:
    """Everything one attempt of one run may touch. Travels as LangGraph's runtime context."""

    run_id: str
    thread_id: str
    models: Models
    tools: Tools
    events: Events
    approvals: Approvals
    documents: Documents
    memory: Memory
    redactor: Redactor
    budget: Budget
    prompts: Prompts = field(default_factory=present_prompts)
    profile: Profile = field(default_factory=Profile)
    form: Form | None = None
    model: str | None = None
    approval_ttl_s: float = 7 * 86_400
    check_lease: Callable[[], None] = lambda: None  # raises FenceLost in who stood still for longer than its lease
