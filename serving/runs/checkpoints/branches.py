"""Where a run can be forked, and the first checkpoint of a fork."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointMetadata

from serving.database import Connection, Pool, Row
from serving.errors import Conflict
from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.place import Place
from serving.runs.checkpoints.reading import Reader
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.seal import Seal
from serving.runs.checkpoints.search import Search
from serving.runs.checkpoints.statements import WRITE_ALONE
from serving.runs.checkpoints.writing import Writer

# The newest of those that were committed behind the same line.
_POINTS: LiteralString = """
select * from (
    select distinct on (log_seq) * from state_checkpoints
    where tenant = %(tenant)s and thread_id = %(thread_id)s and namespace = '' and run_id = %(run_id)s
        and log_seq is not null
    order by log_seq desc, checkpoint_id desc limit %(limit)s
) point order by log_seq
"""
_POINT: LiteralString = """
select * from state_checkpoints
where tenant = %(tenant)s and thread_id = %(thread_id)s and namespace = '' and run_id = %(run_id)s
    and log_seq <= %(seq)s
order by log_seq desc, checkpoint_id desc limit 3
"""
_BRANCH, _SENDS = "branch:to:", "__pregel_tasks"
_NO_WAYS = ((), ("remember",))


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpoint that holds nothing of what the run's log says after line `seq`; `next` are the nodes behind it.

    A run's very first checkpoint holds its input alone, and behind the answer nothing is left to be done otherwise:
    these are no points to go on from.
    """

    checkpoint_id: str
    seq: int
    at: datetime
    next: tuple[str, ...]


class Branches:
    """One for each process. `key` is the server's."""

    def __init__(self, pool: Pool, key: bytes, tenant: str = "default") -> None:
        codec, seal = Codec(), Seal(key, tenant)
        self._pool, self._tenant = pool, tenant
        self._reader, self._writer = Reader(codec, seal), Writer(codec, seal, tenant, None)
        self._search = Search(pool, tenant, self._reader)

    async def points(self, thread_id: str, run_id: str, limit: int) -> list[Point]:
        """The run's newest points, oldest first."""
        return await self._points(_POINTS, thread_id, run_id, limit=limit)

    async def at(self, thread_id: str, run_id: str, seq: int) -> Point | None:
        """The newest point up to line `seq`; None when there is none so early."""
        return next(iter(await self._points(_POINT, thread_id, run_id, seq=seq)), None)

    async def copy(self, thread_id: str, point: Point, target: str, seq: int, changed: Mapping[str, Any]) -> Entry:
        """The point as the first checkpoint of thread `target`, to `write` behind line `seq` of its run.

        `changed`: channels that are given another value there; among them the `run_id` of the new run. What tasks
        wrote on top of the checkpoint stays behind. Raises Conflict when it has just been pruned.
        """
        found = await self._search.one(Place(thread_id, ""), point.checkpoint_id)
        if found is None:
            hint = "fork at a line of the points that are left"
            raise Conflict(f"the checkpoint at line {point.seq} was pruned just now", hint, "no_checkpoint")
        checkpoint = found.tuple.checkpoint
        checkpoint["channel_values"] |= dict(changed)
        place = Place(target, "")
        config: RunnableConfig = {"configurable": {"thread_id": target, "checkpoint_ns": ""}}
        step = found.tuple.metadata.get("step", 0)
        metadata: CheckpointMetadata = {"source": "fork", "step": step, "parents": {}, "run_id": changed["run_id"]}
        entry, _ = self._writer.checkpoint(config, place, checkpoint, metadata, checkpoint["channel_versions"], {})
        entry.checkpoints[0][0]["log_seq"] = seq
        return entry

    async def write(self, connection: Connection, entry: Entry) -> None:
        """Inside the caller's transaction."""
        await connection.execute(WRITE_ALONE, parameters([entry]))

    async def _points(self, query: LiteralString, thread_id: str, run_id: str, **more: int) -> list[Point]:
        values = {"tenant": self._tenant, "thread_id": thread_id, "run_id": run_id, **more}
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(query, values)).fetchall()
        found = (Point(row["checkpoint_id"], row["log_seq"], row["at"], self._next(row)) for row in rows)
        return [point for point in found if point.next not in _NO_WAYS]

    def _next(self, row: Row) -> tuple[str, ...]:
        """Read off the channels that LangGraph starts nodes by: no graph is needed to know."""
        refs, inline = orjson.loads(row["refs"]), self._reader.inline(row)
        channels = {*inline, *refs.get("values", ()), *refs.get("items", ())}
        nodes = sorted(channel.removeprefix(_BRANCH) for channel in channels if channel.startswith(_BRANCH))
        sent = inline.get(_SENDS, _SENDS in channels)  # an empty list once they have been sent
        return (*nodes, "work") if sent else tuple(nodes)
