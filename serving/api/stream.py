"""The tails of runs as server-sent events. A stream holds nothing but its place: `Last-Event-ID` goes on behind a cut.

Readers that stand at the same line share one read and one encoding of what follows. Reading is the process's work: a
reader that goes away cancels no query, and one that takes nothing keeps nothing here but its place.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg_pool import PoolTimeout

from graph.faults import point
from serving.api.endings import Endings, Ends
from serving.api.reader import HEARTBEAT_S, LINES, Caller, Framing, Page, Reader
from serving.database import Pool, Row
from serving.hosting.config import AGENT
from serving.runs.log import Tail, read_tail, standings
from serving.runs.notices import LINES_ALONE
from serving.runs.view import TERMINAL

_POLL_S = 1.0
_PAGE_BYTES = 256 * 1024
Restore = Callable[[str, str], Awaitable[str]]  # (tenant, a line's body)
log = logging.getLogger(__name__)


async def as_stored(_: str, body: str) -> str:
    return body


@dataclass(slots=True)
class _Tail:
    readers: set[Reader] = field(default_factory=set)
    due: bool = False
    passed_over: bool = False  # a reader that wasn't ready when there was something to read
    task: asyncio.Task[None] | None = None


class Tails:
    """The process's readers. A notice or the poll says that a run has news; whoever joins has subscribed by that."""

    def __init__(self, pool: Pool, restore: Restore = as_stored, patience_s: float = 30.0) -> None:
        """A reader that takes nothing for `patience_s` seconds, with more waiting than it may have, is cut off."""
        self._pool, self._restore, self.patience_s = pool, restore, patience_s
        self._tails: dict[str, _Tail] = {}
        self._endings = Endings(pool)

    def close(self) -> None:
        """Ends every stream; its reader goes on at another process, behind the last line it has."""
        self._endings.close()
        for tail in list(self._tails.values()):
            for reader in list(tail.readers):
                reader.end()
            if tail.task:
                tail.task.cancel()

    def heard(self, payload: str) -> None:
        """What `Notices` sends; nothing when a notice may have been missed."""
        if not payload:
            self._wake_all()
        for named in filter(None, payload.split(",")):
            run_id = named.removesuffix(LINES_ALONE)
            self.wake(run_id)
            if run_id == named:
                self._endings.ask(run_id)

    async def serve(self) -> None:
        """The poll, which is the floor: one query a second, whatever the number of readers."""
        while True:
            await asyncio.sleep(_POLL_S)
            now = asyncio.get_running_loop().time()
            for tail in list(self._tails.values()):
                for reader in list(tail.readers):
                    reader.tick(now)
            try:
                await self._poll()
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("action=poll error=%s retry_s=%s", type(error).__name__, _POLL_S)

    def join(self, run_id: str, reader: Reader) -> None:
        self._tails.setdefault(run_id, _Tail()).readers.add(reader)
        point("stream.subscribed")
        self.wake(run_id)

    def leave(self, run_id: str, reader: Reader) -> None:
        if tail := self._tails.get(run_id):
            tail.readers.discard(reader)
            if not tail.readers:
                del self._tails[run_id]

    def wake(self, run_id: str) -> None:
        """There may be something to read for this run."""
        if tail := self._tails.get(run_id):
            tail.due = True
            tail.task = tail.task or asyncio.create_task(self._advance(run_id, tail))

    async def over(self, run_id: str, ends: Ends) -> bool | None:
        """True when the run has ended, None when nothing came for a while, False when this process stops."""
        return await self._endings.over(run_id, ends, HEARTBEAT_S)

    async def follow(self, run_id: str, after: int = 0, framing: Framing = LINES) -> AsyncIterator[Page | None]:
        """Pages behind `after`, then new ones until the run has ended; None when nothing came for a while."""
        reader = Caller(after, framing, lambda: self._resume(run_id))
        self.join(run_id, reader)
        try:
            while True:
                page = await reader.next()
                if reader.ended:
                    return
                yield page
                if page and page.over:
                    return
        finally:
            self.leave(run_id, reader)

    def _resume(self, run_id: str) -> None:
        """A reader can take more."""
        if (tail := self._tails.get(run_id)) and tail.passed_over:
            self.wake(run_id)

    def _wake_all(self) -> None:
        for run_id in list(self._tails):
            self.wake(run_id)
        self._endings.ask_all()

    async def _poll(self) -> None:
        self._endings.ask_all()
        known = await standings(self._pool, list(self._tails)) if self._tails else {}
        for run_id, tail in list(self._tails.items()):
            status, last_seq = known.get(run_id, ("", 0))
            if run_id not in known or status in TERMINAL or any(reader.after < last_seq for reader in tail.readers):
                self.wake(run_id)

    async def _advance(self, run_id: str, tail: _Tail) -> None:
        loop = asyncio.get_running_loop()
        try:
            while tail.due:
                ready = [reader for reader in tail.readers if reader.ready]
                tail.due, tail.passed_over = False, len(ready) < len(tail.readers)
                for after in sorted({reader.after for reader in ready}):
                    found, now = await read_tail(self._pool, run_id, after, _PAGE_BYTES), loop.time()
                    point("stream.read")
                    tail.due = tail.due or bool(found and found.lines and found.lines[-1]["seq"] < found.last_seq)
                    bodies = [await self._body(found.tenant, row) for row in found.lines] if found else []
                    for framing, readers in _standing_at(after, tail.readers).items():
                        try:
                            page = _page(found, bodies, after, framing, now)
                        except Exception as error:  # the others go on
                            log.error("action=frame run=%s error=%s", run_id, type(error).__name__)
                            self._end(run_id, readers)
                            continue
                        if page.lines or page.over:
                            self._give(run_id, readers, page)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=tail run=%s error=%s outcome=left_to_the_poll", run_id, type(error).__name__)
        finally:
            tail.task = None

    def _give(self, run_id: str, readers: Sequence[Reader], page: Page) -> None:
        for reader in readers:
            reader.take(page)
            if page.over:
                self.leave(run_id, reader)

    def _end(self, run_id: str, readers: Sequence[Reader]) -> None:
        for reader in readers:
            reader.end()
            self.leave(run_id, reader)

    async def _body(self, tenant: str, row: Row) -> str:
        """What is told of a hosted graph is its own to the letter, whatever it looks like."""
        body: str = row["body"]
        return await self._restore(tenant, body) if row["graph"] in (None, AGENT) else body


def _standing_at(after: int, readers: Iterable[Reader]) -> dict[Framing, list[Reader]]:
    """Those who can take a page from there, by what it is made for."""
    standing: dict[Framing, list[Reader]] = {}
    for reader in readers:
        if reader.ready and reader.after == after:
            standing.setdefault(reader.framing, []).append(reader)
    return standing


def _page(tail: Tail | None, bodies: list[str], after: int, framing: Framing, now: float) -> Page:
    if tail is None:  # deleted with its thread
        return Page((), b"", after, "cancelled", after, now, over=True)
    data = "".join([framing(row, body) for row, body in zip(tail.lines, bodies, strict=True)])
    last = tail.lines[-1]["seq"] if tail.lines else after
    over = not tail.lines if last < tail.last_seq else framing.ends(tail.status)
    return Page(tail.lines, data.encode(), last, tail.status, tail.last_seq, now, over)
