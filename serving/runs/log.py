"""The run log: append-only, gapless per run, fenced to the attempt that writes, each line bound to the one before it.

An append takes the run's row, so `seq` follows commit order and a reader never sees a gap that later fills; when a
newer attempt owns the run it writes nothing. What a process's runs append at the same time is one statement.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import orjson
from orjson import Fragment
from pydantic import ValidationError

from graph.events import BODY, DELTAS, EventBody, RunEvent, RunForked
from graph.faults import point
from graph.tools.content import clean
from serving.database import Connection, Pool, Row, fetch_all, fetch_one, storage
from serving.errors import LogDamaged
from serving.runs.group import Fence, GroupCommit, Writing
from serving.runs.notices import Notices

_APPEND: LiteralString = """
select seq, at, body::text from append_events(%(run_id)s, %(fence)s, %(bodies)s)
"""
_LINES: LiteralString = """
    select seq, at, kind, body::text from (
        select *, sum(size) over (order by seq) - size as before
        from (
            select seq, at, kind, body, size from run_events where run_id = %(run_id)s and seq > %(after)s
            order by seq limit %(lines)s
        ) line
    ) page
    where before < %(bytes)s
"""
# Those that say more than what was said in passing, and the last one.
_LASTING: LiteralString = _LINES.replace(
    "seq > %(after)s", "seq > %(after)s and seq <= %(upto)s and (kind <> all(%(passing)s) or seq = %(upto)s)"
)
# Behind a change of a run's row, `with run as (...)`: its lines, in the same statement.
AND_LINES: LiteralString = "select line.seq from run, append_events(run.run_id, null, %(bodies)s) line"
_TAIL: LiteralString = """
select run.tenant, run.status, run.last_seq, run.run_id::text, run.graph, line.*
from runs run left join lateral ({lines}) line on true where run.run_id = %(run_id)s order by line.seq
"""
_STANDINGS: LiteralString = "select run_id::text, status, last_seq from runs where run_id = any(%s::uuid[])"
_ENTRIES: LiteralString = """
with entry as materialized (
    select * from json_to_recordset(%(entries)s) as e(number int, run_id uuid, fence bigint, bodies json)
"""
_FREE: LiteralString = """
), free as materialized (
    select run_id from runs where run_id = any(array(select run_id from entry))
    order by run_id for no key update skip locked
), owned as materialized (
    select entry.* from entry join free using (run_id)
"""
_ALL: LiteralString = """
), owned as materialized (
    select * from entry
"""
_APPENDED: LiteralString = """
)
select number, seq, at, body::text from owned, append_events(owned.run_id, owned.fence, owned.bodies)
"""
_PASSING: Final = {"passing": [*DELTAS, "stream_part"]}
_FORK_LINES = 2  # a fork's log says where it comes from right behind that it was created
_PAGE_LINES = 500
_PAGE_BYTES = 1 << 20
_MOST_BYTES_A_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class Tail:
    """A page of lines, and how their run stood in the same snapshot."""

    tenant: str
    status: str
    last_seq: int
    lines: tuple[Row, ...]


def event_of(row: Row) -> RunEvent:
    return RunEvent(seq=row["seq"], at=row["at"], body=BODY.validate_json(row["body"]))


def encoded(bodies: Sequence[EventBody]) -> str:
    """What Postgres or JSON can't hold (NUL, lone surrogates, huge integers) is made fit here for every event alike."""
    plain = [body.model_dump(mode="json") for body in bodies]
    with suppress(TypeError):  # where orjson finds nothing to refuse, looking at each value is needed only for a NUL
        text = orjson.dumps(plain, option=orjson.OPT_STRICT_INTEGER).decode()
        if "\\u0000" not in text:
            return text
    return orjson.dumps(clean(plain)).decode()


async def read(
    pool: Pool, run_id: str, after: int = 0, lines: int = _PAGE_LINES, lasting: int | None = None
) -> tuple[list[RunEvent], bool]:
    """The next page, at most so many lines, and 1 MiB of them or one line; and whether more may follow it. `lasting`:
    up to this line, without what is said in passing."""
    values = {"run_id": run_id, "after": after, "lines": lines, "bytes": _PAGE_BYTES}
    query, values = (_LINES, values) if lasting is None else (_LASTING, {**values, "upto": lasting, **_PASSING})
    rows = await fetch_all(pool, query + "order by seq", values)
    characters = sum(len(row["body"]) for row in rows)
    full = len(rows) == lines or characters * _MOST_BYTES_A_CHARACTER >= _PAGE_BYTES
    return [_known(run_id, row) for row in rows], full


def _known(run_id: str, row: Row) -> RunEvent:
    try:
        return event_of(row)
    except ValidationError:
        hint = f"trireme audit verify {run_id} says whether it was changed; else a newer version wrote it"
        raise LogDamaged(f"line {row['seq']} of the log of run {run_id} can't be read", hint) from None


