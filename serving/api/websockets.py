"""A WebSocket on a connection that can be cut: of one that takes nothing, no more waits here than of other streams."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from serving.api.sockets import MOST_WAITING

TRANSPORT: Final = "trireme.transport"


class CuttableWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own; the application finds the transport among its scope's extensions."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(MOST_WAITING)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: Any = self.scope["extensions"]
            extensions[TRANSPORT] = self.transport

    def keepalive_timeout(self) -> None:
        """A connection that isn't read would stay until what waits has been sent: for ever."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
