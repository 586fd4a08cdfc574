"""What ends or moves what is kept: deleting a thread or runs, keeping only the latest, copying a thread."""

from collections.abc import Sequence
from typing import Any, LiteralString

from serving.database import Connection, Pool, Row
from serving.errors import Conflict
from serving.runs.checkpoints.place import name
from serving.runs.checkpoints.reading import Reader
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.seal import RowKind, Seal
from serving.runs.checkpoints.statements import WRITE_ALONE

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
# Of threads' rows, those that the newest checkpoint of their namespace doesn't need. Where one is read back from what
# was written before it (a DeltaChannel), its thread is left whole.
_KEPT: LiteralString = """
with kept as materialized (
    select distinct on (thread_id, namespace) thread_id, namespace, checkpoint_id, refs::jsonb as refs
    from state_checkpoints where tenant = %(tenant)s and thread_id = any(%(threads)s)
    order by thread_id, namespace, checkpoint_id desc
), replayed as materialized (select distinct thread_id from kept where refs ? 'replayed')"""
_OLDER: LiteralString = """exists (
    select from kept where (kept.thread_id, kept.namespace) = (held.thread_id, held.namespace)
        and held.checkpoint_id < kept.checkpoint_id)"""
_NOT_REPLAYED: LiteralString = "held.thread_id not in (select thread_id from replayed) and "
_STALE: tuple[tuple[LiteralString, LiteralString], ...] = (
    ("state_checkpoints", _OLDER),
    ("state_writes", _OLDER),
    (
        "state_values",
        """not exists (
    select from kept, jsonb_each_text(kept.refs -> 'values') ref(channel, version)
    where (kept.thread_id, kept.namespace, ref.channel, ref.version)
        = (held.thread_id, held.namespace, held.channel, held.version))""",
    ),
    (
        "state_items",
        """not exists (
    select from kept, jsonb_each(kept.refs -> 'items') ref(channel, place)
    where (kept.thread_id, kept.namespace, ref.channel, (ref.place ->> 0)::bigint)
        = (held.thread_id, held.namespace, held.channel, held.epoch) and held.position < (ref.place ->> 1)::int)""",
    ),
)
_PICK: LiteralString = """{table}_gone as (
    select pg_column_size(held.sealed) as bytes from {table} held
    where held.tenant = %(tenant)s and held.thread_id = any(%(threads)s) and {which}
)"""
_DROP: LiteralString = """{table}_gone as (
    delete from {table} held where held.tenant = %(tenant)s and held.thread_id = any(%(threads)s) and {which}
    returning pg_column_size(held.sealed) as bytes
)"""
_SUM: LiteralString = """
select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes,
    array(select thread_id from replayed order by thread_id) as left_whole
from (
    select bytes from state_checkpoints_gone union all select bytes from state_writes_gone
    union all select bytes from state_values_gone union all select bytes from state_items_gone
) gone
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
        async with self._pool.connection() as connection:
            await sweep(connection, self._tenant, thread_ids, whole=True)

    async def delete_runs(self, run_ids: Sequence[str]) -> None:
        await self._execute(_DELETE_RUNS, {"runs": list(run_ids)})

    async def keep_latest(self, thread_ids: Sequence[str]) -> None:
        async with self._pool.connection() as connection:
            await sweep(connection, self._tenant, thread_ids)

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
        """A copied checkpoint is no run's: when its run is forgotten, it stays."""
        names = ("namespace", *columns)
        content = self._seal.open(kind, (row["thread_id"], *(row[name] for name in names)), row["sealed"])
        moved = {column: value for column, value in row.items() if column not in ("sealed", "at")}
        moved |= {"thread_id": target} | ({"run_id": None, "log_seq": None} if kind == "checkpoint" else {})
        return moved, self._seal.close(kind, (target, *(moved[name] for name in names)), content)

    async def _insert(self, connection: Connection, table: str, rows: list[tuple[dict[str, Any], bytes]]) -> None:
        entry = Entry(None)
        getattr(entry, table).extend(rows)
        await connection.execute(WRITE_ALONE, parameters([entry]))

    async def _execute(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, {**values, "tenant": self._tenant})
            return await cursor.fetchall() if cursor.description else []


async def sweep(
    connection: Connection, tenant: str, thread_ids: Sequence[str], *, whole: bool = False, delete: bool = True
) -> Row:
    """All but the newest checkpoint of each namespace and what it needs, or with `whole` all of the threads, in one
    statement. Returns `rows` and `bytes` of what went, or would go without `delete`; and `left_whole`, the threads that
    keep their older checkpoints because a DeltaChannel is read back from them.
    """
    part = _DROP if delete else _PICK
    parts = [part.format(table=table, which="true" if whole else _NOT_REPLAYED + stale) for table, stale in _STALE]
    query = ", ".join([_KEPT, *parts]) + _SUM
    row = await (await connection.execute(query, {"tenant": tenant, "threads": list(thread_ids)})).fetchone()
    assert row is not None
    return row
