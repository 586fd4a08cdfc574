"""HTTP/1.1 as a client needs it here, over plain sockets: it can break off anywhere, and knows what it has seen."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Broken(Exception):
    """The connection failed, or nothing came in time: try again, elsewhere."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event, in the bytes that came."""

    seq: int
    data: bytes

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.data)
        return body


async def request(
    port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, patience_s: float = 5.0
) -> Answer:
    """Raises Broken."""
    async with opened(port, method, path, body, headers, patience_s) as (reader, _):
        try:
            async with asyncio.timeout(patience_s):
                status, length = await head(reader)
                content = b"".join([piece async for piece in pieces(reader, length)])
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            raise Broken(str(error)) from None
    return Answer(status, content)


@asynccontextmanager
async def opened(
    port: int, method: str, path: str, body: Any, headers: dict[str, str] | None, patience_s: float
) -> AsyncIterator[Streams]:
    """A connection with the request sent; closed hard at the end."""
    try:
        async with asyncio.timeout(patience_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    except (OSError, TimeoutError) as error:
        raise Broken(str(error)) from None
    try:
        content = b"" if body is None else json.dumps(body).encode()
        given = {"Host": "chaos", "Connection": "close", "Content-Length": str(len(content)), **(headers or {})}
        if content:
            given["Content-Type"] = "application/json"
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        with suppress(OSError):
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content)
            await writer.drain()
        yield reader, writer
    finally:
        writer.transport.abort()


async def head(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    """(status, bytes of the body), None where it comes in chunks."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    given = dict(line.split(": ", 1) for line in lines if line)
    return int(first.split()[1]), None if "transfer-encoding" in given else int(given.get("content-length", 0))


async def pieces(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """The body as it comes. Raises IncompleteReadError where the body breaks off."""
    if length is not None:
        yield await reader.readexactly(length)
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)


class Frames:
    """Cuts a body into server-sent events; what is not whole yet stays out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[Frame]:
        *whole, self._rest = (self._rest + piece).split(b"\n\n")
        return [_frame(each) for each in whole if not each.startswith(b":")]


def _frame(text: bytes) -> Frame:
    fields = dict(line.split(b": ", 1) for line in text.split(b"\n"))
    return Frame(int(fields[b"id"].partition(b"-")[0]), fields[b"data"])


async def follow(port: int, run_id: str, after: int, quiet_s: float) -> AsyncIterator[Frame]:
    """The run's events with seq > `after`, to the end of the answer. Raises Broken when it is cut or quiet too long."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    async with opened(port, "GET", f"/runs/{run_id}/events", None, headers, quiet_s) as (reader, _):
        frames = Frames()
        try:
            async with asyncio.timeout(quiet_s):
                status, length = await head(reader)
            if status == 204:
                return
            if status != 200:
                raise Broken(f"status {status}")
            body = pieces(reader, length)
            while True:
                async with asyncio.timeout(quiet_s):
                    piece = await anext(body, None)
                if piece is None:
                    return
                for frame in frames.feed(piece):
                    yield frame
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            raise Broken(str(error)) from None
