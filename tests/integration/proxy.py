"""A listener on loopback between clients and what they ask, with a thread and an event loop of its own."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TypeAlias

Pipe: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy(ABC):
    """`clients`: the connections that stand, which `serve` keeps; `port` is known while it is `running`."""

    port: int

    def __init__(self) -> None:
        self.clients: set[asyncio.StreamWriter] = set()
        self._ready, self._ended = threading.Event(), asyncio.Event()

    @abstractmethod
    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None: ...

    @contextmanager
    def running(self) -> Iterator[Self]:
        """In a thread, since some clients block theirs."""
        thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        thread.start()
        self._ready.wait(10)
        try:
            yield self
        finally:
            self.loop.call_soon_threadsafe(self._ended.set)
            thread.join()

    def abort(self) -> None:
        """On its loop: no connection stands."""
        for client in list(self.clients):
            client.transport.abort()

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        listener = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=2_048)
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        listener.close()
        while self.clients:
            self.abort()
            await asyncio.sleep(0.01)
