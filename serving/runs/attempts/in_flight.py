"""Calls that this process may still let out, each under a lock of one database session.

Whoever would check for such a call, make it again, or say that it did not happen, asks for the same lock. It falls when
the call has ended here, or with the process: one that stands still keeps it, and nobody decides behind its back.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection

from serving.background import Background
from serving.database import Connection, Pool, storage
from serving.errors import Conflict
from serving.runs.decisions.effects import look_again

_TAKE: LiteralString = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
_GIVE_BACK: LiteralString = "select pg_advisory_unlock(hashtextextended(%s, 0))"
_ENDED: LiteralString = """
with effect as materialized (
    select in_flight, not call_in_flight(key) as ended from effects
        left join runs using (run_id)
    where run_id = %(run_id)s and key = %(key)s and state = 'unknown'
        and coalesce(runs.tenant, effects.tenant) = %(tenant)s
), seen as (
    update effects set in_flight = false from effect
    where run_id = %(run_id)s and key = %(key)s and effect.ended and effect.in_flight
)
select * from effect
"""
_HOLDER: LiteralString = """
with asked as (select hashtextextended(%s, 0) as lock)
select application_name from asked join pg_locks on locktype = 'advisory' and objsubid = 1 and mode = 'ExclusiveLock'
    and classid::bigint = (lock >> 32) & 4294967295 and objid::bigint = lock & 4294967295
join pg_stat_activity using (pid)
"""
_ASK_AGAIN_S, _PATIENCE_S = 0.05, 1.0
_POOLED = "DATABASE_URL leads through a pooler in transaction mode; give one to Postgres itself, or to session mode"
_log = logging.getLogger(__name__)
# A machine that has vanished keeps its locks until the server misses it; one whose worker rests keeps its session.
_SESSION: LiteralString = """
select set_config('idle_session_timeout', '0', false), set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_keepalives_interval', '2', false), set_config('tcp_keepalives_count', '3', false)
"""


class InFlight:
    """One for a process. `name` is what `pg_stat_activity` and a refused decision call it; it connects when it must."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn, self._name = dsn, name
        self._held: dict[str, AsyncConnection | None] = {}
        self._connection: AsyncConnection | None = None
        self._connecting = asyncio.Lock()
        self._work = Background()  # a call that is cancelled gives its lock back as well

    @asynccontextmanager
    async def alone(self, key: str, patience_s: float) -> AsyncIterator[bool]:
        """Around a call: True when nobody else can make, check or decide it meanwhile; False when for `patience_s`
        another process could still make it. Raises StorageLost."""
        given_up = asyncio.Event()
        taking = self._work.start(self._taken(key, patience_s, given_up))
        try:
            yield await asyncio.shield(taking)
        finally:
            given_up.set()
            await asyncio.shield(self._work.start(self._given_back(key, taking)))

    async def close(self) -> None:
        await self._work.ended()
        if self._connection:
            await self._connection.close()

    async def _taken(self, key: str, patience_s: float, given_up: asyncio.Event) -> bool:
        until = time.monotonic() + patience_s
        while not (taken := await self._try(key)) and time.monotonic() < until and not given_up.is_set():
            await asyncio.sleep(_ASK_AGAIN_S)
        return taken

    async def _try(self, key: str) -> bool:
        """A session is given its own locks again and again, so what this process holds it refuses itself."""
        if key in self._held:
            return False
        self._held[key] = None
        taken = False
        try:
            with storage():
                self._held[key], taken = await self._asked(key)
        finally:
            if not taken:
                del self._held[key]
        return taken

    async def _asked(self, key: str) -> tuple[AsyncConnection, bool]:
        """A session that was cut while it rested is made anew at once."""
        connection = await self._connected()
        try:
            return connection, await _says(connection, _TAKE, key)
        except psycopg.OperationalError:
            connection = await self._connected()
            return connection, await _says(connection, _TAKE, key)

    async def _given_back(self, key: str, taking: asyncio.Task[bool]) -> None:
        """With a session that was lost its locks are."""
        await asyncio.wait([taking])
        if taking.cancelled() or taking.exception() or not taking.result():
            return
        connection = self._held[key]
        assert connection is not None
        with suppress(psycopg.Error):
            if not await _says(connection, _GIVE_BACK, key):
                _log.error("action=give_back_call outcome=other_session: %s", _POOLED)
        del self._held[key]

    async def _connected(self) -> AsyncConnection:
        async with self._connecting:
            if self._connection and not self._connection.closed:
                return self._connection
            connect: Any = {"autocommit": True, "connect_timeout": 5, "tcp_user_timeout": 10_000}
            connection = await AsyncConnection.connect(self._dsn, fallback_application_name=self._name[-63:], **connect)
            await connection.execute(_SESSION)
            self._connection = connection
            return connection


async def require_ended(pool: Pool, tenant: str, run_id: str, key: str) -> None:
    """Before a person says that an unknown effect didn't happen, or may be tried again. Raises Conflict while a process
    can still make the call, and once more when it no longer can: whoever looked before must look again."""
    values, until = {"tenant": tenant, "run_id": run_id, "key": key}, time.monotonic() + _PATIENCE_S
    while True:
        async with pool.connection() as connection:
            row = await (await connection.execute(_ENDED, values)).fetchone()
            if row is None or (row["ended"] and not row["in_flight"]):
                return
            if row["ended"]:
                raise look_again(run_id)
            if time.monotonic() > until:
                raise await _in_flight(connection, run_id, key)
        await asyncio.sleep(_ASK_AGAIN_S)


async def _in_flight(connection: Connection, run_id: str, key: str) -> Conflict:
    row = await (await connection.execute(_HOLDER, (key,))).fetchone()
    who = f"worker {row['application_name']}" if row else "a worker"
    hint = f"end that process, or let it go on; then look whether it happened, and decide: trireme effects {run_id}"
    return Conflict(f"{who} stands still in this very call, and may still make it", hint, "effect_in_flight")


async def _says(connection: AsyncConnection, statement: LiteralString, key: str) -> bool:
    row = await (await connection.execute(statement, (key,))).fetchone()
    assert row is not None
    return bool(row[0])
