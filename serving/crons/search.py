"""Finding crons: by assistant, thread, metadata and whether they are enabled, sorted, in pages."""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

from pydantic import BaseModel, Field

from serving.assistants.store import AssistantStore
from serving.crons.cron import shown
from serving.crons.store import EVERY, FIELDS, GRAPH, CronStore
from serving.hosting.config import AGENT
from serving.jsonb import jsonb
from serving.runs.requests.limits import uuid_of
from serving.search import Page, Sorted

Selected = Literal[
    "cron_id", "assistant_id", "thread_id", "user_id", "payload", "schedule", "timezone", "next_run_date", "end_time",
    "metadata", "on_run_completed", "enabled", "created_at", "updated_at", "now",
]  # fmt: skip
_ORDERS: Final[Mapping[str, LiteralString]] = {
    name: FIELDS[name]
    for name in ("cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time")
}
_WHERE: LiteralString = (
    """
from crons cron where tenant = %(tenant)s
    and (%(assistant)s::uuid is null or assistant_id = %(assistant)s)
    and (%(thread)s::uuid is null or thread_id = %(thread)s)
    and (%(enabled)s::boolean is null or enabled = %(enabled)s)
    and (%(metadata)s::jsonb is null or metadata @> %(metadata)s::jsonb)
    and (%(hidden)s::text is null or """
    + GRAPH
    + """ <> %(hidden)s)
"""
)
_ORDER: LiteralString = "order by {by} {order} nulls last, cron.cron_id {order} limit %(limit)s offset %(offset)s"
_COUNT: LiteralString = "select count(*) as found" + _WHERE


class CronFilter(BaseModel):
    assistant_id: str | None = Field(default=None, max_length=200, description="an assistant's id, or a hosted graph's")
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None

    def values(self, assistants: AssistantStore, tenant: str, agents: bool) -> dict[str, Any]:
        return {
            "tenant": tenant,
            "assistant": assistants.id_of(self.assistant_id) if self.assistant_id else None,
            "thread": uuid_of(self.thread_id, "thread") if self.thread_id else None,
            "enabled": self.enabled,
            "metadata": jsonb(self.metadata, "metadata") if self.metadata else None,
            "hidden": None if agents else AGENT,
        }


class CronSearch(CronFilter, Sorted):
    sort_by: Literal[
        "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"
    ] = "created_at"
    select: list[Selected] | None = None


async def search(crons: CronStore, assistants: AssistantStore, wanted: CronSearch, *, agents: bool = True) -> Page:
    """Its rows are crons as JSON, for `told`. `agents`: also those of planner, worker and critic."""
    names = (*dict.fromkeys(wanted.select), "graph") if wanted.select else EVERY
    columns = ", ".join(FIELDS[name] for name in names)
    query = f"select {columns}" + _WHERE + _ORDER.format(by=_ORDERS[wanted.sort_by], order=wanted.sort_order)
    given = wanted.values(assistants, crons.tenant, agents)
    rows = await crons.fetch(query, {**given, **wanted.one_more})
    return wanted.page([shown(row) for row in rows])


async def count(crons: CronStore, assistants: AssistantStore, wanted: CronFilter, *, agents: bool = True) -> int:
    (row,) = await crons.fetch(_COUNT, wanted.values(assistants, crons.tenant, agents))
    found: int = row["found"]
    return found
