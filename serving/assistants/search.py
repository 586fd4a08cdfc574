"""Finding assistants: by graph, name and metadata, sorted, in pages."""

from collections.abc import Mapping
from typing import Any, Final, Literal, LiteralString

from pydantic import BaseModel, Field

from serving.assistants.assistant import Assistant
from serving.assistants.store import COLUMNS, AssistantStore
from serving.hosting.config import AGENT
from serving.jsonb import jsonb
from serving.search import Page, Sorted

Selected = Literal[
    "assistant_id", "graph_id", "name", "description", "config", "context", "created_at", "updated_at", "metadata",
    "version",
]  # fmt: skip
_ORDERS: Final[Mapping[str, LiteralString]] = {
    "assistant_id": "assistant_id",
    "graph_id": "graph_id",
    "name": "name",
    "created_at": "assistant.created_at",
    "updated_at": "updated_at",
}
# `name` is found anywhere in the name, in either case.
_WHERE: LiteralString = """
where tenant = %(tenant)s and (%(graph_id)s::text is null or graph_id = %(graph_id)s)
    and (%(name)s::text is null or strpos(lower(name), lower(%(name)s)) > 0)
    and (%(metadata)s::jsonb is null or metadata @> %(metadata)s::jsonb)
    and graph_id is distinct from %(hidden)s::text
"""
_ORDER: LiteralString = "order by {by} {order}, assistant_id {order} limit %(limit)s offset %(offset)s"
_COUNT: LiteralString = """
select count(*) as found from assistants join assistant_versions using (tenant, assistant_id, version)
"""


class AssistantFilter(BaseModel):
    metadata: dict[str, Any] | None = None
    graph_id: str | None = Field(default=None, max_length=200)
    name: str | None = Field(default=None, max_length=1_000)

    def values(self, agents: bool) -> dict[str, Any]:
        metadata = jsonb(self.metadata, "metadata") if self.metadata else None
        hidden = None if agents else AGENT
        return {"metadata": metadata, "graph_id": self.graph_id, "name": self.name, "hidden": hidden}


class AssistantSearch(AssistantFilter, Sorted):
    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] = "created_at"
    select: list[Selected] | None = None


async def search(assistants: AssistantStore, wanted: AssistantSearch, *, agents: bool = True) -> Page:
    """Its rows are `Assistant`s as JSON, with the selected fields. `agents`: also planner, worker and critic's."""
    query = COLUMNS + _WHERE + _ORDER.format(by=_ORDERS[wanted.sort_by], order=wanted.sort_order)
    rows = await assistants.fetch(query, {**wanted.values(agents), **wanted.one_more})
    found = [Assistant(**row) for row in rows]
    fields: set[str] | None = set(wanted.select) if wanted.select else None
    return wanted.page([each.model_dump(mode="json", include=fields) for each in found])


async def count(assistants: AssistantStore, wanted: AssistantFilter, *, agents: bool = True) -> int:
    (row,) = await assistants.fetch(_COUNT + _WHERE, wanted.values(agents))
    found: int = row["found"]
    return found
