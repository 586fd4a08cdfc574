"""Finding threads: by metadata, values, status and ids, sorted, in pages; also only parts of them."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, LiteralString

from pydantic import BaseModel, Field

from serving.database import Row
from serving.jsonb import jsonb
from serving.runs.requests.limits import uuid_of
from serving.search import Page, Sorted
from serving.threads.extract import MOST_PATHS, extraction
from serving.threads.store import EVERY, FIELDS, LIVE, NOT_THE_AGENTS, ThreadStore
from serving.threads.thread import Status, shown

Selected = Literal[
    "thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "config", "context", "status", "values",
    "interrupts", "error",
]  # fmt: skip
_ORDERS: Final[Mapping[str, LiteralString]] = {
    "thread_id": "thread.thread_id",
    "status": "case when " + LIVE + " then 'busy' else thread.status end",
    "created_at": "thread.created_at",
    "updated_at": "thread.updated_at",
    "state_updated_at": "thread.state_updated_at",
}
# Busy threads are few, and found through their live runs; the others by how they rest.
_BUSY: LiteralString = """ and thread.thread_id in (select thread_id from runs
    where runs.tenant = %(tenant)s and runs.status in ('pending', 'running'))"""
_SEARCH: LiteralString = """
select {columns} from threads thread {where}
order by {by} {order}, thread.thread_id {order} limit %(limit)s offset %(offset)s
"""
_COUNT: LiteralString = "select count(*) as found from threads thread {where}"
_EXTRACT: LiteralString = "jsonb_path_query_first({column}, %(path{at})s::jsonpath, '{{}}', true) as extract{at}"
_RESTING: LiteralString = " and thread.status = %(status)s and not " + LIVE


class ThreadFilter(BaseModel):
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    status: Status | None = None

    def condition(self) -> tuple[LiteralString, dict[str, Any]]:
        where: LiteralString = "where thread.tenant = %(tenant)s"
        given: dict[str, Any] = {"status": self.status}
        if self.metadata:
            where += " and thread.metadata <> '{}' and thread.metadata @> %(metadata)s::jsonb"
            given["metadata"] = jsonb(self.metadata, "metadata")
        if self.values:
            where += " and thread.values @> %(values)s::jsonb"
            given["values"] = jsonb(self.values, "values")
        if self.status:
            where += _BUSY if self.status == "busy" else _RESTING
        return where, given


class ThreadSearch(ThreadFilter, Sorted):
    ids: list[str] | None = Field(default=None, max_length=1_000)
    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = "updated_at"
    select: list[Selected] | None = None
    extract: dict[str, Annotated[str, Field(max_length=1_000)]] | None = Field(default=None, max_length=MOST_PATHS)

    def condition(self) -> tuple[LiteralString, dict[str, Any]]:
        where, given = super().condition()
        if self.ids is not None:
            where += " and thread.thread_id = any(%(ids)s::uuid[])"
            given["ids"] = [uuid_of(id_, "thread") for id_ in self.ids]
        return where, given


async def search(threads: ThreadStore, wanted: ThreadSearch, *, agents: bool = True) -> Page:
    """Its rows are threads as JSON, for `told`. `agents`: also planner, worker and critic's."""
    where, given = _condition(wanted, agents)
    names = (*dict.fromkeys(wanted.select), "graph") if wanted.select else EVERY
    columns: list[LiteralString] = [f"{FIELDS[name]} as {name}" for name in names]
    for number, path in enumerate((wanted.extract or {}).values()):
        column, given[f"path{number}"] = extraction(path)
        columns.append(_EXTRACT.format(column=column, at=number))
    order = {"by": _ORDERS[wanted.sort_by], "order": wanted.sort_order}
    query = _SEARCH.format(columns=", ".join(columns), where=where, **order)
    # A plan for any metadata is wrong for most: which index is right depends on how many threads have them.
    rows = await _fetched(threads, query, {**given, **wanted.one_more}, wanted)
    return wanted.page([_with_extracted(row, wanted.extract) for row in rows])


async def count(threads: ThreadStore, wanted: ThreadFilter, *, agents: bool = True) -> int:
    where, given = _condition(wanted, agents)
    (row,) = await _fetched(threads, _COUNT.format(where=where), given, wanted)
    found: int = row["found"]
    return found


def _condition(wanted: ThreadFilter, agents: bool) -> tuple[LiteralString, dict[str, Any]]:
    where, given = wanted.condition()
    return (where if agents else where + " and " + NOT_THE_AGENTS), given


async def _fetched(
    threads: ThreadStore, query: LiteralString, values: dict[str, Any], wanted: ThreadFilter
) -> list[Row]:
    """Values have no index, which would be many times as large as they are and written with every run."""
    if wanted.values:
        return await threads.fetch_in_time(query, values)
    return await threads.fetch(query, values, prepare=False)


def _with_extracted(row: dict[str, Any], extract: Mapping[str, str] | None) -> dict[str, Any]:
    if not extract:
        return shown(row)
    extracted = {alias: row.pop(f"extract{number}") for number, alias in enumerate(extract)}
    return {**shown(row), "extracted": extracted}
