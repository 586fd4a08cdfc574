"""Group commit: what the process's runs write at the same time is one statement, durable before each returns."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, LiteralString, Protocol
from weakref import WeakValueDictionary

import psycopg
from psycopg_pool import PoolTimeout

from serving.background import Background
from serving.database import Connection, Pool, Row
from serving.runs.fence import fence_lost

_MOST_ENTRIES = 32
_MOST_WRITERS = 2  # while one group is on its way to the disk, the runs of the other go on
_MOST_BYTES = 8 * 2**20
_ENDING = psycopg.OperationalError("the process is shutting down: nothing was written")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt that writes: refused once its run isn't running or another attempt has claimed it."""

    run_id: str
    number: int


class Entry(Protocol):
    """What one caller writes. `done` resolves to the rows that the statement returned for it, or has the reason why
    not; one with a fence that gets no row has lost its run."""

    done: asyncio.Future[list[Row]]

    @property
    def writing(self) -> "Writing": ...

    @property
    def fence(self) -> Fence | None: ...

    @property
    def size(self) -> int:
        """About how many bytes it has."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How entries of a kind are written; every returned row has the `number` of its entry.

    `group` never waits for a run's row, so it can't deadlock or hold others up; what it had to skip is tried `alone`.
    `repeatable`: it may be written again where a lost connection leaves open whether it was committed.
    """

    group: LiteralString
    alone: LiteralString
    parameters: Callable[[Sequence[Any]], dict[str, Any]]
    repeatable: bool


class GroupCommit:
    """One a pool. The work belongs to it, not to who waits: a cancelled caller leaves the connection whole.

    A group is of one kind; a run's entries of two kinds go one after the other, and don't lock its row for each other.
    """

    _of_pool: ClassVar[WeakValueDictionary[int, "GroupCommit"]] = WeakValueDictionary()

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[Entry] = []
        self._writers = 0
        self._work = Background()

    @classmethod
    def of(cls, pool: Pool) -> "GroupCommit":
        """The one that all who write on this pool share; it lives as long as one of them."""
        group = cls._of_pool.get(id(pool))
        if group is None:
            group = cls._of_pool[id(pool)] = cls(pool)
        return group

    def submit(self, entry: Entry) -> asyncio.Future[list[Row]]:
        """Its `done`: has FenceLost when the attempt may not write any more, else psycopg's error."""
        self._waiting.append(entry)
        if self._writers < _MOST_WRITERS and len(self._waiting) > self._writers * _MOST_ENTRIES:
            self._writers += 1
            self._work.start(self._write())
        return entry.done

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
        """Those of the kind that has waited longest."""
        size = 0
        group: list[Entry] = []
        left: list[Entry] = []
        for entry in self._waiting:
            fits = len(group) < _MOST_ENTRIES and (not group or size + entry.size <= _MOST_BYTES)
            if fits and entry.writing is self._waiting[0].writing:
                group.append(entry)
                size += entry.size
            else:
                left.append(entry)
        self._waiting = left
        return group

    def _take(self) -> list[Entry]:
        group, self._waiting = self._waiting, []
        return group

    async def _write_group(self, connection: Connection, group: list[Entry]) -> None:
        """What failed with the group, or whose run's row was locked just then, is tried again by itself."""
        written: Mapping[int, list[Row]] = {}
        writing = group[0].writing
        try:
            cursor = await connection.execute(writing.group, writing.parameters(group))
            written = _by_number(await cursor.fetchall())
        except psycopg.Error as error:
            log.info("action=group_commit entries=%s error=%s", len(group), type(error).__name__)
            if connection.broken and not writing.repeatable:
                _end(group, error)
        except BaseException:
            _end(group, _ENDING)
            raise
        for number, entry in enumerate(group):
            if number in written:
                _end([entry], written[number])
            elif not entry.done.done():
                self._work.start(self._write_alone(entry))

    async def _write_alone(self, entry: Entry) -> None:
        """Twice when the database or the connection fails, if it can be written again."""
        outcome: list[Row] | Exception = _ENDING
        try:
            for _ in range(2 if entry.writing.repeatable else 1):
                outcome = await self._outcome(entry)
                if not isinstance(outcome, psycopg.OperationalError) or isinstance(outcome, PoolTimeout):
                    break
        finally:
            _end([entry], outcome)

    async def _outcome(self, entry: Entry) -> list[Row] | Exception:
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(entry.writing.alone, entry.writing.parameters([entry]))
                rows = await cursor.fetchall()
        except psycopg.Error as error:
            return error
        if rows or entry.fence is None:
            return rows
        return fence_lost(entry.fence.run_id, "write")


def _by_number(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    found: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[int(row["number"])].append(row)
    return found


def _end(entries: Iterable[Entry], outcome: list[Row] | Exception) -> None:
    for entry in entries:
        if entry.done.done():
            continue  # who waited was cancelled
        if isinstance(outcome, Exception):
            entry.done.set_exception(outcome)
        else:
            entry.done.set_result(outcome)
