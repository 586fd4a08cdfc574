"""What a caller of LangGraph's asks of a run, beside graph and thread. Kept with the run as it came."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from serving.runs.requests.run_config import RunConfig

StreamMode = Literal[
    "values", "updates", "messages", "messages-tuple", "custom", "debug", "tasks", "checkpoints", "events", "tools"
]
Multitask = Literal["reject", "enqueue", "interrupt", "rollback"]
Nodes = Literal["*"] | tuple[str, ...]
_YEAR_S: Final = 366 * 86_400.0
PLACES: Final = frozenset({"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"})  # are said elsewhere


def listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _or_values(modes: Any) -> Any:
    """As LangGraph has it, who asks for no mode gets the values."""
    return modes or ["values"]


class Checkpoint(BaseModel):
    """Where on the thread a run begins; none is its latest state."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    checkpoint_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_map: dict[str, Any] | None = None


class RunCommand(BaseModel):
    """`resume` answers what the thread waits for; `update` changes its state; `goto` names what runs next: nodes, or
    {"node": ..., "input": ...}."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    resume: Any = None
    update: dict[str, Any] | list[Any] | None = None
    goto: str | dict[str, Any] | list[Any] | None = None


class Launch(BaseModel):
    """The names are those of the LangGraph SDK. What means nothing here (tracing) is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: Any = None
    command: RunCommand | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] | None = None
    checkpoint: Checkpoint | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    stream_mode: Annotated[tuple[StreamMode, ...], BeforeValidator(listed)] = ("values",)
    subgraphs: bool = False
    durability: Literal["sync", "async", "exit"] = "sync"
    strict_resume: bool = False
    multitask_strategy: Multitask = "enqueue"
    webhook: str | None = None
    feedback_keys: tuple[str, ...] = ()
    temporary: bool = False
    all_channels: bool = False  # it is told as the thread-centric protocol tells it, whatever the modes
    follows: str | None = None  # the run of the agent behind which it goes on, where that isn't the newest
    message_id: str | None = None  # of the message that is the agent's goal, where a page shows it already

    @property
    def configurable(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.config.get("configurable") or {}
        return found

    @property
    def goes_on(self) -> bool:
        """Whether it begins with nothing of its own: it answers a question, or goes on where its thread stands."""
        return self.input is None if self.command is None else self.command.resume is not None


def goal_id(run_id: str, launch: Mapping[str, Any] | None) -> str:
    """Of the message that is the goal of a run of the agent."""
    return (launch or {}).get("message_id") or f"goal-{run_id}"


class NewRun(BaseModel):
    """`assistant_id` is an assistant's id, or the id of a hosted graph. Without a thread, one is made for the run."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [{"assistant_id": "trireme", "input": {"messages": [{"role": "user", "content": "Hello"}]}}]
        },
    )

    assistant_id: str = Field(min_length=1, max_length=200)
    input: Any = None
    command: RunCommand | None = None
    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: str | None = None
    checkpoint_during: bool | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    stream_mode: Annotated[tuple[StreamMode, ...], BeforeValidator(_or_values), BeforeValidator(listed)] = ("values",)
    stream_subgraphs: bool = False
    stream_resumable: bool = Field(default=False, description="every stream can be resumed, with or without it")
    on_disconnect: Literal["cancel", "continue"] = "continue"
    on_completion: Literal["delete", "keep"] = "delete"
    multitask_strategy: Multitask = "enqueue"
    if_not_exists: Literal["create", "reject"] = "reject"
    durability: Literal["sync", "async", "exit"] | None = None
    strict_resume: bool = False
    after_seconds: float = Field(default=0.0, ge=0, le=_YEAR_S)
    webhook: str | None = Field(default=None, max_length=2_000)
    feedback_keys: tuple[str, ...] | None = Field(
        default=None,
        description="kept with the run; the `feedback` event's links are LangSmith's alone, so there is none, which a "
        "`Warning` header says",
    )

    @field_validator("command")
    @classmethod
    def _says_something(cls, command: RunCommand | None) -> RunCommand | None:
        return command if command and command.model_dump(exclude_none=True) else None

    @property
    def place(self) -> Checkpoint:
        """Where it begins, in whichever of three ways that was said."""
        given = (self.config or {}).get("configurable") or {}
        named = self.checkpoint_id or given.get("checkpoint_id")
        if self.checkpoint_id or self.checkpoint is None:
            return Checkpoint(checkpoint_id=str(named)) if named else Checkpoint()
        return self.checkpoint

    def launch(self, config: Mapping[str, Any], context: Mapping[str, Any], *, temporary: bool) -> Launch:
        """`config` and `context` are the assistant's: what the run itself says goes before them. Graphs that were
        written before there was a context find the run's in `configurable`."""
        own = self.config or {}
        said = {name: value for name, value in (self.context or {}).items() if name not in PLACES}
        configurable = {**(config.get("configurable") or {}), **said, **(own.get("configurable") or {})}
        return Launch(
            input=self.input,
            command=self.command,
            config={**config, **own, "configurable": configurable},
            context={**context, **(self.context or {})} if context or self.context is not None else None,
            checkpoint=Checkpoint(checkpoint_id=self.checkpoint_id) if self.checkpoint_id else self.checkpoint,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            stream_mode=self.stream_mode,
            subgraphs=self.stream_subgraphs,
            durability=self.durability or _durability(self.checkpoint_during),
            strict_resume=self.strict_resume,
            multitask_strategy=self.multitask_strategy,
            webhook=self.webhook,
            feedback_keys=self.feedback_keys or (),
            temporary=temporary and self.on_completion == "delete",
        )


def _durability(checkpoint_during: bool | None) -> Literal["sync", "async", "exit"]:
    return "exit" if checkpoint_during is False else "sync"
