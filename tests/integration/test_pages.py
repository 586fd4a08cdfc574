"""A stream of pages over real sockets: a reader that takes nothing is cut off, and costs nothing after it."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import Receive, Scope, Send

from serving.api.pages import PageStream
from serving.api.sockets import LendingProtocol

PAGE = b"data: " + b"x" * 32_000 + b"\n\n"
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_S = 0.4


class Pages:
    """So many, or without an end."""

    def __init__(self, most: int | None = None) -> None:
        self._most, self.given, self.closed = most, 0, False

    async def __call__(self) -> AsyncGenerator[bytes]:
        try:
            while self._most is None or self.given < self._most:
                self.given += 1
                yield PAGE
                await asyncio.sleep(0)
        finally:
            self.closed = True


@asynccontextmanager
async def served(pages: Pages) -> AsyncIterator[int]:
    """The port of a server that answers with them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PageStream(pages(), PATIENCE_S)(scope, receive, send)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        options = uvicorn.Config(app, http=LendingProtocol, lifespan="off", log_level="critical")
        server = uvicorn.Server(options)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def holds(what: Callable[[], bool], seconds: float = 30.0) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


async def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    pages = Pages()
    async with served(pages) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
        writer.write(ASK)
        assert await holds(lambda: pages.given > 2)
        assert await holds(lambda: pages.closed)
        assert pages.given < 500, "no more was made than its buffers take"
        writer.transport.abort()
    del reader


async def test_a_slow_reader_is_not_cut_off() -> None:
    for _ in range(3):  # a machine that stands still makes it one that takes nothing
        async with served(Pages(most=40)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=16_384)
            writer.write(ASK)
            taken, begun = b"", time.monotonic()
            while more := await reader.read(60_000):
                taken += more
                await asyncio.sleep(0.02)
            writer.close()
        if taken.count(b"data: ") == 40:
            break
    assert taken.count(b"data: ") == 40
    assert time.monotonic() - begun > PATIENCE_S
    assert not taken.endswith(b"0\r\n\r\n"), "a stream that ends is a stream that was cut"


async def test_a_reader_that_leaves_ends_its_pages() -> None:
    pages = Pages()
    async with served(pages) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ASK)
        await reader.readexactly(100_000)
        writer.transport.abort()
        assert await holds(lambda: pages.closed)
