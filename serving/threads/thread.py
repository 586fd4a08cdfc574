"""A thread as LangGraph's clients know it: a conversation, its status and its latest state."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from serving.database import Row
from serving.hosting.config import AGENT
from serving.threads.talks import asked

Status = Literal["idle", "busy", "interrupted", "error"]
Strategy = Literal["delete", "keep_latest"]
IfExists = Literal["raise", "do_nothing"]
_LONGEST_TTL = 525_600_000.0  # minutes: a thousand years


class Ttl(BaseModel):
    """`ttl` is in minutes after the thread's last change."""

    ttl: float = Field(gt=0, le=_LONGEST_TTL)
    strategy: Strategy = "delete"


class _Timed(BaseModel):
    ttl: Ttl | None = None

    @field_validator("ttl", mode="before")
    @classmethod
    def _minutes(cls, value: Any) -> Any:
        return {"ttl": value} if isinstance(value, int | float) else value


class SuperstepUpdate(BaseModel):
    values: dict[str, Any] | list[Any] | None = None
    command: dict[str, Any] | None = None
    as_node: str


class Superstep(BaseModel):
    updates: list[SuperstepUpdate] = Field(min_length=1, max_length=1_000)


class NewThread(_Timed):
    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"user": "u-17"}}]})

    thread_id: str | None = None
    metadata: dict[str, Any] | None = None
    if_exists: IfExists = "raise"
    supersteps: list[Superstep] | None = Field(default=None, max_length=10_000)


class ThreadChange(_Timed):
    """`metadata` is merged with what is there."""

    metadata: dict[str, Any] | None = None


class ThreadCopy(BaseModel):
    thread_id: str


class ThreadPrune(BaseModel):
    thread_ids: list[str] = Field(max_length=10_000)
    strategy: Strategy = "delete"


def shown(row: Row) -> dict[str, Any]:
    """The columns that were read, as JSON; dates with their offset from UTC."""
    thread = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    return {**thread, "thread_id": str(row["thread_id"])} if "thread_id" in row else thread


async def told(thread: dict[str, Any], restore: Callable[[Any], Awaitable[Any]]) -> dict[str, Any]:
    """For a caller: what is kept of planner, worker and critic's threads is redacted, that of others is as it came."""
    if thread.pop("graph", None) != AGENT:
        return thread
    private = {name: thread[name] for name in ("values", "interrupts", "extracted") if thread.get(name)}
    if "interrupts" in private:
        private["interrupts"] = asked(private["interrupts"])
    return {**thread, **await restore(private)}


def ttl_of(row: Row) -> dict[str, Any] | None:
    if row["ttl_minutes"] is None:
        return None
    until: datetime = row["updated_at"] + timedelta(minutes=row["ttl_minutes"])
    return {"strategy": row["ttl_strategy"], "ttl_minutes": row["ttl_minutes"], "expires_at": until.isoformat()}
