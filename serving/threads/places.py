"""Where a thread's runs stand in its stream: numbered in the order in which they began, once and for every process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from serving.database import Pool, Row, fetch_all, fetch_one

_LINES: Final = 2**24  # of a run
ROOM: Final = 2**9  # of what a line tells in one vocabulary; each line has room for two
_TELLINGS: Final = 2 * ROOM
_FAR: Final = 2**19  # places
# A run that was cancelled while it waited began never, and yet whoever asked for it is told its end.
_UNNUMBERED: LiteralString = """
with unnumbered as (
    select run_id, coalesce(started_at, finished_at) as begun from runs run
    where thread_id = %(thread)s and tenant = %(tenant)s and coalesce(started_at, finished_at) is not null
        and not exists (select from thread_runs where thread_runs.run_id = run.run_id)
)
"""
_NUMBER: LiteralString = """, known as (
    select coalesce(max(place), 0) as last from thread_runs where thread_id = %(thread)s
)
insert into thread_runs (thread_id, place, run_id)
select %(thread)s, last + row_number() over (order by begun, run_id), run_id from known, unnumbered
on conflict do nothing
"""
_STANDING: LiteralString = """
select place, run.*, extract(epoch from now() - run.finished_at)::float8 as ended_s, thread.status as thread_status,
    exists (select from runs other where other.thread_id = run.thread_id and other.status = 'pending'
        and other.run_at is null and other.started_at is null) as queued
from thread_runs join runs run using (run_id) join threads thread on thread.thread_id = run.thread_id
where thread_runs.thread_id = %(thread)s and run.tenant = %(tenant)s
"""
_NEWEST: LiteralString = _STANDING + " order by place desc limit 1"
_NEXT: LiteralString = _STANDING + " and place >= %(place)s order by place limit 1"
# A run that is gone keeps its number: how far it came nobody can say any more.
_KNOWN: LiteralString = """
select from thread_runs join threads thread using (thread_id) left join runs using (run_id)
where thread.thread_id = %(thread)s and thread.tenant = %(tenant)s and place = %(place)s
    and coalesce(last_seq >= %(line)s, true)
"""
_CHANGED: LiteralString = """
select thread_id::text, exists (
    select from runs where runs.thread_id = thread.thread_id and status = 'running') as live, updated_at, (
    select max(finished_at) from (select finished_at from runs where runs.thread_id = thread.thread_id
        order by created_at desc limit 8) newest) as ended
from threads thread where thread_id = any(%s::uuid[])
"""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """In a thread's stream: a run by its number, a line of its log, and which of the things that this line tells."""

    run: int = 1
    line: int = 0
    telling: int = 0

    @property
    def seq(self) -> int:
        """One number that grows along the stream, and that JavaScript holds exactly."""
        return ((self.run - 1) * _LINES + min(self.line, _LINES - 1)) * _TELLINGS + min(self.telling, _TELLINGS - 1)

    def is_told(self, heard: int) -> bool:
        """To who has heard up to seq `heard`. What shares its room's last number may not be: that is told again."""
        return self.seq < heard or (self.seq == heard and self.telling % ROOM < ROOM - 1)

    @classmethod
    def of(cls, seq: int) -> "Place":
        line, telling = divmod(min(seq, _FAR * _LINES * _TELLINGS - 1), _TELLINGS)
        run, line = divmod(line, _LINES)
        return cls(run + 1, line, telling)


START: Final = Place()


def read_up_to(heard: int) -> int:
    """The last line of a run that isn't read again for who has heard up to seq `heard` (-1: nothing of the run)."""
    return max(Place.of(heard).line - 1, 0) if heard >= 0 else 0


class Places:
    """One tenant's. `number` comes before the others: it gives numbers to the runs that have begun meanwhile."""

    def __init__(self, pool: Pool, tenant: str = "default") -> None:
        self._pool, self._tenant = pool, tenant

    def of(self, tenant: str) -> "Places":
        return Places(self._pool, tenant)

    async def newest(self, thread_id: str) -> Row | None:
        """The run that began last, with its `place`, how long ago it ended and how its thread rests."""
        await self._number(thread_id)
        return await self._one(_NEWEST, {"thread": thread_id})

    async def next(self, thread_id: str, place: int) -> Row | None:
        """The run at this place; where it is gone, the one behind it."""
        values = {"thread": thread_id, "place": place}
        found = await self._one(_NEXT, values)
        if found is None and await self._number(thread_id):
            found = await self._one(_NEXT, values)
        return found

    async def end(self, thread_id: str) -> Place:
        """Behind the last line that any run has written so far."""
        row = await self.newest(thread_id)
        return Place(row["place"], row["last_seq"], _TELLINGS - 1) if row else START

    async def knows(self, thread_id: str, place: Place) -> bool:
        """Whether what stands there may have been told."""
        values = {"thread": thread_id, "place": place.run, "line": place.line}
        return place == START or await self._one(_KNOWN, values) is not None

    async def _number(self, thread_id: str) -> bool:
        values = {"thread": thread_id, "tenant": self._tenant}
        async with self._pool.connection() as connection:
            if not (await connection.execute(_UNNUMBERED + "select from unnumbered limit 1", values)).rowcount:
                return False
            await connection.execute(_UNNUMBERED + _NUMBER, values)
        return True

    async def _one(self, query: LiteralString, values: Mapping[str, Any]) -> Row | None:
        return await fetch_one(self._pool, query, {**values, "tenant": self._tenant})


async def changes(pool: Pool, thread_ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Of each thread that is there something that is another when a run of it has begun or ended."""
    rows = await fetch_all(pool, _CHANGED, (list(thread_ids),))
    return {row["thread_id"]: (row["live"], row["updated_at"], row["ended"]) for row in rows}
