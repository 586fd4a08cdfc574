"""An answer of pages that come one after the other, written to a connection that uvicorn lends."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.api.sockets import HEADERS, LEND, MOST_WAITING, everyones, opening

log = logging.getLogger(__name__)


class PageStream(Response):
    """Server-sent events without an end: when this process stops, the reader sees a cut, and goes on at another one.

    One that takes nothing for `patience_s` seconds, with more waiting than it may have, is cut off; at most 64 KiB and
    a page wait here.
    """

    def __init__(self, pages: AsyncGenerator[bytes], patience_s: float, location: str = "") -> None:
        super().__init__(headers=HEADERS | ({"Location": location} if location else {}))
        self._pages, self._patience_s = pages, patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name: value for name, value in self.headers.items() if name != "content-length"}
        lender: Any = scope.get("extensions", {}).get(LEND)
        writer = _PageWriter(self._pages, self._patience_s)
        if lender and lender["to"](writer):
            writer.begin({**headers, **everyones(scope)})
            return
        await StreamingResponse(self._pages, headers=headers)(scope, receive, send)


class _PageWriter(asyncio.Protocol):
    _transport: asyncio.Transport
    _work: "asyncio.Task[None] | None" = None

    def __init__(self, pages: AsyncGenerator[bytes], patience_s: float) -> None:
        self._pages, self._patience_s = pages, patience_s
        self._free = asyncio.Event()
        self._free.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(MOST_WAITING)

    def begin(self, headers: dict[str, str]) -> None:
        self._transport.write(opening(headers))
        self._work = asyncio.create_task(self._write())

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work:
            self._work.cancel()

    async def _write(self) -> None:
        try:
            async with aclosing(self._pages) as pages:
                async for page in pages:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(page), page))
                    if not await self._taken():
                        return
        except Exception as error:
            log.warning("action=stream error=%s outcome=cut", type(error).__name__)
        finally:
            self._transport.close() if self._free.is_set() else self._transport.abort()

    async def _taken(self) -> bool:
        waiting = self._transport.get_write_buffer_size()
        while not self._free.is_set():
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._free.wait()
            except TimeoutError:
                if (left := self._transport.get_write_buffer_size()) >= waiting:
                    log.info("action=cut_slow_reader waiting=%s", left)
                    return False
                waiting = left
        return True
