"""Who reads a run's log, what pages of it are given to them, and how its lines are told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from serving.api.event_id import event_id
from serving.database import Row
from serving.runs.view import TERMINAL

HEARTBEAT_S: Final = 15.0
HEARTBEAT: Final = b": still here\n\n"


class Framing(Protocol):
    """How a reader is told of lines; those with an equal one share what is made for them."""

    def __call__(self, row: Row, body: str) -> str:
        """A line, whose body is given with the server's own values in it, as server-sent events; empty for none."""

    def ends(self, status: str) -> bool:
        """Whether a stream is over where its run stands so and has no more lines."""


class _Lines:
    """Every line as it is, until the run has ended."""

    def __call__(self, row: Row, body: str) -> str:
        return frame(row, body)

    def ends(self, status: str) -> bool:
        return status in TERMINAL


LINES = _Lines()


@dataclass(frozen=True)
class Page:
    """What stands behind a place in a run's log, read at `at` (the loop's clock).

    `over`: nothing will follow `last`; or the lines that follow are gone, though the run wrote them.
    """

    lines: tuple[Row, ...]
    data: bytes
    last: int
    status: str
    last_seq: int
    at: float
    over: bool

    @cached_property
    def chunk(self) -> bytes:
        """`data` as HTTP/1.1 sends it (RFC 9112, 7.1)."""
        return b"%x\r\n%b\r\n" % (len(self.data), self.data)


class Reader(Protocol):
    """`after` is the last line it has; while it isn't `ready`, nothing is read for it."""

    after: int
    framing: Framing

    @property
    def ready(self) -> bool: ...
    def take(self, page: Page) -> None: ...
    def tick(self, now: float) -> None:
        """Once a second, by the loop's clock."""

    def end(self) -> None: ...


class Caller:
    """A reader in this process's own code: takes a page when it asks for one."""

    def __init__(self, after: int, framing: Framing, resume: Callable[[], None]) -> None:
        self.after, self.framing, self._resume, self.ended = after, framing, resume, False
        self._page: Page | None = None
        self._news = asyncio.Event()
        self._quiet_since = asyncio.get_running_loop().time()

    @property
    def ready(self) -> bool:
        return self._page is None

    def take(self, page: Page) -> None:
        self._page, self.after = page, page.last
        self._news.set()

    def tick(self, now: float) -> None:
        if now - self._quiet_since >= HEARTBEAT_S:
            self._news.set()

    def end(self) -> None:
        self.ended = True
        self._news.set()

    async def next(self) -> Page | None:
        await self._news.wait()
        self._news.clear()
        page, self._page = self._page, None
        self._quiet_since = asyncio.get_running_loop().time()
        self._resume()
        return page


def frame(row: Row, body: str) -> str:
    """One SSE message (HTML standard, 9.2): its id, the kind as its event, as data the body with its seq and time.

    `body` is JSON text, so a line feed in it can only stand between tokens.
    """
    head = f"id: {event_id(row['seq'], row['run_id'])}\nevent: {row['kind']}\ndata: "
    told = f'{{"seq":{row["seq"]},"at":"{row["at"].isoformat()}",'
    return head + told + body[1:].replace("\n", " ").replace("\r", " ") + "\n\n"
