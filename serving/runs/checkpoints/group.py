"""Group commit: what the process's runs write at the same time is one statement, durable before each returns."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import psycopg
from psycopg_pool import PoolTimeout

from graph.errors import FenceLost
from serving.database import Connection, Pool
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.statements import WRITE_ALONE, WRITE_GROUP

_MOST_ENTRIES = 32
_MOST_WRITERS = 2  # while one group is on its way to the disk, the runs of the other go on
_MOST_BYTES = 8 * 2**20
_ENDING = psycopg.OperationalError("the process is shutting down: nothing was written")
log = logging.getLogger(__name__)


class GroupCommit:
    """One for each pool. The work belongs to it, not to who waits: a cancelled caller leaves the connection whole."""

    _of_pool: ClassVar[WeakValueDictionary[int, "GroupCommit"]] = WeakValueDictionary()

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[Entry] = []
        self._writers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, pool: Pool) -> "GroupCommit":
        """The one that all savers on this pool share; it lives as long as one of them."""
        group = cls._of_pool.get(id(pool))
        if group is None:
            group = cls._of_pool[id(pool)] = cls(pool)
        return group

    def submit(self, entry: Entry) -> None:
        """`entry.done` tells the outcome: FenceLost when the attempt may not write any more, else psycopg's error."""
        self._waiting.append(entry)
        if self._writers < _MOST_WRITERS and len(self._waiting) > self._writers * _MOST_ENTRIES:
            self._writers += 1
            self._start(self._write())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self) -> None:
        """Keeps one connection for as long as something waits: meanwhile the next group gathers."""
        try:
            while self._waiting:
                try:
                    async with self._pool.connection() as connection:
                        while self._waiting and not connection.broken:
                            await self._write_group(connection, self._next())
                except psycopg.Error as error:
                    _end(self._take(), error)
        finally:
            self._writers -= 1
            if not self._writers:
                _end(self._take(), _ENDING)  # only when this process ends: else nothing waits

    def _next(self) -> list[Entry]:
        size, count = 0, 0
        for entry in self._waiting[:_MOST_ENTRIES]:
            size += entry.size
            if count and size > _MOST_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _take(self) -> list[Entry]:
        group, self._waiting = self._waiting, []
        return group

    async def _write_group(self, connection: Connection, group: list[Entry]) -> None:
        """What failed with the group, or whose run's row was locked just then, is tried again by itself."""
        written: set[int] = set()
        try:
            cursor = await connection.execute(WRITE_GROUP, parameters(group))
            written = {int(row["number"]) for row in await cursor.fetchall()}
        except psycopg.Error as error:
            log.info("action=checkpoint_group entries=%s error=%s", len(group), type(error).__name__)
        except BaseException:
            _end(group, _ENDING)
            raise
        _end((entry for number, entry in enumerate(group) if number in written), None)
        for number, entry in enumerate(group):
            if number not in written:
                self._start(self._write_alone(entry))

    async def _write_alone(self, entry: Entry) -> None:
        """Twice when the database or the connection fails: all that is written can be written again."""
        outcome: psycopg.Error | FenceLost | None = _ENDING
        try:
            for _ in range(2):
                outcome = await self._outcome(entry)
                if not isinstance(outcome, psycopg.OperationalError) or isinstance(outcome, PoolTimeout):
                    break
        finally:
            _end([entry], outcome)

    async def _outcome(self, entry: Entry) -> psycopg.Error | FenceLost | None:
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(WRITE_ALONE, parameters([entry]))
                rows = await cursor.fetchall()
        except psycopg.Error as error:
            return error
        if rows or entry.fence is None:
            return None
        return FenceLost(f"run {entry.fence.run_id}: it isn't running any more, or a newer attempt owns it")


def _end(entries: Iterable[Entry], error: Exception | None) -> None:
    for entry in entries:
        if entry.done.done():
            continue  # who waited was cancelled
        if error is None:
            entry.done.set_result(None)
        else:
            entry.done.set_exception(error)
