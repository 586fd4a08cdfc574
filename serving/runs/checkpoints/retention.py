"""What ends or moves what is kept: deleting a thread or runs, keeping only the latest, copying a thread."""

from collections.abc import Sequence
from typing import Any, LiteralString

import orjson

from serving.database import Connection, Pool, Row
from serving.errors import Conflict
from serving.runs.checkpoints.place import name
from serving.runs.checkpoints.reading import Reader
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.seal import RowKind, Seal
from serving.runs.checkpoints.statements import WRITE_ALONE

_DELETE: LiteralString = """
with checkpoint as (delete from state_checkpoints where tenant = %(tenant)s and thread_id = any(%(threads)s)),
    value as (delete from state_values where tenant = %(tenant)s and thread_id = any(%(threads)s)),
    item as (delete from state_items where tenant = %(tenant)s and thread_id = any(%(threads)s))
delete from state_writes where tenant = %(tenant)s and thread_id = any(%(threads)s)
"""
_DELETE_RUNS: LiteralString = """
with gone as (
    delete from state_checkpoints where tenant = %(tenant)s and run_id = any(%(runs)s)
    returning tenant, thread_id, namespace, checkpoint_id
)
delete from state_writes using gone
where (state_writes.tenant, state_writes.thread_id, state_writes.namespace, state_writes.checkpoint_id)
    = (gone.tenant, gone.thread_id, gone.namespace, gone.checkpoint_id)
"""
_LATEST: LiteralString = """
select distinct on (thread_id, namespace) * from state_checkpoints
where tenant = %(tenant)s and thread_id = any(%(threads)s)
order by thread_id, namespace, checkpoint_id desc
"""
_ALL_BUT_KEPT: LiteralString = """
with kept as materialized (
    select thread_id, namespace, checkpoint_id, refs::jsonb as refs
    from jsonb_to_recordset(%(kept)s::jsonb) as k(thread_id text, namespace text, checkpoint_id text, refs text)
), checkpoint as (
    delete from state_checkpoints c where tenant = %(tenant)s and thread_id = any(%(threads)s) and exists (
        select from kept where (kept.thread_id, kept.namespace) = (c.thread_id, c.namespace)
            and c.checkpoint_id < kept.checkpoint_id)
), task_write as (
    delete from state_writes w where tenant = %(tenant)s and thread_id = any(%(threads)s) and exists (
        select from kept where (kept.thread_id, kept.namespace) = (w.thread_id, w.namespace)
            and w.checkpoint_id < kept.checkpoint_id)
), value as (
    delete from state_values v where tenant = %(tenant)s and thread_id = any(%(threads)s) and not exists (
        select from kept, jsonb_each_text(kept.refs -> 'values') ref(channel, version)
        where (kept.thread_id, kept.namespace, ref.channel, ref.version)
            = (v.thread_id, v.namespace, v.channel, v.version))
)
delete from state_items i where tenant = %(tenant)s and thread_id = any(%(threads)s) and not exists (
    select from kept, jsonb_each(kept.refs -> 'items') ref(channel, place)
    where (kept.thread_id, kept.namespace, ref.channel, (ref.place ->> 0)::bigint)
        = (i.thread_id, i.namespace, i.channel, i.epoch) and i.position < (ref.place ->> 1)::int)
"""
# By the name of a table in an entry: its rows, and the columns that a row is sealed with after thread and namespace.
_CHECKPOINTS: LiteralString = "select * from state_checkpoints where tenant = %s and thread_id = %s"
_VALUES: LiteralString = "select * from state_values where tenant = %s and thread_id = %s"
_ITEMS: LiteralString = "select * from state_items where tenant = %s and thread_id = %s"
_WRITES: LiteralString = "select * from state_writes where tenant = %s and thread_id = %s"
_COPIED: tuple[tuple[str, LiteralString, RowKind, tuple[str, ...]], ...] = (
    ("checkpoints", _CHECKPOINTS, "checkpoint", ("checkpoint_id", "parent_id", "run_id", "refs")),
    ("values", _VALUES, "value", ("channel", "version")),
    ("items", _ITEMS, "items", ("channel", "epoch", "position", "items")),
    ("writes", _WRITES, "write", ("checkpoint_id", "task_id", "index", "channel", "task_path")),
)
_PAGE = 200


class Retention:
    """None of this is fenced: who calls it sees to it that the threads' runs have ended."""

    def __init__(self, pool: Pool, tenant: str, reader: Reader, seal: Seal) -> None:
        self._pool, self._tenant, self._reader, self._seal = pool, tenant, reader, seal

    async def delete(self, thread_ids: Sequence[str]) -> None:
        await self._execute(_DELETE, {"threads": list(thread_ids)})

    async def delete_runs(self, run_ids: Sequence[str]) -> None:
        await self._execute(_DELETE_RUNS, {"runs": list(run_ids)})

    async def keep_latest(self, thread_ids: Sequence[str]) -> None:
        """What was put after the latest was looked up stays too."""
        latest = await self._execute(_LATEST, {"threads": list(thread_ids)})
        for row in latest:
            if self._reader.metadata(row).get("counters_since_delta_snapshot"):
                raise NotImplementedError(
                    f"thread {row['thread_id']} has a DeltaChannel: it can't keep only its latest"
                )
        kept = [
            {column: row[column] for column in ("thread_id", "namespace", "checkpoint_id", "refs")} for row in latest
        ]
        await self._execute(_ALL_BUT_KEPT, {"threads": list(thread_ids), "kept": orjson.dumps(kept).decode()})

    async def copy(self, source: str, target: str) -> None:
        """In one transaction; rows are verified, and sealed for their new place."""
        values = {"tenant": self._tenant, "threads": [name(target, "thread id")]}
        async with self._pool.connection() as connection, connection.transaction():
            if await (await connection.execute(_LATEST, values)).fetchone():
                raise Conflict(f"thread {target} has checkpoints already", "copy to a new thread id")
            for table, query, kind, columns in _COPIED:
                async with connection.cursor("copied") as cursor:
                    await cursor.execute(query, (self._tenant, source))
                    while page := await cursor.fetchmany(_PAGE):
                        await self._insert(connection, table, [self._moved(row, target, kind, columns) for row in page])

    def _moved(self, row: Row, target: str, kind: RowKind, columns: tuple[str, ...]) -> tuple[dict[str, Any], bytes]:
        rest = tuple(row[column] for column in ("namespace", *columns))
        content = self._seal.open(kind, (row["thread_id"], *rest), row["sealed"])
        moved = {column: value for column, value in row.items() if column not in ("sealed", "at")}
        return {**moved, "thread_id": target}, self._seal.close(kind, (target, *rest), content)

    async def _insert(self, connection: Connection, table: str, rows: list[tuple[dict[str, Any], bytes]]) -> None:
        entry = Entry(None)
        getattr(entry, table).extend(rows)
        await connection.execute(WRITE_ALONE, parameters([entry]))

    async def _execute(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, {**values, "tenant": self._tenant})
            return await cursor.fetchall() if cursor.description else []
