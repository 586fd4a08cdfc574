"""The tails of threads: that of one run behind the other's, as they begin, for as long as the reader stays.

Within a run a reader is one of `Tails`'; between runs it waits here, and costs the database its part of one query a
second for all of them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final

import psycopg
from psycopg_pool import PoolTimeout

from serving.api.reader import HEARTBEAT_S, Framing, Page
from serving.api.stream import Tails
from serving.database import Pool, Row
from serving.threads.places import Place, Places, changes

_POLL_S: Final = 1.0
_SETTLE_S: Final = 0.5
_LONG_AGO_S: Final = 5.0
FramingOf = Callable[[Row, int], Awaitable[Framing]]  # of a run, for those who have heard what comes before a seq
log = logging.getLogger(__name__)


class ThreadTails:
    """The process's readers of threads. A notice names a thread of which a run has begun; the poll is the floor."""

    def __init__(self, pool: Pool, tails: Tails) -> None:
        self._pool, self.tails = pool, tails
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._known: dict[str, Any] = {}
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Ends every stream, those of runs as well; its reader goes on at another process."""
        self._closed.set()
        self.heard("")
        self.tails.close()

    def heard(self, payload: str) -> None:
        self.tails.heard(payload)
        for thread_id in payload.split(",") if payload else list(self._waiting):
            self._wake(thread_id)

    def _wake(self, thread_id: str) -> None:
        for news in self._waiting.get(thread_id, ()):
            news.set()

    async def serve(self) -> None:
        while True:
            await asyncio.sleep(_POLL_S)
            try:
                await self._poll()
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("action=poll_threads error=%s retry_s=%s", type(error).__name__, _POLL_S)

    async def follow(
        self, places: Places, thread_id: str, start: Place, framing_of: FramingOf
    ) -> AsyncIterator[Page | None]:
        """Pages behind `start`, then new ones without an end; None when nothing came for a while. The framing of the
        first run is asked for with the seq that its reader has heard; it skips what a cut line told before."""
        place, line, heard = start.run, max(start.line - 1, 0), start.seq if start.line else -1
        while not self._closed.is_set():
            with self._news(thread_id) as news:
                while (row := await self._next(places, thread_id, place)) is None:
                    if not await news.came():
                        yield None
                    if self._closed.is_set():
                        return
            if row["place"] != place:
                place, line, heard = row["place"], 0, -1
            over = False
            framing = await framing_of(row, heard)
            async with aclosing(self.tails.follow(str(row["run_id"]), line, framing)) as pages:  # type: ignore[type-var]
                async for page in pages:
                    over = page is not None and page.over
                    yield page
            if not over:
                return
            place, line, heard = place + 1, 0, -1

    async def begin(self, places: Places, thread_id: str, *, watches: bool) -> Place:
        """Where a reader begins who says nothing of it: at the newest run.

        A client that is about to start one must not be told of the end of the run before: where the newest has ended, a
        moment passes first; and who only watches isn't told of one that ended long ago and left nothing to do. A
        question is told at once: a page that is opened again can't answer what it hasn't heard.
        """
        row = await places.newest(thread_id)
        if row is None or row["ended_s"] is None:
            return Place(row["place"] if row else 1)
        if row["queued"] or (watches and row["ended_s"] > _LONG_AGO_S and row["thread_status"] == "idle"):
            return Place(row["place"] + 1)
        if row["thread_status"] == "interrupted":
            return Place(row["place"])
        return Place((await self._settled(places, thread_id, row))["place"])

    async def _settled(self, places: Places, thread_id: str, row: Row) -> Row:
        now = asyncio.get_running_loop().time
        until = now() + _SETTLE_S
        with self._news(thread_id) as news:
            while (rest := until - now()) > 0 and await news.came(rest):
                newest = await places.newest(thread_id)
                if newest and newest["place"] != row["place"]:
                    return newest
        return row

    async def _next(self, places: Places, thread_id: str, place: int) -> Row | None:
        try:
            return await places.next(thread_id, place)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=next_run thread=%s error=%s outcome=left_to_the_poll", thread_id, type(error).__name__)
            return None

    def _news(self, thread_id: str) -> "_News":
        return _News(self._waiting, self._known, thread_id)

    async def _poll(self) -> None:
        found = await changes(self._pool, list(self._waiting)) if self._waiting else {}
        for thread_id, change in found.items():
            if self._known.get(thread_id) != change and thread_id in self._waiting:
                self._known[thread_id] = change
                self._wake(thread_id)


class _News:
    """While it is entered, its thread is looked after."""

    def __init__(self, waiting: dict[str, set[asyncio.Event]], known: dict[str, Any], thread_id: str) -> None:
        self._waiting, self._known, self._thread_id, self._event = waiting, known, thread_id, asyncio.Event()

    def __enter__(self) -> "_News":
        self._waiting.setdefault(self._thread_id, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        there = self._waiting[self._thread_id]
        there.discard(self._event)
        if not there:
            del self._waiting[self._thread_id]
            self._known.pop(self._thread_id, None)

    async def came(self, within_s: float = HEARTBEAT_S) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
