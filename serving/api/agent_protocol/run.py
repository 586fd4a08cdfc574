"""A run as the Agent Protocol has it: what is asked for, and what is told of it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from serving.api.agent_protocol.messages import Message, joined, split
from serving.assistants.assistant import system_assistant_id
from serving.database import Row
from serving.hosting.config import AGENT
from serving.runs.requests.launch import NewRun
from serving.runs.requests.run_config import RunConfig
from serving.runs.search import RunSearch, RunStatus
from serving.runs.shown import shown_run

StreamMode = Literal["values", "messages", "updates", "custom"]


class RunCreate(BaseModel):
    """Without an `agent_id` it is planner, worker and critic's; without a `thread_id` it has a thread of its own, which
    goes with it unless `on_completion` is keep."""

    thread_id: str | None = None
    agent_id: str | None = Field(default=None, max_length=200)
    input: Any = None
    messages: list[Message] | None = None
    metadata: dict[str, Any] | None = None
    config: RunConfig | None = None
    webhook: str | None = Field(default=None, max_length=2_000)
    on_completion: Literal["delete", "keep"] | None = None
    on_disconnect: Literal["cancel", "continue"] = "cancel"
    if_not_exists: Literal["create", "reject"] = "reject"

    @model_validator(mode="after")
    def _one_input(self) -> "RunCreate":
        if self.messages is not None and not isinstance(self.input, dict | None):
            raise ValueError("messages go with an input that is an object, or none")
        return self

    def new_run(self, **more: Any) -> NewRun:
        """The same as the LangGraph SDK says it."""
        return NewRun(
            assistant_id=self.agent_id or AGENT,
            input=joined(self.input, self.messages),
            metadata=self.metadata,
            config=self.config,
            webhook=self.webhook,
            on_completion=self.on_completion or "delete",
            on_disconnect=self.on_disconnect,
            if_not_exists=self.if_not_exists,
            **more,
        )


class RunStream(RunCreate):
    stream_mode: StreamMode | list[StreamMode] = "values"

    def new_run(self, **more: Any) -> NewRun:
        return super().new_run(stream_mode=self.stream_mode, **more)


class Run(BaseModel):
    """`input` and `messages` are those that it was created with; planner, worker and critic's keep them elsewhere."""

    run_id: str
    thread_id: str
    agent_id: str
    created_at: datetime
    updated_at: datetime
    status: RunStatus
    metadata: dict[str, Any]
    input: Any = None
    messages: list[Message] = []


class RunSearchRequest(RunSearch):
    agent_id: str | None = Field(default=None, max_length=200)


class RunWaitResponse(BaseModel):
    """`values` are the run's output; `__interrupt__` in them what it waits for, `__error__` why it failed."""

    run: Run
    values: dict[str, Any]
    messages: list[Message] = []


def shown(row: Row) -> dict[str, Any]:
    run = shown_run(row)
    told = {name: run[name] for name in ("run_id", "thread_id", "created_at", "updated_at", "metadata")}
    status = "pending" if run["status"] == "running" else run["status"]
    agent_id = run["assistant_id"] or system_assistant_id(AGENT)
    return {**told, "status": status, "agent_id": agent_id, **_given((row["launch"] or {}).get("input"))}


def _given(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        return {} if given is None else {"input": given}
    parts = split(given)
    return {"input": parts.pop("values"), **parts}
