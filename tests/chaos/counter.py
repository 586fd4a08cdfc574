"""The world outside: a process that counts the effects that really arrive, in a file it syncs before it answers.

`python -m tests.chaos.counter SOCKET FILE`. One JSON object a line in, one out. It behaves as providers do: with
`honours_key` a second arrival of a key changes nothing; `check` says whether a key has arrived.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Counter:
    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._keys: set[str] = set()

    async def serve(self, socket: Path) -> None:
        server = await asyncio.start_unix_server(self._answer, socket)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(self._take(json.loads(line))).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _take(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["act"] == "check":
            return {"happened": asked["key"] in self._keys}
        repeated = asked["act"] == "effect" and asked["key"] in self._keys
        line = json.dumps({**asked, "repeated": repeated, "at": time.time()}).encode() + b"\n"
        os.write(self._file, line)
        if asked["act"] == "effect":
            os.fsync(self._file)
            self._keys.add(asked["key"])
        return {"repeated": repeated}


class Wire:
    """A worker's connection to the counter, opened when it is first needed."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, **asked: Any) -> dict[str, Any]:
        """What was asked for goes out even when the caller is cancelled while it waits for the answer."""
        return await asyncio.shield(asyncio.create_task(self._ask(asked)))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        async with self._turn:
            if self._streams is None:
                self._streams = await asyncio.open_unix_connection(self._socket)
            reader, writer = self._streams
            writer.write(json.dumps({**asked, "pid": os.getpid()}).encode() + b"\n")
            await writer.drain()
            answer: dict[str, Any] = json.loads(await reader.readline())
            return answer


def arrivals(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    asyncio.run(Counter(Path(sys.argv[2])).serve(Path(sys.argv[1])))
