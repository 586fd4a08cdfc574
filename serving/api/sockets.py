"""A stream without a request around it: uvicorn lends its connection, and the transport is written to directly.

A request in flight costs some 30 KiB; a stream that waits for hours needs a socket and a place in a log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from typing import Any, Final, cast

from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graph.faults import point
from serving.api.reader import HEARTBEAT, HEARTBEAT_S, LINES, Framing, Page
from serving.api.stream import Tails

LEND: Final = "trireme.lend"
MOST_WAITING: Final = 64 * 1024
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
log = logging.getLogger(__name__)


class LendingProtocol(HttpToolsProtocol):
    """uvicorn's own, which can hand a request's connection over for good to whoever answers it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {LEND: {"to": self._lend}}

    def _lend(self, borrower: asyncio.Protocol) -> bool:
        """False where it can't be: another request waits behind this one."""
        cycle, transport = self.cycle, self.transport
        if self.pipeline or cycle.more_body or transport.is_closing():
            return False
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        self.flow.resume_reading()
        cycle.disconnected = True  # whatever the application still says to it is dropped
        scope: Any = self.scope
        if standing := scope.get("standing"):
            scope["app"].state.lent.hold(transport, standing)
        del self.parser, self.cycle, self.scope, self.headers  # they refer to each other
        transport.set_protocol(borrower)
        borrower.connection_made(transport)
        return True


class Unlent:
    """Where others look at every answer: streams go through them too, and none through a lent connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.get("extensions", {}).pop(LEND, None)
        await self._app(scope, receive, send)


class EventStream(Response):
    """Answers with a run's log from behind line `after` until the run has ended.

    `left` is called when the reader goes away before that, not when this process stops.
    """

    def __init__(
        self,
        tails: Tails,
        run_id: str,
        after: int,
        framing: Framing = LINES,
        headers: Mapping[str, str] | None = None,
        left: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(headers={**HEADERS, **(headers or {"Location": f"/runs/{run_id}"})})
        self._tails, self._run_id, self._after, self._framing, self._left = tails, run_id, after, framing, left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        lender: Any = scope.get("extensions", {}).get(LEND)
        reader = _SocketReader(self._tails, self._run_id, self._after, self._framing, self._left)
        headers = {name: value for name, value in self.headers.items() if name != "content-length"}
        if lender and lender["to"](reader):
            reader.begin({**headers, **everyones(scope)})
            self._tails.join(self._run_id, reader)
            return
        await StreamingResponse(self._frames(), headers=headers)(scope, receive, send)

    async def _frames(self) -> AsyncIterator[bytes]:
        over = False
        try:
            async for page in self._tails.follow(self._run_id, self._after, self._framing):
                over = page is not None and page.over
                yield HEARTBEAT if page is None else page.data
            over = True
        finally:
            if self._left and not over:
                self._left()


def opening(headers: Mapping[str, str]) -> bytes:
    """The head of an answer in chunks, for whoever writes it to a lent connection."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    standing = f"Date: {formatdate(usegmt=True)}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
    return f"HTTP/1.1 200 OK\r\n{lines}{standing}\r\n".encode()


def everyones(scope: Scope) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in scope.get("response_headers", ())}


class _SocketReader(asyncio.Protocol):
    """Has at most 64 KiB and a page waiting in its transport; takes the next page when they are gone."""

    __slots__ = (
        "_left",
        "_run_id",
        "_spoke",
        "_stuck_since",
        "_tails",
        "_transport",
        "_waiting",
        "after",
        "framing",
        "ready",
    )
    _transport: asyncio.Transport

    def __init__(
        self, tails: Tails, run_id: str, after: int, framing: Framing, left: Callable[[], None] | None
    ) -> None:
        self._tails, self._run_id, self.after, self.framing, self._left = tails, run_id, after, framing, left
        self.ready = True
        self._spoke = self._stuck_since = asyncio.get_running_loop().time()
        self._waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's have all of it, but not its type
        self._transport.set_write_buffer_limits(MOST_WAITING)

    def begin(self, headers: dict[str, str]) -> None:
        self._transport.write(opening(headers))

    def take(self, page: Page) -> None:
        self.after, self._spoke = page.last, page.at
        if page.data:
            self._transport.write(page.chunk)
            point("stream.written")
        if page.over:
            self.end()

    def tick(self, now: float) -> None:
        if not self.ready:
            self._cut_if_stuck(now)
        elif now - self._spoke >= HEARTBEAT_S:
            self._spoke = now
            self._transport.write(b"%x\r\n%b\r\n" % (len(HEARTBEAT), HEARTBEAT))

    def end(self) -> None:
        self._left = None
        self._transport.write(b"0\r\n\r\n")
        self._transport.close()

    def pause_writing(self) -> None:
        self.ready, self._waiting = False, 0

    def resume_writing(self) -> None:
        self.ready = True
        self._tails.wake(self._run_id)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tails.leave(self._run_id, self)
        if self._left:
            self._left()

    def _cut_if_stuck(self, now: float) -> None:
        waiting = self._transport.get_write_buffer_size()
        if not self._waiting or waiting < self._waiting:
            self._stuck_since, self._waiting = now, waiting
        elif now - self._stuck_since >= self._tails.patience_s:
            log.info("action=cut_slow_reader run=%s seq=%s", self._run_id, self.after)
            self._transport.abort()
