"""What stands in front of several API processes: each request goes to the next one, whichever connection it comes on.

It reads HTTP/1.1 (RFC 9112) just far enough to know where a message ends. Streams pass as they come, WebSockets too;
who hangs up is hung up on behind it.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from tests.integration.proxy import Pipe, Proxy

_AT_ONCE: Final = 64 * 1024
_CUT: Final = (asyncio.IncompleteReadError, OSError)


class RoundRobin(Proxy):
    """In front of `ports` of this machine, which may change; one that takes no connection is passed over. `taken`:
    how many requests went to which."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__()
        self.ports, self.taken = ports, Counter[int]()
        self._next = itertools.count()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        self.clients.add(answer)
        ahead = asyncio.create_task(client.read(1))
        try:
            while first := await ahead:
                head = first + await client.readuntil(b"\r\n\r\n")
                server, ask = await self._server()
                try:
                    ahead = await _exchange(head, (client, answer), (server, ask))
                finally:
                    ask.transport.abort()
        except _CUT:
            pass  # one of the two went away: so does the other
        finally:
            ahead.cancel()
            answer.transport.abort()
            self.clients.discard(answer)

    async def _server(self) -> Pipe:
        for _ in range(200):
            port = self.ports[next(self._next) % len(self.ports)]
            with suppress(OSError):
                pipe = await asyncio.open_connection("127.0.0.1", port)
                self.taken[port] += 1
                return pipe
            await asyncio.sleep(0.05)
        raise ConnectionError("no API process takes connections")


async def _exchange(head: bytes, client: Pipe, server: Pipe) -> "asyncio.Task[bytes]":
    """One request and its answer. Returns the first byte of the client's next request, as it is awaited."""
    server[1].write(head)
    await _body(head, client[0], server[1], closes=False)
    ahead = asyncio.create_task(client[0].read(1))
    answered = asyncio.create_task(_answer(head, client[1], server[0]))
    try:
        await asyncio.wait([ahead, answered], return_when=asyncio.FIRST_COMPLETED)
        if not answered.done() and not ahead.result():
            raise ConnectionError("the client hung up")
        upgraded = await answered
        if upgraded:
            await _both_ways(ahead, client, server)
    finally:
        answered.cancel()
    return ahead


async def _answer(head: bytes, client: asyncio.StreamWriter, server: asyncio.StreamReader) -> bool:
    """Whether the connection is a WebSocket's from here on."""
    status = b"100"
    while status == b"100":
        answer = await server.readuntil(b"\r\n\r\n")
        client.write(answer)
        status = answer.split(b" ", 2)[1]
    if status == b"101":
        return True
    if not head.startswith(b"HEAD ") and status not in (b"204", b"304"):
        await _body(answer, server, client, closes=True)
    await client.drain()
    return False


async def _body(head: bytes, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, closes: bool) -> None:
    """Passes on what follows a head. `closes`: one without a length ends with its connection."""
    headers = _headers(head)
    if headers.get("transfer-encoding", "").endswith("chunked"):
        size = -1
        while size:
            line = await source.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            target.write(line + await source.readexactly(size + 2))
            await target.drain()
    elif closes and "content-length" not in headers:
        while data := await source.read(_AT_ONCE):
            target.write(data)
            await target.drain()
    else:
        left = int(headers.get("content-length", "0"))
        while left:
            data = await source.readexactly(min(left, _AT_ONCE))
            target.write(data)
            await target.drain()
            left -= len(data)


async def _both_ways(ahead: "asyncio.Task[bytes]", client: Pipe, server: Pipe) -> None:
    async def up() -> None:
        server[1].write(await ahead)
        await _all(client[0], server[1])

    ways = [asyncio.create_task(up()), asyncio.create_task(_all(server[0], client[1]))]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    raise ConnectionError("the WebSocket is closed")


async def _all(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(_AT_ONCE):
        target.write(data)
        await target.drain()


def _headers(head: bytes) -> Mapping[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip().lower() for name, _, value in lines}
