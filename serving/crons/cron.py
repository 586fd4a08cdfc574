"""A cron as LangGraph's clients know it: a schedule, and what its runs are made of."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from serving.database import Row
from serving.runs.requests.launch import Multitask, Nodes, StreamMode, listed
from serving.runs.requests.run_config import RunConfig

OnCompletion = Literal["delete", "keep"]
_WHEN: Final = frozenset({"schedule", "timezone", "end_time", "enabled"})


def _in_utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the year 9999") from None


class CronChange(BaseModel):
    """What isn't given stays; `metadata` is merged, the rest replaced, and `end_time: null` takes the end away."""

    schedule: str | None = Field(default=None, max_length=200, description="cron expression, with seconds as a sixth")
    timezone: str | None = Field(default=None, max_length=100, description="IANA name; UTC without one")
    end_time: Annotated[datetime, AfterValidator(_in_utc)] | None = Field(
        default=None, description="no run begins behind it; without an offset it is in UTC"
    )
    enabled: bool | None = None
    on_run_completed: OnCompletion | None = Field(default=None, description="of a run's own thread: delete, or keep")
    input: Any = None
    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    webhook: str | None = Field(default=None, max_length=2_000)
    multitask_strategy: Multitask | None = None
    interrupt_before: Nodes | None = None
    interrupt_after: Nodes | None = None
    stream_mode: Annotated[tuple[StreamMode, ...], BeforeValidator(listed)] | None = None
    stream_subgraphs: bool | None = None
    stream_resumable: bool | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    checkpoint_during: bool | None = None

    @property
    def moves(self) -> bool:
        """Whether it says anew when the cron is due."""
        return bool(_WHEN & self.payload().keys()) or "end_time" in self.model_fields_set

    def payload(self) -> dict[str, Any]:
        """What was given, as JSON."""
        return self.model_dump(mode="json", exclude_none=True)


class NewCron(CronChange):
    """`assistant_id` is an assistant's id, or the id of a hosted graph."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"assistant_id": "trireme", "schedule": "0 9 * * 1-5", "input": {"goal": "What is new?"}}]
        }
    )

    assistant_id: str = Field(min_length=1, max_length=200)
    schedule: str = Field(max_length=200, description="cron expression, with seconds as a sixth")


def shown(row: Row) -> dict[str, Any]:
    """The columns that were read, as JSON."""
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value
