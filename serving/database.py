"""The process's connection pool, and the one way a database error becomes ours."""

import asyncio
import os
import secrets
import select
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Literal, LiteralString, Protocol, TypeAlias, TypeVar

import orjson
import psycopg
from psycopg import AsyncConnection
from psycopg.errors import ReadOnlySqlTransaction
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from graph.errors import StorageLost
from serving.background import Background

Row: TypeAlias = DictRow
Connection: TypeAlias = AsyncConnection[DictRow]
Pool: TypeAlias = AsyncConnectionPool[Connection]

_PATIENCE_S, _ASK_AGAIN_S = 5.0, 1.0
# Of the database itself: it is away, full, read-only or too slow, or it chose this statement to break a deadlock.
TROUBLE = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError)
# A pool connects again after one second, and after one more; then afresh at the next request. With the default of five
# minutes its pauses double, and it would be back long after the database is.
RECONNECT_S = 2.0


class Connections(Protocol):
    """Where a connection comes from for a moment: a pool, or a transaction that others have begun."""

    def connection(self) -> AbstractAsyncContextManager[Connection]: ...


class Within:
    """A transaction of others: what each use does of it comes with it or not at all, and can fail by itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._free = connection, asyncio.Lock()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._free, self._connection.transaction():
            yield self._connection


_AnyConnection = TypeVar("_AnyConnection", bound=AsyncConnection[Any])


class _CountedLock(asyncio.Lock):
    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    async def acquire(self) -> Literal[True]:
        self._asked += 1
        try:
            return await super().acquire()
        finally:
            self._asked -= 1

    def is_free(self) -> bool:
        """Whether it is had without waiting: who was woken for it has it before it is locked again."""
        return not self.locked() and not self._asked


class ProcessPool(AsyncConnectionPool[_AnyConnection]):
    """Taking and giving back a connection is the process's work: psycopg_pool loses one when the request that waits for
    it, or gives it back, is cancelled (its issues 1208 and 1345)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lock = self._counted = _CountedLock()
        self._work = Background()

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[_AnyConnection]:
        """A session that began while the database was read-only, or on a standby, stays as it is: none is kept."""
        connection = await self.getconn(timeout)
        try:
            async with connection:
                yield connection
        except ReadOnlySqlTransaction:
            await asyncio.shield(self._work.start(self.drain()))
            raise
        finally:
            await self.putconn(connection)

    async def getconn(self, timeout: float | None = None) -> _AnyConnection:
        if self._pool and self._counted.is_free() and _is_quiet(self._pool[0]):
            return await super().getconn(timeout)  # it rests here: there is no moment in which to be cancelled
        taking = self._work.start(self._taken(self.timeout if timeout is None else timeout))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._untaken)
            raise

    async def _taken(self, patience_s: float) -> _AnyConnection:
        """A pool that has given up connecting begins anew when it is asked, not for those who wait: so ask again."""
        until = time.monotonic() + patience_s
        while True:
            rest = until - time.monotonic()
            try:
                return await super().getconn(min(rest, _ASK_AGAIN_S))
            except PoolTimeout:
                if rest <= _ASK_AGAIN_S:
                    raise

    async def putconn(self, conn: _AnyConnection) -> None:
        if not self._waiting and self._counted.is_free() and conn.pgconn.transaction_status == TransactionStatus.IDLE:
            await super().putconn(conn)
        else:
            await asyncio.shield(self._work.start(super().putconn(conn)))

    def _untaken(self, taking: "asyncio.Task[_AnyConnection]") -> None:
        if not taking.cancelled() and not taking.exception():
            self._work.start(super().putconn(taking.result()))


def open_pool(dsn: str, largest: int = 10) -> Pool:
    """A pool to be opened with `await pool.open()`. Connections are in autocommit: one statement, one round trip."""
    return _pool(dsn, largest, _configured, row_factory=dict_row)


def open_row_pool(dsn: str) -> AsyncConnectionPool[AsyncConnection]:
    """For the document store: rows as tuples; in autocommit, as above."""
    return _pool(dsn, 4)


def _pool(dsn: str, largest: int, configure: Any = None, **options: Any) -> ProcessPool[Any]:
    return ProcessPool(
        dsn,
        kwargs={"autocommit": True, "connect_timeout": 5, **options},
        min_size=1,
        max_size=largest,
        open=False,
        timeout=_PATIENCE_S,
        reconnect_timeout=RECONNECT_S,
        check=_still_there,
        configure=configure,
    )


async def _still_there(connection: AsyncConnection[Any]) -> None:
    if not _is_quiet(connection):
        await AsyncConnectionPool.check_connection(connection)


def _is_quiet(connection: AsyncConnection[Any]) -> bool:
    """A resting connection has something to read only when its server took leave: only then a round trip is needed."""
    if connection.closed:
        return False
    rest = select.poll()
    rest.register(connection.fileno(), select.POLLIN)
    return not rest.poll(0)


async def _configured(connection: Connection) -> None:
    """A process that stands still in the middle of a transaction must not keep a run's row from being taken over."""
    await connection.execute("set idle_in_transaction_session_timeout = '5s'")
    # jsonb keeps 1e25 by its digits. json.loads makes an integer of them, which can't be written again; orjson a float.
    set_json_loads(orjson.loads, connection)


@contextmanager
def storage() -> Iterator[None]:
    """Around what a port does for an attempt: trouble with Postgres becomes StorageLost, which ends the attempt.

    A fault in a statement stays what it is.
    """
    try:
        yield
    except TROUBLE as error:
        raise StorageLost(f"Postgres can't be used now ({type(error).__name__}): the run goes on later") from error


@asynccontextmanager
async def connected(pool: AsyncConnectionPool[_AnyConnection]) -> AsyncIterator[_AnyConnection]:
    """A connection for an attempt's work. Raises StorageLost."""
    with storage():
        async with pool.connection() as connection:
            yield connection


async def fetch_all(
    pool: Connections, query: LiteralString, values: Any = None, *, prepare: bool | None = None
) -> list[Row]:
    """The rows of one statement, which is a transaction of its own."""
    async with pool.connection() as connection:
        return await (await connection.execute(query, values, prepare=prepare)).fetchall()


async def fetch_one(pool: Connections, query: LiteralString, values: Any = None) -> Row | None:
    async with pool.connection() as connection:
        return await (await connection.execute(query, values)).fetchone()


def new_id() -> str:
    """A UUIDv7 (RFC 9562, method 3): ids sort by the time they were made, to a quarter of a microsecond."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | secrets.randbits(62)
    return str(uuid.UUID(int=value))


def worker_name() -> str:
    """Unique per process, even when a pid or a host name is used again."""
    return f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(3)}"
