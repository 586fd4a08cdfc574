"""What is kept of a tenant's threads, whatever their graph: held still, copied, cut down to the latest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, LiteralString

from serving.database import Connection, Pool
from serving.errors import Conflict, NotFound
from serving.hosting.config import AGENT
from serving.threads.store import thread_not_found

if TYPE_CHECKING:
    from serving.runs.checkpoints import PostgresSaver

_MOST_AT_ONCE: Final = 4  # each holds a connection of the pool while it works with others
# Nobody adds a run while the thread is held.
_HOLD: LiteralString = "select from threads where tenant = %(tenant)s and thread_id = %(id)s for update"
_LIVE: LiteralString = """
select run_id, status from runs where thread_id = %(id)s
    and (status in ('pending', 'running') or (status = 'interrupted' and finished_at is null)) limit 1
"""


_HAS: LiteralString = """
select from state_checkpoints where tenant = %s and thread_id = %s and namespace = %s and checkpoint_id = %s
"""


class Saved:
    """`key` is the server's. LangGraph is imported, in a thread, when a saver is first needed."""

    def __init__(self, pool: Pool, key: bytes, tenant: str = "default") -> None:
        self._pool, self._key, self.tenant = pool, key, tenant
        self._few = asyncio.Semaphore(_MOST_AT_ONCE)

    def of(self, tenant: str) -> "Saved":
        other = Saved(self._pool, self._key, tenant)
        other._few = self._few
        return other

    async def saver(self, graph_id: str) -> "PostgresSaver":
        """Without a fence: for those who read, and for those who hold the thread."""
        made_by = await asyncio.to_thread(_savers, graph_id)
        return made_by(self._pool, key=self._key, tenant=self.tenant)

    @asynccontextmanager
    async def held(self, thread_id: str) -> AsyncIterator[Connection]:
        """In this block no run of the thread begins or is live. Raises NotFound, Conflict."""
        values = {"id": thread_id, "tenant": self.tenant}
        async with self._few, self._pool.connection() as connection, connection.transaction():
            if not (await connection.execute(_HOLD, values)).rowcount:
                raise thread_not_found(thread_id)
            live = await (await connection.execute(_LIVE, values)).fetchone()
            if live:
                parked = live["status"] == "interrupted"
                mend = "answer or cancel it first" if parked else "wait for its end, or cancel it"
                raise Conflict(f"run {live['run_id']} of thread {thread_id} is {live['status']}", mend, "thread_busy")
            awake = asyncio.create_task(_keep_awake(connection))
            try:
                yield connection
            finally:
                awake.cancel()
                await asyncio.wait([awake])

    async def check_has(self, thread_id: str, namespace: str, checkpoint_id: str) -> None:
        """Raises NotFound."""
        async with self._pool.connection() as connection:
            found = await connection.execute(_HAS, (self.tenant, thread_id, namespace, checkpoint_id))
        if not found.rowcount:
            raise no_checkpoint(thread_id, checkpoint_id)

    async def copy(self, source: str, target: str) -> None:
        """All checkpoints of a thread, for another one."""
        await (await self.saver(AGENT)).acopy_thread(source, target)

    async def keep_latest(self, thread_id: str) -> None:
        """Forgets all checkpoints but the newest, and those that it is read back from. Raises NotFound, Conflict."""
        saver = await self.saver(AGENT)
        async with self.held(thread_id):
            await saver.aprune([thread_id], strategy="keep_latest")


def no_checkpoint(thread_id: str, checkpoint_id: str) -> NotFound:
    return NotFound(
        f"thread {thread_id} has no checkpoint {checkpoint_id[:100]}",
        f"POST /threads/{thread_id}/history lists them",
        "checkpoint_not_found",
    )


async def _keep_awake(connection: Connection) -> None:
    """Postgres ends a transaction that does nothing for five seconds, for its process might stand still."""
    while True:
        await asyncio.sleep(1)
        await connection.execute("select 1")


def _savers(graph_id: str) -> "Callable[..., PostgresSaver]":
    from serving.hosting.saver import hosted_saver
    from serving.runs.checkpoints import PostgresSaver

    return PostgresSaver if graph_id == AGENT else hosted_saver
