"""For queries that may have to look at every row: they end in bounded time, and say what to ask instead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, LiteralString

from psycopg.errors import QueryCanceled

from serving.database import Connection
from serving.errors import Unprocessable

PATIENCE_S: Final = 5.0
_WITHIN: LiteralString = "select set_config('statement_timeout', %s, true)"


@asynccontextmanager
async def in_time(connection: Connection, patience_s: float, rows: str, mend: str) -> AsyncIterator[None]:
    """`rows`: what there may be too many of. Raises Unprocessable when a statement in the block takes too long."""
    try:
        async with connection.transaction():
            await connection.execute(_WITHIN, (f"{patience_s:g}s",))
            yield
    except QueryCanceled:
        raise Unprocessable(f"too many {rows} in {patience_s:g} s", mend, "search_too_wide") from None
