"""The tail of a run's log as server-sent events. A stream holds nothing: `Last-Event-ID` goes on behind a cut."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import orjson

from graph.events import RunEvent, RunFinished
from serving.database import Pool
from serving.runs.log import read

_POLL_S = 1.0
_HEARTBEAT_S = 15.0
Restore = Callable[[dict[str, object]], dict[str, object]]


class Tails:
    """The process's readers: one LISTEN connection wakes those whose run has new lines."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def heard(self, payload: str) -> None:
        run_ids = payload.split(",") if payload else list(self._waiting)
        for run_id in run_ids:
            for event in self._waiting.get(run_id, ()):
                event.set()

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[RunEvent | None]:
        """Events with seq > `after`, then new ones until the run has ended; None when nothing came for a while.

        It subscribes before it reads, so no line falls between replay and live.
        """
        with self._subscribed(run_id) as news:
            quiet, last = 0.0, await self._at(run_id, after)
            while True:
                news.clear()
                page = await read(self._pool, run_id, after)
                for event in page:
                    yield event
                    after, last = event.seq, event
                if page:
                    quiet = 0.0
                    continue
                if last is None or isinstance(last.body, RunFinished):
                    return  # no line where one must be: retention has taken the log
                quiet += await self._rest(news)
                if quiet >= _HEARTBEAT_S:
                    quiet, last = 0.0, await self._at(run_id, after)
                    yield None

    async def _at(self, run_id: str, seq: int) -> RunEvent | None:
        page = await read(self._pool, run_id, seq - 1, lines=1) if seq > 0 else []
        return page[0] if page else None

    async def _rest(self, news: asyncio.Event) -> float:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_POLL_S):
                await news.wait()
        except TimeoutError:
            pass
        return asyncio.get_running_loop().time() - started

    @contextmanager
    def _subscribed(self, run_id: str) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[run_id].discard(event)
            if not self._waiting[run_id]:
                del self._waiting[run_id]


def frame(event: RunEvent | None, restore: Restore = dict) -> bytes:
    """One SSE message (HTML standard, 9.2): id is the seq, event the kind, data the body as JSON."""
    if event is None:
        return b": still here\n\n"
    body = restore({"seq": event.seq, "at": event.at.isoformat(), **event.body.model_dump(mode="json")})
    head = f"id: {event.seq}\nevent: {event.body.kind}\ndata: ".encode()
    return head + orjson.dumps(body) + b"\n\n"
