"""The run log: append-only, gapless per run, fenced to the attempt that writes.

An append is one statement: it takes the run's row, so `seq` follows commit order and a reader never sees a gap that
later fills; when a newer attempt owns the run it writes nothing.
"""

from collections.abc import Sequence
from typing import LiteralString

import orjson

from graph.errors import FenceLost
from graph.events import BODY, EventBody, RunEvent
from graph.tools.content import clean
from serving.database import Connection, Pool, Row
from serving.runs.notices import Notices

_INSERT: LiteralString = """
insert into run_events (run_id, seq, kind, body)
select run.run_id, run.last_seq - %(count)s + line.ordinality, line.value ->> 'kind', line.value
from run, jsonb_array_elements(%(bodies)s::jsonb) with ordinality line
returning seq, at, body
"""
_FENCED: LiteralString = """
with run as (
    update runs set last_seq = last_seq + %(count)s
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id, last_seq
)
"""
_UNFENCED: LiteralString = """
with run as (
    update runs set last_seq = last_seq + %(count)s where run_id = %(run_id)s returning run_id, last_seq
)
"""
_READ: LiteralString = """
select seq, at, body from run_events where run_id = %s and seq > %s order by seq limit %s
"""


def event_of(row: Row) -> RunEvent:
    return RunEvent(seq=row["seq"], at=row["at"], body=BODY.validate_python(row["body"]))


def encoded(bodies: Sequence[EventBody]) -> str:
    """What Postgres or JSON can't hold (NUL, lone surrogates, huge integers) is made fit here for every event alike."""
    return orjson.dumps([clean(body.model_dump(mode="json")) for body in bodies]).decode()


async def read(pool: Pool, run_id: str, after: int = 0, limit: int = 500) -> list[RunEvent]:
    async with pool.connection() as connection:
        rows = await (await connection.execute(_READ, (run_id, after, limit))).fetchall()
    return [event_of(row) for row in rows]


async def append_unfenced(connection: Connection, run_id: str, *bodies: EventBody) -> None:
    """For those who are no attempt (the API): inside the caller's transaction, together with its change of status."""
    values = {"run_id": run_id, "count": len(bodies), "bodies": encoded(bodies)}
    await connection.execute(_UNFENCED + _INSERT, values)


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
        while page := await read(self._pool, self._run_id, self._history[-1].seq if self._history else 0):
            self._history += page

    async def append(self, *bodies: EventBody) -> None:
        values = {"run_id": self._run_id, "fence": self._fence, "count": len(bodies), "bodies": encoded(bodies)}
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_FENCED + _INSERT, values)).fetchall()
        if not rows:
            raise FenceLost(f"run {self._run_id}: a newer attempt owns it")
        self._history += [event_of(row) for row in rows]
        # Appends of parallel steps may come back in another order than they were committed in.
        self._history.sort(key=lambda event: event.seq)
        self._notices.touched(self._run_id)
