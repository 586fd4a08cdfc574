"""The run log: append-only, gapless per run, fenced to the attempt that writes, each line bound to the one before it.

An append is one statement: it takes the run's row, so `seq` follows commit order and a reader never sees a gap that
later fills; when a newer attempt owns the run it writes nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import LiteralString

import orjson

from graph.errors import FenceLost
from graph.events import BODY, EventBody, RunEvent
from graph.faults import point
from graph.tools.content import clean
from serving.database import Connection, Pool, Row, connected, storage
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
_TAIL: LiteralString = """
select run.status, run.last_seq, line.* from runs run left join lateral ({lines}) line on true
where run.run_id = %(run_id)s order by line.seq
"""
_STANDINGS: LiteralString = "select run_id::text, status, last_seq from runs where run_id = any(%s::uuid[])"
_PAGE_LINES = 500
_PAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Tail:
    """A page of lines, and how their run stood in the same snapshot."""

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


async def read(pool: Pool, run_id: str, after: int = 0, lines: int = _PAGE_LINES) -> list[RunEvent]:
    """The next page: at most so many lines, and 1 MiB of them or one line."""
    values = {"run_id": run_id, "after": after, "lines": lines, "bytes": _PAGE_BYTES}
    async with pool.connection() as connection:
        rows = await (await connection.execute(_LINES + "order by seq", values)).fetchall()
    return [event_of(row) for row in rows]


async def read_all(pool: Pool, run_id: str) -> list[RunEvent]:
    history: list[RunEvent] = []
    while page := await read(pool, run_id, history[-1].seq if history else 0):
        history += page
    return history


async def read_tail(pool: Pool, run_id: str, after: int, most_bytes: int) -> Tail | None:
    """Lines behind `after` (rows of seq, at, kind and body as text): so many bytes, or one line. None: no such run."""
    values = {"run_id": run_id, "after": after, "lines": _PAGE_LINES, "bytes": most_bytes}
    async with pool.connection() as connection:
        rows = await (await connection.execute(_TAIL.format(lines=_LINES), values)).fetchall()
    if not rows:
        return None
    return Tail(rows[0]["status"], rows[0]["last_seq"], tuple(row for row in rows if row["seq"] is not None))


async def standings(pool: Pool, run_ids: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Run id -> (status, last seq), of those that exist."""
    async with pool.connection() as connection:
        rows = await (await connection.execute(_STANDINGS, (list(run_ids),))).fetchall()
    return {row["run_id"]: (row["status"], row["last_seq"]) for row in rows}


async def append_unfenced(connection: Connection, run_id: str, *bodies: EventBody) -> None:
    """For those who are no attempt (the API): inside the caller's transaction, together with its change of status."""
    await connection.execute(_APPEND, {"run_id": run_id, "fence": None, "bodies": encoded(bodies)})


class AttemptLog:
    """Port `Events` for one attempt at one run. `load` first; then `history` follows every append.

    It holds each event as the database gives it back, so that the next attempt reads the very same bytes.
    """

    def __init__(self, pool: Pool, run_id: str, fence: int, notices: Notices) -> None:
        self._pool, self._run_id, self._fence, self._notices = pool, run_id, fence, notices
        self._history: list[RunEvent] = []

    @property
    def history(self) -> Sequence[RunEvent]:
        return self._history

    async def load(self) -> None:
        with storage():
            self._history = await read_all(self._pool, self._run_id)

    async def append(self, *bodies: EventBody) -> None:
        values = {"run_id": self._run_id, "fence": self._fence, "bodies": encoded(bodies)}
        point("event.ready")
        async with connected(self._pool) as connection:
            rows = await (await connection.execute(_APPEND, values)).fetchall()
        point("event.committed")
        if not rows:
            raise FenceLost(f"run {self._run_id}: a newer attempt owns it")
        self._history += [event_of(row) for row in rows]
        # Appends of parallel steps may come back in another order than they were committed in.
        self._history.sort(key=lambda event: event.seq)
        self._notices.touched(self._run_id)
