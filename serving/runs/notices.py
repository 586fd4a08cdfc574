"""Wake-ups over Postgres NOTIFY, coalesced: NOTIFY takes a database-wide lock at commit, so it is never sent per event.

A notice is a hint. Whoever waits polls as well, so a lost one costs time and never truth.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import LiteralString

import psycopg

from graph.faults import point
from serving.database import Pool

LOG_CHANNEL = "trireme_log"
QUEUE_CHANNEL = "trireme_queue"
CANCEL_CHANNEL = "trireme_cancel"
PAUSE_CHANNEL = "trireme_pause"
LINES_ALONE = "+"  # behind a run's id: it has new lines and stands as before
_SPACING_S = 0.02
_BATCH = 100
SEND: LiteralString = "select pg_notify(channel, payload) from unnest(%s::text[], %s::text[]) sent (channel, payload)"
log = logging.getLogger(__name__)


class Notices:
    """Sends at most every 20 ms, in one statement, whatever the number of runs this process has touched."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, set[str]] = {}
        self._wake = asyncio.Event()

    def touched(self, run_id: str, channel: str = LOG_CHANNEL) -> None:
        self._waiting.setdefault(channel, set()).add(run_id)
        self._wake.set()

    def written(self, run_id: str) -> None:
        """Lines alone: who waits for a change of its status need not look."""
        self.touched(run_id + LINES_ALONE)

    async def serve(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            await asyncio.sleep(_SPACING_S)

    async def flush(self) -> None:
        """Sends what waits; what the database doesn't take is lost."""
        batches, self._waiting = self._waiting, {}
        sent = [(channel, payload) for channel, run_ids in batches.items() for payload in _payloads(sorted(run_ids))]
        if not sent:
            return
        with suppress(psycopg.Error):
            point("notice.ready")
            async with self._pool.connection() as connection:
                await connection.execute(SEND, [list(column) for column in zip(*sent, strict=True)])
            point("notice.sent")


def _payloads(run_ids: Sequence[str]) -> Iterator[str]:
    for at in range(0, len(run_ids), _BATCH):
        yield ",".join(run_ids[at : at + _BATCH])


async def listen(dsn: str, heard: Mapping[str, Callable[[str], None]]) -> None:
    """Calls `heard[channel](payload)` for every notice, for ever; connects again when the connection is lost."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
                for channel, callback in heard.items():
                    await connection.execute(f"listen {channel}".encode())
                    callback("")
                async for notice in connection.notifies():
                    heard[notice.channel](notice.payload)
        except psycopg.Error as error:
            log.warning("action=listen error=%s retry_s=0.5", type(error).__name__)
        await asyncio.sleep(0.5)