async def read_all(pool: Pool, run_id: str, upto: int | None = None, *, lasting: int | None = None) -> list[RunEvent]:
    """The log from its first line to line `upto`, or to its end; `lasting` as in `read`."""
    history: list[RunEvent] = []
    last, more = 0, True
    while more and last != upto:
        lines = _PAGE_LINES if upto is None else min(_PAGE_LINES, upto - last)
        page, more = await read(pool, run_id, last, lines, lasting)
        history += page
        last = page[-1].seq if page else last
    return history


async def read_tail(pool: Pool, run_id: str, after: int, most_bytes: int) -> Tail | None:
    """Lines behind `after` (run_id, graph, seq, at, kind, body as text): so many bytes, or one line. None: no run."""
    values = {"run_id": run_id, "after": after, "lines": _PAGE_LINES, "bytes": most_bytes}
    rows = await fetch_all(pool, _TAIL.format(lines=_LINES), values)
    if not rows:
        return None
    run, lines = rows[0], tuple(row for row in rows if row["seq"] is not None)
    return Tail(run["tenant"], run["status"], run["last_seq"], lines)


async def refuse_cut(pool: Pool, run_id: str, after: int, last_seq: int) -> None:
    """Raises LogDamaged when no line follows `after`, though the run has written `last_seq`."""
    query: LiteralString = "select coalesce(max(seq), 0) as seq from run_events where run_id = %s"
    row = await fetch_one(pool, query, (run_id,))
    if row and row["seq"] <= after < last_seq:
        message = f"the log of run {run_id} ends at line {row['seq']}, but {last_seq} were written"
        raise LogDamaged(message, f"trireme audit verify {run_id} names the cut")


async def standings(pool: Pool, run_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Run id -> (status, last seq), of those that exist."""
    rows = await fetch_all(pool, _STANDINGS, (list(run_ids),))
    return {row["run_id"]: (row["status"], row["last_seq"]) for row in rows}


async def read_inherited(pool: Pool, own: Sequence[RunEvent]) -> list[RunEvent]:
    """What comes before a fork's own lines: those of its parent up to the fork, and of that one's parent, and so on."""
    origin = next((event.body for event in own[:_FORK_LINES] if isinstance(event.body, RunForked)), None)
    if origin is None:
        return []
    parent = await read_all(pool, origin.run_id, origin.seq)
    return [*await read_inherited(pool, parent), *parent]


async def append_unfenced(connection: Connection, run_id: str, *bodies: EventBody) -> None:
    """For those who are no attempt (the API): inside the caller's transaction, together with its change of status."""
    await connection.execute(_APPEND, {"run_id": run_id, "fence": None, "bodies": encoded(bodies)})


@dataclass(slots=True, eq=False)
class _Lines:
    """Of the group commit: what one append writes, as JSON text."""

    fence: Fence
    bodies: str
    done: asyncio.Future[list[Row]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def writing(self) -> Writing:
        return _LOG

    @property
    def size(self) -> int:
        return len(self.bodies)


def _parameters(entries: Sequence[_Lines]) -> dict[str, Any]:
    rows = [
        {"number": number, "run_id": each.fence.run_id, "fence": each.fence.number, "bodies": Fragment(each.bodies)}
        for number, each in enumerate(entries)
    ]
    return {"entries": orjson.dumps(rows).decode()}


_LOG = Writing(_ENTRIES + _FREE + _APPENDED, _ENTRIES + _ALL + _APPENDED, _parameters, repeatable=False)


class FencedLog:
    """Writes for one attempt at one run, and keeps nothing."""

    def __init__(self, pool: Pool, run_id: str, fence: int, notices: Notices) -> None:
        self._pool, self._run_id, self._fence, self._notices = pool, run_id, fence, notices
        self._group = GroupCommit.of(pool)

    async def write(self, bodies: str) -> list[Row]:
        """A JSON list of bodies, as Postgres can hold it. Raises FenceLost, StorageLost."""
        lines = _Lines(Fence(self._run_id, self._fence), bodies)
        point("event.ready")
        with storage():
            rows = await self._group.submit(lines)
        point("event.committed")
        self._notices.written(self._run_id)
        return rows


class AttemptLog(FencedLog):
    """Port `Events` for one attempt at one run. `load` first; then `history` follows every append, and so does `own`:
    the part of it that isn't inherited from the run that this one was forked from.

    It holds each event as the database gives it back, so that the next attempt reads the very same bytes.
    """

    def __init__(self, pool: Pool, run_id: str, fence: int, notices: Notices) -> None:
        super().__init__(pool, run_id, fence, notices)
        self._history: list[RunEvent] = []
        self.own: list[RunEvent] = []

    @property
    def history(self) -> Sequence[RunEvent]:
        return self._history

    async def load(self) -> None:
        with storage():
            self.own = await read_all(self._pool, self._run_id)
            self._history = [*await read_inherited(self._pool, self.own), *self.own]

    async def append(self, *bodies: EventBody) -> None:
        rows = await self.write(encoded(bodies))
        inherited = len(self._history) - len(self.own)
        self.own += [event_of(row) for row in rows]
        # Appends of parallel steps may come back in another order than they were committed in.
        self.own.sort(key=lambda event: event.seq)
        self._history[inherited:] = self.own
