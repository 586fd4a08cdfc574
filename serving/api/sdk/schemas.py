"""What the LangGraph SDK's routes answer with, for the document; the answers themselves are written by hand.

With `select`, an answer has the fields that were asked for: those models have no field that must be there.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from serving.runs.requests.launch import Multitask
from serving.runs.search import RunStatus
from serving.threads.thread import Status


class AssistantPart(BaseModel):
    assistant_id: str = ""
    graph_id: str = ""
    version: int = 1
    name: str = ""
    description: str | None = None
    config: dict[str, Any] = {}
    context: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    created_at: datetime | None = None
    updated_at: datetime | None = None


class ThreadPart(BaseModel):
    """`values` are null until a graph has worked on the thread; `interrupts` what its tasks wait for, by task."""

    thread_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    state_updated_at: datetime | None = None
    metadata: dict[str, Any] = {}
    status: Status = "idle"
    config: dict[str, Any] = {}
    context: dict[str, Any] = {}
    values: Any = None
    interrupts: dict[str, Any] = {}
    error: Any = None
    extracted: dict[str, Any] = {}


class Thread(ThreadPart):
    thread_id: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any]
    status: Status


class RunPart(BaseModel):
    run_id: str = ""
    thread_id: str = ""
    assistant_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    status: RunStatus | Literal["running"] = "pending"
    metadata: dict[str, Any] = {}
    launch: dict[str, Any] = Field(default={}, serialization_alias="kwargs")
    multitask_strategy: Multitask = "enqueue"


class Run(RunPart):
    run_id: str
    thread_id: str
    created_at: datetime
    updated_at: datetime
    status: RunStatus | Literal["running"]
    metadata: dict[str, Any]
    multitask_strategy: Multitask


class CronPart(BaseModel):
    """`payload`: what its runs are made with; `next_run_date` is null when none is to come."""

    cron_id: str = ""
    assistant_id: str | None = None
    thread_id: str | None = None
    user_id: str | None = None
    payload: dict[str, Any] = {}
    schedule: str = ""
    timezone: str | None = None
    next_run_date: datetime | None = None
    end_time: datetime | None = None
    metadata: dict[str, Any] = {}
    on_run_completed: Literal["delete", "keep"] | None = None
    enabled: bool = True
    created_at: datetime | None = None
    updated_at: datetime | None = None
    now: datetime | None = None


class Cron(CronPart):
    cron_id: str
    assistant_id: str
    payload: dict[str, Any]
    schedule: str
    metadata: dict[str, Any]
    enabled: bool
    created_at: datetime
    updated_at: datetime


class StatePart(BaseModel):
    """`next`: the nodes that run next; `tasks`: those that did or will, with their interrupts and subgraphs' states."""

    values: Any = None
    next: list[str] = []
    tasks: list[dict[str, Any]] = []
    checkpoint: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    created_at: datetime | None = None
    parent_checkpoint: dict[str, Any] | None = None
    interrupts: list[dict[str, Any]] = []
    checkpoint_id: str | None = None
    parent_checkpoint_id: str | None = None


class StateUpdated(BaseModel):
    checkpoint: dict[str, Any] | None
    configurable: dict[str, Any] | None
    checkpoint_id: str | None


class Item(BaseModel):
    namespace: list[str]
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class FoundItem(Item):
    """`score`: how near it is to the query in meaning."""

    score: float | None = None


class Items(BaseModel):
    items: list[FoundItem]


class Namespaces(BaseModel):
    namespaces: list[list[str]]


class Pruned(BaseModel):
    pruned_count: int


class Schemas(BaseModel):
    """JSON schemas; null where the graph has none."""

    graph_id: str = ""
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    state_schema: dict[str, Any] | None
    config_schema: dict[str, Any] | None
    context_schema: dict[str, Any] | None


class Drawing(BaseModel):
    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]
