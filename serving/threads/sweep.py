"""What takes threads away: a caller's request, and the end of their time to live."""

import asyncio
import logging
from typing import Final, LiteralString

import psycopg
from psycopg_pool import PoolTimeout

from serving.database import Pool, Row
from serving.errors import ServingError
from serving.hosting.graphs import Graphs
from serving.runs.requests.limits import uuid_of
from serving.threads.saved import Saved
from serving.threads.store import LIVE, ThreadStore
from serving.threads.thread import ThreadPrune, Ttl

_EVERY_S: Final = 30.0
_MOST: Final = 100
_DUE: LiteralString = """
select tenant, thread_id::text, ttl_strategy from threads thread
where ttl_minutes is not null and updated_at + ttl_minutes * interval '1 minute' < now()
    and (swept_at is null or swept_at < updated_at) and not {live}
limit %(most)s
"""
_SWEPT: LiteralString = "update threads set swept_at = now() where thread_id = %(id)s"
_ITEMS: LiteralString = "delete from store where expires_at < now()"
log = logging.getLogger(__name__)


async def prune(threads: ThreadStore, saved: Saved, asked: ThreadPrune) -> int:
    """How many of the threads there were. Raises Unprocessable, Conflict."""
    ids = list(dict.fromkeys(uuid_of(id_, "thread") for id_ in asked.thread_ids))
    if asked.strategy == "delete":
        return await threads.delete_all(ids)
    there = [id_ for id_ in ids if await threads.has(id_)]
    for id_ in there:
        await saved.keep_latest(id_)
    return len(there)


def thread_ttl(graphs: Graphs) -> Ttl | None:
    """What langgraph.json says of threads that are given no time to live."""
    life = graphs.hosting.checkpointer.ttl if graphs.hosting else None
    return Ttl(ttl=life.default_ttl, strategy=life.strategy) if life and life.default_ttl else None


class Sweeper:
    """In each API process; two that sweep at once don't disturb each other."""

    def __init__(self, pool: Pool, threads: ThreadStore, saved: Saved) -> None:
        self._pool, self._threads, self._saved = pool, threads, saved

    async def serve(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                while await self.sweep() == _MOST:
                    pass
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("action=sweep error=%s retry_s=%s", type(error).__name__, _EVERY_S)

    async def sweep(self) -> int:
        """Takes away what is due, of threads a batch; returns how many threads that were."""
        async with self._pool.connection() as connection:
            await connection.execute(_ITEMS)
            due = await (await connection.execute(_DUE.format(live=LIVE), {"most": _MOST})).fetchall()
        for row in due:
            try:
                await self._take(row)
            except ServingError as error:  # a run has begun, or a fork needs it: it is due again later
                log.info("action=sweep thread=%s outcome=%s", row["thread_id"], error.code)
        return len(due)

    async def _take(self, row: Row) -> None:
        if row["ttl_strategy"] == "delete":
            await self._threads.of(row["tenant"]).delete_all([row["thread_id"]])
            return
        await self._saved.of(row["tenant"]).keep_latest(row["thread_id"])
        async with self._pool.connection() as connection:
            await connection.execute(_SWEPT, {"id": row["thread_id"]})
