"""The process's connection pool, and the one way a database error becomes ours."""

import os
import secrets
import select
import time
import uuid
from typing import Any, TypeAlias

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Row: TypeAlias = DictRow
Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

_PATIENCE_S = 5.0
# A pool connects again after one second, and after one more; then afresh at the next request. With the default of five
# minutes its pauses double, and it would be back long after the database is.
RECONNECT_S = 2.0


def open_pool(dsn: str, largest: int = 10) -> Pool:
    """A pool to be opened with `await pool.open()`. Connections are in autocommit: one statement, one round trip."""
    options: dict[str, Any] = {"autocommit": True, "row_factory": dict_row, "connect_timeout": 5}
    return AsyncConnectionPool(
        dsn,
        kwargs=options,
        min_size=1,
        max_size=largest,
        open=False,
        timeout=_PATIENCE_S,
        reconnect_timeout=RECONNECT_S,
        check=_still_there,
        configure=_configured,
    )


async def _still_there(connection: AsyncConnection[Any]) -> None:
    """A resting connection has something to read only when its server took leave: only then a round trip is made."""
    rest = select.poll()
    rest.register(connection.fileno(), select.POLLIN)
    if rest.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _configured(connection: Connection) -> None:
    """A process that stands still in the middle of a transaction must not keep a run's row from being taken over."""
    await connection.execute("set idle_in_transaction_session_timeout = '5s'")


def open_row_pool(dsn: str, largest: int = 4) -> AsyncConnectionPool[AsyncConnection]:
    """For the document store: rows as tuples, and a connection's block is one transaction."""
    return AsyncConnectionPool(
        dsn,
        kwargs={"connect_timeout": 5},
        min_size=1,
        max_size=largest,
        open=False,
        timeout=_PATIENCE_S,
        reconnect_timeout=RECONNECT_S,
        check=_still_there,
    )


def new_id() -> str:
    """A UUIDv7 (RFC 9562, method 3): ids sort by the time they were made, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def worker_name() -> str:
    """Unique per process, even when a pid or a host name is used again."""
    return f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(3)}"
