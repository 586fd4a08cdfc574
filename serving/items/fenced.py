"""LangGraph's store in Postgres; what an attempt writes into it is one transaction with a look at the attempt's fence.

The transaction begins with the first statement: what is embedded before it, by a server of the user's own, may take
its time and holds no run's row.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Self, cast

from langgraph.store.postgres.aio import AsyncPostgresStore
from psycopg import AsyncCursor
from psycopg.rows import DictRow, dict_row

from serving.database import Connection, Pool
from serving.runs.fence import LOOK, OWNED, fence_lost
from serving.runs.group import Fence

_WRITER: ContextVar[Fence | None] = ContextVar("writer", default=None)


@contextmanager
def written_by(fence: Fence) -> Iterator[None]:
    """For what the current task asks of a `FencedStore`, which raises FenceLost once another attempt owns the run."""
    token = _WRITER.set(fence)
    try:
        yield
    finally:
        _WRITER.reset(token)


class FencedStore(AsyncPostgresStore):
    """The process's, on its pool."""

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        fence = _WRITER.get()
        if fence is None:
            async with super()._cursor(pipeline=pipeline) as cursor:
                yield cursor
            return
        pool = cast(Pool, self.conn)
        async with pool.connection() as connection, _AttemptsCursor(connection, fence) as cursor:
            yield cursor  # the connection's block commits


class _AttemptsCursor(AsyncCursor[DictRow]):
    def __init__(self, connection: Connection, fence: Fence) -> None:
        super().__init__(connection, row_factory=dict_row)
        self._owner, self._begun = fence, False

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Self:
        if not self._begun:
            self._begun = True
            await super().execute("begin")
            await super().execute(OWNED + LOOK, {"run_id": self._owner.run_id, "fence": self._owner.number})
            if not self.rowcount:
                raise fence_lost(self._owner.run_id, "write into the store")
        return await super().execute(query, params, **how)
