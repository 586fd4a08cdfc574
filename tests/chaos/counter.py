"""The world outside: a process that counts the effects that really arrive, in a file it syncs before it answers.

`python -m tests.chaos.counter SOCKET FILE`. One JSON object a line in, one out. It behaves as providers do: with
`honours_key` a second arrival of a key changes nothing; `check` says whether a key has arrived.
"""

import asyncio
import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


class Counter:
    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._keys: set[str] = set()

    async def serve(self, path: Path) -> None:
        server = await asyncio.start_unix_server(self._answer, path, backlog=256)
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
        counts = asked["act"] in ("effect", "fail")
        repeated = counts and asked["key"] in self._keys
        line = json.dumps({**asked, "repeated": repeated, "at": time.time()}).encode() + b"\n"
        os.write(self._file, line)
        if counts:
            os.fsync(self._file)
            self._keys.add(asked["key"])
        return {"repeated": repeated}


class Wire:
    """The way to the counter. What is asked for is sent at once, as the last thing before the caller waits.

    A process that is stopped behind its last look at its lease and before it sends can't know, on waking, that it is
    late: no system can close that gap without the provider's help. Here it is some microseconds wide.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def ask(self, **asked: Any) -> dict[str, Any]:
        line = json.dumps({**asked, "pid": os.getpid()}).encode() + b"\n"
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        connection.sendall(line)
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        try:
            answer: dict[str, Any] = json.loads(await reader.readline())
        finally:
            writer.close()
        return answer


def arrivals(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


if __name__ == "__main__":
    asyncio.run(Counter(Path(sys.argv[2])).serve(Path(sys.argv[1])))
