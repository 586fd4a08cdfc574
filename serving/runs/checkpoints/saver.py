"""LangGraph's checkpointer on our Postgres: fenced to an attempt, exact, lists append-only, one commit a superstep."""

import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from random import getrandbits
from typing import Any

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)

from graph.faults import point
from serving.database import Connection, Pool, Within
from serving.runs.checkpoints.blocking import BlockingSaver, at_home
from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.errors import NotCarried
from serving.runs.checkpoints.held import HeldWrites, may_hold
from serving.runs.checkpoints.layout import Stored
from serving.runs.checkpoints.place import Place, place_of
from serving.runs.checkpoints.reading import Reader
from serving.runs.checkpoints.replay import Replay
from serving.runs.checkpoints.retention import Retention
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.seal import Seal
from serving.runs.checkpoints.search import Search
from serving.runs.checkpoints.statements import WRITE_ALONE
from serving.runs.checkpoints.writing import Writer
from serving.runs.group import Fence, GroupCommit

_REMEMBERED = 64  # threads and namespaces whose last checkpoint's layout is known
_COUNTER_BITS = 32


class PostgresSaver(BlockingSaver):
    """One for each attempt, or one for a host's whole graph. The tables are migration 0005.

    With `run_id` and `fence` every put raises FenceLost once the run isn't running or a newer attempt has claimed it.
    `key` binds rows to tenant, thread and place; `types` are the classes that state may hold beside JSON and messages;
    with an `OpenCodec` any.
    A task's writes are not kept when the checkpoint that contains them commits with them; with `task_results` they are,
    in the same statement, for hosts that show `tasks[].result` in a thread's history.
    `fresh`: its thread is known to hold no checkpoint, so until the first put nothing is asked for.
    """

    def __init__(
        self,
        pool: Pool,
        run_id: str | None = None,
        fence: int | None = None,
        *,
        key: bytes,
        tenant: str = "default",
        types: Sequence[type] = (),
        codec: Codec | None = None,
        task_results: bool = False,
        fresh: bool = False,
    ) -> None:
        if (run_id is None) != (fence is None):
            raise ValueError("give run_id and fence together, or neither")
        codec, seal = codec or Codec(types), Seal(key, tenant)
        super().__init__(serde=codec)
        self._group, self._task_results, self._fresh = GroupCommit.of(pool), task_results, fresh
        owner = None if run_id is None or fence is None else Fence(str(uuid.UUID(run_id)), fence)
        self._writer, reader = Writer(codec, seal, tenant, owner), Reader(codec, seal)
        self._search = Search(pool, tenant, reader)
        self._retention = Retention(pool, tenant, reader, seal)
        self._held = HeldWrites()
        self._updating: list[Entry] | None = None
        self._within: Within | None = None
        self._replay: Replay | None = None
        self._stored: OrderedDict[Place, dict[str, Stored]] = OrderedDict()

    @at_home
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = place_of(config)
        if self._fresh:
            return None
        if self._replay and (last := await self._replay.last(config)):
            return last
        loaded = await self._search.one(place, get_checkpoint_id(config))
        if loaded is None:
            return None
        self._remember(place, loaded.stored)
        return loaded.tuple

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Newest first. `filter`: metadata that must be equal, key by key."""
        before_id = get_checkpoint_id(before) if before else None
        found = self._search.many(config, filter or {}, before_id, limit)
        async for each in self._from_home(found):
            yield each

    @at_home
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        self._fresh = False
        place, parent_id = place_of(config), get_checkpoint_id(config)
        parent = (place, parent_id) if metadata.get("source") == "loop" else None
        with self._held.contained(parent, (place, checkpoint["id"])) as results:
            point("checkpoint.ready")
            await self._put(config, place, checkpoint, metadata, new_versions, [*results, *(self._updating or ())])
            point("checkpoint.committed")
        if self._updating:
            self._updating.clear()
        if self._replay:
            self._replay.put(config, place, checkpoint, metadata)
        return place.config(checkpoint["id"])

    @asynccontextmanager
    async def updating(self, connection: Connection | None = None) -> AsyncIterator["PostgresSaver"]:
        """A saver for `update_state`, which is whole with it: what that writes on top of a checkpoint is committed with
        the checkpoint that it makes. Alone it might bear the id of a task that waits, and say that it was done.

        With a `connection` it reads and writes in that one's transaction, without the fence: for who holds the thread.
        """
        saver = copy(self)
        saver._updating = []
        if connection:
            saver._within = within = Within(connection)
            saver._search = self._search.on(within)
        yield saver
        for entry in saver._updating:
            await saver._commit(entry)

    @asynccontextmanager
    async def replaying(self, connection: Connection) -> AsyncIterator["PostgresSaver"]:
        """The same for the whole history of a thread that has none."""
        async with self.updating(connection) as saver:
            assert saver._within
            saver._replay = replay = Replay(saver._within)
            yield saver
        await replay.flush()

    async def _put(
        self,
        config: RunnableConfig,
        place: Place,
        checkpoint: Checkpoint,
        metadata: Any,
        new: Any,
        results: Sequence[Entry],
    ) -> None:
        before: Mapping[str, Stored] = self._stored.get(place, {})
        while True:
            entry, stored = self._writer.checkpoint(config, place, checkpoint, metadata, new, before)
            entry.writes += [row for result in results for row in result.writes]
            try:
                await self._commit(entry)
            except psycopg.errors.UniqueViolation:
                if not before:
                    raise
                before = {}  # another branch went on from the same list: this one begins an epoch of its own
            else:
                return self._remember(place, stored)

    @at_home
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        if not writes:
            return
        place, checkpoint_id = place_of(config), config["configurable"]["checkpoint_id"]
        if self._updating is not None:
            self._updating.append(self._writer.writes(place, checkpoint_id, writes, task_id, task_path))
            return
        if may_hold(task_id, writes):
            rows = self._result(place, checkpoint_id, writes, task_id, task_path) if self._task_results else None
            if await self._held.hold((place, checkpoint_id), rows):
                return
        point("writes.ready")
        await self._commit(self._writer.writes(place, checkpoint_id, writes, task_id, task_path))
        point("writes.committed")

    def _result(self, place: Place, checkpoint_id: str, writes: Any, task_id: str, task_path: str) -> Entry | None:
        """What can't be kept exactly is shown to nobody; the state may be made from it all the same."""
        try:
            return self._writer.writes(place, checkpoint_id, writes, task_id, task_path)
        except NotCarried:
            return None

    @at_home
    async def adelete_thread(self, thread_id: str) -> None:
        """All that is kept of the thread. Cancel its runs first: this isn't fenced, nor are the other deletions."""
        await self._retention.delete([str(thread_id)])

    @at_home
    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """The runs' checkpoints and writes; values that they shared with others go with the thread, or when pruned."""
        await self._retention.delete_runs([str(run_id) for run_id in run_ids])

    @at_home
    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """All checkpoints of a thread under another id, sealed anew. Raises Conflict when that one has any."""
        await self._retention.copy(str(source_thread_id), str(target_thread_id))

    @at_home
    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`keep_latest`: the newest checkpoint of each namespace; `delete`: nothing. For threads without a live run.

        Threads with a DeltaChannel that is read back from older writes are left whole by `keep_latest`.
        """
        if isinstance(thread_ids, str) or strategy not in ("keep_latest", "delete"):
            raise ValueError("aprune takes a sequence of thread ids, and the strategy keep_latest or delete")
        kept = self._retention.delete if strategy == "delete" else self._retention.keep_latest
        await kept([str(thread_id) for thread_id in thread_ids])

    def get_next_version(self, current: int | None, channel: None) -> int:
        """A counter and random bits, so that two branches of a thread never give two values one version."""
        return (((current or 0) >> _COUNTER_BITS) + 1) << _COUNTER_BITS | getrandbits(_COUNTER_BITS)

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> "PostgresSaver":
        """Types are given as classes to the constructor, never by name: LangGraph's list adds none."""
        return self

    async def _commit(self, entry: Entry) -> None:
        if self._replay:
            await self._replay.add(entry)
            return
        if self._within is None:
            await self._group.submit(entry)
            return
        async with self._within.connection() as connection:
            await connection.execute(WRITE_ALONE, parameters([entry]))

    def _remember(self, place: Place, stored: dict[str, Stored]) -> None:
        self._stored[place] = stored
        self._stored.move_to_end(place)
        if len(self._stored) > _REMEMBERED:
            self._stored.popitem(last=False)
