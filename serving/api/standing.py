"""Who was let in may hear a stream for hours: it ends within seconds when the key would be refused."""

import asyncio
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg_pool import PoolTimeout
from starlette.types import Message, Receive, Send

from serving.keys.lookup import REMEMBERED_S, Keys

_REVOKED: Final = "the API key is wrong, expired or revoked"
_LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Standing:
    """`given`: the key of a request, or none; `exposed`: the server lets nobody in without one. `stays`: who was let in
    without a key of ours may hear a stream to its end, as with LangGraph."""

    keys: Keys
    given: str
    exposed: bool
    stays: bool = False

    async def lasts(self) -> bool:
        """Whether the request would be let in now. While nobody can tell, it would."""
        try:
            if self.stays or (self.given and await self.keys.identity(self.given)):
                return True
            return not (self.exposed or await self.keys.needed())
        except (psycopg.Error, PoolTimeout):
            return True


class Lent:
    """The process's connections that were lent to streams. Those of one key share a look at it."""

    def __init__(self) -> None:
        self._held: list[tuple[asyncio.WriteTransport, Standing]] = []

    def hold(self, transport: asyncio.WriteTransport, standing: Standing) -> None:
        self._held.append((transport, standing))

    async def serve(self) -> None:
        while True:
            await asyncio.sleep(REMEMBERED_S)
            self._held = [each for each in self._held if not each[0].is_closing()]
            gone = {standing for standing in {each[1] for each in self._held} if not await standing.lasts()}
            for transport, standing in self._held:
                if standing in gone and not transport.is_closing():
                    transport.write(_LAST_CHUNK)
                    transport.close()


class Watched:
    """The same for an answer, or a WebSocket, that passes through the application: looked at when something is sent."""

    def __init__(self, receive: Receive, send: Send, standing: Standing) -> None:
        self._receive, self._send, self._standing = receive, send, standing
        self._looked = asyncio.get_running_loop().time()
        self._over = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive" and await self._is_over():
            return {"type": "websocket.disconnect", "code": 1008, "reason": _REVOKED}
        return message

    async def send(self, message: Message) -> None:
        goes_on = message["type"] == "websocket.send" or message.get("more_body")
        if goes_on and await self._is_over(message["type"]):
            return
        if not self._over:
            await self._send(message)

    async def _is_over(self, kind: str = "websocket.send") -> bool:
        now = asyncio.get_running_loop().time()
        if self._over or now - self._looked < REMEMBERED_S:
            return self._over
        self._looked, self._over = now, not await self._standing.lasts()
        if self._over and kind == "websocket.send":
            await self._send({"type": "websocket.close", "code": 1008, "reason": _REVOKED})
        elif self._over:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        return self._over
