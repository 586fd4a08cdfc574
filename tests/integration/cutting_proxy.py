"""A way to Postgres that can be cut where it hurts: behind the commit and before its answer, or altogether.

It reads the frontend/backend protocol (PostgreSQL documentation, chapter 54) just far enough to know which statement an
answer belongs to.
"""

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.integration.proxy import Pipe, Proxy


@dataclass(slots=True, eq=False)
class _Cut:
    words: bytes
    skip: int
    done: threading.Event = field(default_factory=threading.Event)


class CuttingProxy(Proxy):
    """In front of a server with a Unix socket. Clients connect to `dsn`, and every answer passes until one is lost."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        known = conninfo_to_dict(dsn)
        self._socket = f"{known['host']}/.s.PGSQL.{known.get('port') or 5432}"
        self._upstream = dsn
        self._cuts: list[_Cut] = []
        self._down = False

    @property
    def dsn(self) -> str:
        return make_conninfo(self._upstream, host="127.0.0.1", port=self.port, sslmode="disable", gssencmode="disable")

    def cut(self, words: str, skip: int = 0) -> threading.Event:
        """The next statement with these words (or after `skip` more of them) is carried out, its answer lost, and the
        connection with it. Set when that has happened."""
        self._cuts.append(_Cut(words.encode(), skip))
        return self._cuts[-1].done

    def down(self) -> None:
        """No connection stands, and none is taken until `up`."""
        self._down = True
        self.loop.call_soon_threadsafe(self.abort)

    def up(self) -> None:
        self._down = False

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        if self._down:
            answer.transport.abort()
            return
        self.clients.add(answer)
        try:
            server, ask = await asyncio.open_unix_connection(self._socket)
            link = _Link(self._cuts)
            ways = [asyncio.create_task(way) for way in (link.up((client, ask)), link.down((server, answer)))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for end in (ask, answer):
                end.transport.abort()
            await asyncio.gather(*ways)
        except OSError:
            answer.transport.abort()  # there is no server at the moment
        finally:
            self.clients.discard(answer)


class _Link:
    """One client's connection: `up` follows its statements, `down` loses the answer that is to be lost."""

    def __init__(self, cuts: list[_Cut]) -> None:
        self._cuts = cuts
        self._prepared: dict[bytes, bytes] = {}
        self._cut: _Cut | None = None

    async def up(self, pipe: Pipe) -> None:
        client, server = pipe
        with suppress(asyncio.IncompleteReadError, OSError):
            length = await client.readexactly(4)
            server.write(length + await client.readexactly(int.from_bytes(length) - 4))
            while True:
                kind, body = await _message(client)
                if self._cut is None:
                    self._cut = self._wanted(self._statement(kind, body))
                server.write(kind + (len(body) + 4).to_bytes(4) + body)
                await server.drain()

    async def down(self, pipe: Pipe) -> None:
        server, client = pipe
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                kind, body = await _message(server)
                if self._cut is None:
                    client.write(kind + (len(body) + 4).to_bytes(4) + body)
                    await client.drain()
                elif kind == b"Z":  # ready for the next query: this one is committed
                    self._cut.done.set()
                    return

    def _statement(self, kind: bytes, body: bytes) -> bytes:
        """The text of what is carried out: a simple query, or a bound statement that was parsed before."""
        name, _, rest = body.partition(b"\0")
        if kind == b"Q":
            return name
        if kind == b"P":
            self._prepared[name] = rest.partition(b"\0")[0]
        if kind == b"B":
            return self._prepared.get(rest.partition(b"\0")[0], b"")
        return b""

    def _wanted(self, statement: bytes) -> _Cut | None:
        for cut in self._cuts:
            if statement and cut.words in statement:
                if cut.skip:
                    cut.skip -= 1
                    return None
                self._cuts.remove(cut)
                return cut
        return None


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    length = int.from_bytes(await reader.readexactly(4))
    return kind, await reader.readexactly(length - 4)
