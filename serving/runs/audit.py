"""Is a run's log what was written? The chain of hashes is computed here once more, apart from the database."""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Literal, LiteralString

from pydantic import BaseModel

from serving.database import Connection, Pool
from serving.errors import BadRequest

Fault = Literal["changed", "missing", "reordered", "truncated", "forged", "rewritten"]

_RUN: LiteralString = "select last_seq, log_head from runs where run_id = %s"
_LINES: LiteralString = """
select seq, at, kind, body, hash from (
    select seq, at, kind, body::text, hash, sum(size) over (order by seq) - size as before
    from (select * from run_events where run_id = %s and seq > %s order by seq limit 1000) line
) page
where before < 1048576 order by seq
"""
_BEFORE_ALL = -(2**63)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD = re.compile(r"[0-9a-f]{64}")


class Audit(BaseModel):
    """`events` lines are proven, up to `head` (hex); `broken_at` is the seq of the first that isn't, `fault` how.

    changed: a line isn't what was written. missing: a line is gone from the middle. reordered: a line stands in
    another's place. truncated: the last lines are gone. forged: lines stand behind the run's own last one.
    rewritten: the lines fit each other, but not the head that the run has or the caller kept.
    """

    run_id: str
    intact: bool
    events: int
    head: str
    broken_at: int | None = None
    fault: Fault | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """As it is stored; `body` is its exact text."""

    seq: int
    at: datetime
    kind: str
    body: str
    hash: bytes


class _Broken(Exception):
    def __init__(self, seq: int, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.seq, self.fault, self.message = seq, fault, message


def event_hash(head: bytes, run_id: str, line: Line) -> bytes:
    """sha256 over the hash of the line before (empty for the first), then run id, seq, microseconds since 1970, kind
    and the body's stored text, with a line feed between them, as UTF-8."""
    microseconds = (line.at - _EPOCH) // timedelta(microseconds=1)
    text = f"{run_id}\n{line.seq}\n{microseconds}\n{line.kind}\n{line.body}"
    return hashlib.sha256(head + text.encode()).digest()


async def audit(pool: Pool, run_id: str, kept: str = "") -> Audit:
    """Reads one snapshot of the run. `kept` is a head (hex) that the caller noted earlier: it must be in the chain.

    Raises BadRequest for a `kept` that is no head.
    """
    if kept and not _HEAD.fullmatch(kept):
        raise BadRequest("a head is 64 hexadecimal digits", "it is the `log_head` of the run as you had it", "bad_head")
    async with pool.connection() as connection, connection.transaction():
        await connection.execute("set transaction isolation level repeatable read, read only")
        return await _walk(connection, run_id, kept)


async def _walk(connection: Connection, run_id: str, kept: str) -> Audit:
    run = await (await connection.execute(_RUN, (run_id,))).fetchone()
    assert run is not None
    chain = _Chain(run_id, run["last_seq"], run["log_head"], bytes.fromhex(kept))
    try:
        async for line in _lines(connection, run_id):
            if not chain.extended(line):
                raise await _misfit(connection, chain, line)
        chain.close()
    except _Broken as broken:
        what = {"broken_at": broken.seq, "fault": broken.fault, "message": broken.message}
    else:
        what = {}
    return Audit(run_id=run_id, intact=not what, events=chain.seq, head=chain.head.hex(), **what)


async def _lines(connection: Connection, run_id: str) -> AsyncIterator[Line]:
    after = _BEFORE_ALL
    while rows := await (await connection.execute(_LINES, (run_id, after))).fetchall():
        for row in rows:
            yield Line(row["seq"], row["at"], row["kind"], row["body"], row["hash"])
        after = rows[-1]["seq"]


async def _misfit(connection: Connection, chain: "_Chain", line: Line) -> _Broken:
    """Another line may be what was written in this place."""
    async for other in _lines(connection, chain.run_id):
        if other.seq != line.seq and chain.takes(line, other):
            return _Broken(line.seq, "reordered", f"line {line.seq} now stands at {other.seq}")
    return _Broken(line.seq, "changed", f"line {line.seq} is not what was written")


@dataclass(slots=True)
class _Chain:
    """What is proven so far, and what the run's row and the caller say about the whole."""

    run_id: str
    last_seq: int
    log_head: bytes
    kept: bytes
    seq: int = 0
    head: bytes = b""
    _kept_seen: bool = False

    def extended(self, line: Line) -> bool:
        """False when the line's hash doesn't follow from what it holds."""
        if not self.seq < line.seq <= self.last_seq:
            raise _Broken(
                line.seq, "forged", f"the run wrote the lines 1 to {self.last_seq}: {line.seq} is none of them"
            )
        if line.seq > self.seq + 1:
            raise _Broken(self.seq + 1, "missing", f"line {self.seq + 1} is gone: the next one is {line.seq}")
        if line.hash != event_hash(self.head, self.run_id, line):
            return False
        self.seq, self.head = line.seq, line.hash
        self._kept_seen = self._kept_seen or self.head == self.kept
        return True

    def takes(self, line: Line, other: Line) -> bool:
        """Whether the other line's body follows here, with what of its row may have come along."""
        rows = product((line.at, other.at), (line.kind, other.kind), (line.hash, other.hash))
        candidates = (replace(line, at=at, kind=kind, body=other.body, hash=hash_) for at, kind, hash_ in rows)
        return any(each.hash == event_hash(self.head, self.run_id, each) for each in candidates)

    def close(self) -> None:
        if self.seq < self.last_seq:
            raise _Broken(self.seq + 1, "truncated", f"the run wrote {self.last_seq} lines, {self.seq} are left")
        if self.head != self.log_head:
            raise _Broken(self.seq, "rewritten", "the lines fit each other, but not the head in the run's row")
        if self.kept and not self._kept_seen:
            raise _Broken(self.seq, "rewritten", "this log never had the head you kept: it was cut short or rewritten")
