"""Finding checkpoints: by id, the latest, or a thread's history in pages."""

from collections.abc import AsyncIterator
from typing import Any, LiteralString

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple, get_checkpoint_id

from serving.database import Connections, Row
from serving.runs.checkpoints.place import Place, place_of
from serving.runs.checkpoints.reading import Loaded, Reader
from serving.runs.checkpoints.shared import SharedParts
from serving.runs.checkpoints.statements import READ, READ_BESIDE

_FIRST_PAGE, _LARGEST_PAGE = 20, 320
_THREAD: LiteralString = " and checkpoint.thread_id = %(thread_id)s"
_NAMESPACE: LiteralString = " and checkpoint.namespace = %(namespace)s"
_ID: LiteralString = " and checkpoint.checkpoint_id = %(checkpoint_id)s"
_BEFORE: LiteralString = " and checkpoint.checkpoint_id < %(before)s"
_AFTER_ROW: LiteralString = """ and (checkpoint.checkpoint_id, checkpoint.thread_id, checkpoint.namespace)
    < (%(last_id)s, %(last_thread)s, %(last_namespace)s)"""
_LATEST: LiteralString = " order by checkpoint.checkpoint_id desc limit 1"
_NEWEST_FIRST: LiteralString = """
order by checkpoint.checkpoint_id desc, checkpoint.thread_id desc, checkpoint.namespace desc limit %(page)s"""


class Search:
    def __init__(self, pool: Connections, tenant: str, reader: Reader) -> None:
        self._pool, self._tenant, self._reader = pool, tenant, reader

    def on(self, connections: Connections) -> "Search":
        return Search(connections, self._tenant, self._reader)

    async def one(self, place: Place, checkpoint_id: str | None) -> Loaded | None:
        """The checkpoint of this id, or the latest."""
        which = _ID if checkpoint_id else _LATEST
        rows = await self._rows(READ + _THREAD + _NAMESPACE + which, {**place.columns, "checkpoint_id": checkpoint_id})
        return self._reader.loaded(rows[0]) if rows else None

    async def many(
        self, config: RunnableConfig | None, wanted: dict[str, Any], before: str | None, limit: int | None
    ) -> AsyncIterator[CheckpointTuple]:
        """Newest first, in pages, the first one short. What checkpoints have in common is read once, and they share it:
        who changes a value changes that of others.
        """
        condition, values = _conditions(config, before)
        left, size = limit, _FIRST_PAGE
        parts = SharedParts(self._pool, self._tenant, self._reader)
        page: list[Row] = []
        while left != 0 and (page := await self._page(condition, {**values, "page": size}, page)):
            found = [row for row in page if not wanted or _matches(self._reader.metadata(row), wanted)][:left]
            await parts.load(found)
            for row in found:
                yield self._reader.beside(row, parts)
            left = None if left is None else left - len(found)
            size = min(2 * size, _LARGEST_PAGE)

    async def _page(self, condition: LiteralString, values: dict[str, Any], last: list[Row]) -> list[Row]:
        if last:
            row = last[-1]
            values = {
                **values,
                "last_id": row["checkpoint_id"],
                "last_thread": row["thread_id"],
                "last_namespace": row["namespace"],
            }
            condition += _AFTER_ROW
        return await self._rows(READ_BESIDE + condition + _NEWEST_FIRST, values)

    async def _rows(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, {**values, "tenant": self._tenant}, binary=True)
            return await cursor.fetchall()


def _conditions(config: RunnableConfig | None, before: str | None) -> tuple[LiteralString, dict[str, Any]]:
    condition: LiteralString = ""
    values: dict[str, Any] = {"before": before}
    if before:
        condition += _BEFORE
    if config is not None:
        condition += _THREAD
        values.update(place_of(config).columns)
        if config["configurable"].get("checkpoint_ns") is not None:
            condition += _NAMESPACE
        if values.setdefault("checkpoint_id", get_checkpoint_id(config)):
            condition += _ID
    return condition, values


def _matches(metadata: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(key in metadata and metadata[key] == value for key, value in wanted.items())
