"""Finding crons: by assistant, thread, metadata and whether they are enabled, sorted, in pages."""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

from pydantic import BaseModel, Field

from serving.assistants.store import AssistantStore
from serving.crons.cron import shown
from serving.crons.store import EVERY, FIELDS, CronStore
from serving.jsonb import jsonb
from serving.page import Page, SortOrder
from serving.runs.limits import uuid_of

Selected = Literal[
    "cron_id", "assistant_id", "thread_id", "user_id", "payload", "schedule", "timezone", "next_run_date", "end_time",
    "metadata", "on_run_completed", "enabled", "created_at", "updated_at", "now",
]  # fmt: skip
_ORDERS: Final[Mapping[str, LiteralString]] = {
    name: FIELDS[name]
    for name in ("cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time")
}
_WHERE: LiteralString = """
from crons cron where tenant = %(tenant)s
    and (%(assistant)s::uuid is null or assistant_id = %(assistant)s)
    and (%(thread)s::uuid is null or thread_id = %(thread)s)
    and (%(enabled)s::boolean is null or enabled = %(enabled)s)
    and (%(metadata)s::jsonb is null or metadata @> %(metadata)s::jsonb)
"""
_ORDER: LiteralString = "order by {by} {order} nulls last, cron.cron_id {order} limit %(limit)s offset %(offset)s"
_COUNT: LiteralString = "select count(*) as found" + _WHERE


class CronFilter(BaseModel):
    assistant_id: str | None = Field(default=None, max_length=200, description="an assistant's id, or a hosted graph's")
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None

    def values(self, assistants: AssistantStore, tenant: str) -> dict[str, Any]:
        return {
            "tenant": tenant,
            "assistant": assistants.id_of(self.assistant_id) if self.assistant_id else None,
            "thread": uuid_of(self.thread_id, "thread") if self.thread_id else None,
            "enabled": self.enabled,
            "metadata": jsonb(self.metadata, "metadata") if self.metadata else None,
        }


class CronSearch(CronFilter):
    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, le=2**31)
    sort_by: Literal[
        "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"
    ] = "created_at"
    sort_order: SortOrder = "desc"
    select: list[Selected] | None = None


async def search(crons: CronStore, assistants: AssistantStore, wanted: CronSearch) -> Page:
    """Its rows are crons as JSON, for `told`."""
    names = (*dict.fromkeys(wanted.select), "graph") if wanted.select else EVERY
    columns = ", ".join(FIELDS[name] for name in names)
    order: LiteralString = "asc" if wanted.sort_order == "asc" else "desc"
    query = f"select {columns}" + _WHERE + _ORDER.format(by=_ORDERS[wanted.sort_by], order=order)
    given = wanted.values(assistants, crons.tenant)
    rows = await crons.fetch(query, {**given, "limit": wanted.limit + 1, "offset": wanted.offset})
    return Page.of([shown(row) for row in rows], wanted.offset, wanted.limit)


async def count(crons: CronStore, assistants: AssistantStore, wanted: CronFilter) -> int:
    (row,) = await crons.fetch(_COUNT, wanted.values(assistants, crons.tenant))
    found: int = row["found"]
    return found
