"""What a hosted graph streams, on its way to the log: while one append is under way, the next gathers."""

import asyncio
from typing import Any, Final

import orjson

from serving.hosting.channels import joined
from serving.hosting.jsonable import to_json
from serving.runs.log import FencedLog

RESULT: Final = "result"  # the event of the line that holds what a run came to
_PARTIAL: Final = "messages/partial"
_MOST_WAITING: Final = 2 * 2**20  # characters; a graph that streams faster than Postgres takes waits


class PartLog:
    """For one attempt. Within a batch, a message that is sent again as a whole takes the place of the one before, and
    pieces of one that follow each other become one."""

    def __init__(self, log: FencedLog) -> None:
        self._log = log
        self._waiting: list[tuple[str, str]] = []  # what may be replaced by the next of the same, and the body
        self._last: tuple[str, Any] | None = None  # of those that wait
        self._size = 0
        self._writing: asyncio.Task[None] | None = None

    async def put(self, event: str, data: Any) -> None:
        """Raises FenceLost, StorageLost, of an append before."""
        self._raise()
        replaces = f"{event} {data[0].id}" if event.startswith(_PARTIAL) else ""
        longer = joined(event, self._last[1], data) if self._last and self._last[0] == event else None
        if longer or (replaces and self._waiting and self._waiting[-1][0] == replaces):
            self._size -= len(self._waiting.pop()[1])
        self._last = event, longer or data
        self._waiting.append((replaces, part_body(event, to_json(longer or data).decode())))
        self._size += len(self._waiting[-1][1])
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        if self._size > _MOST_WAITING:
            await self.flushed()

    async def flushed(self) -> None:
        """Until all is durable. Raises FenceLost, StorageLost."""
        if self._writing:
            await self._writing

    def _raise(self) -> None:
        if self._writing and self._writing.done():
            self._writing.result()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting, self._last, self._size = self._waiting, [], None, 0
            await self._log.write("[" + ",".join(body for _, body in batch) + "]")


def part_body(event: str, data: str) -> str:
    """A line's body: `data`, as JSON text, comes last, so that a reader can cut it out."""
    return f'{{"kind":"stream_part","event":{orjson.dumps(event).decode()},"data":{data}}}'
