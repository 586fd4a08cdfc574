"""Commands that work on the database itself, as the owner of its tables: what no server's role may do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import dict_row

from serving.cli.session import connected
from serving.database import Connection
from serving.errors import ServingError, SettingsError, Unreachable
from serving.migrate import migrate
from serving.processes.stack import Stack
from serving.settings import load_settings

_LOCK_PATIENCE_S = 5


@asynccontextmanager
async def owned_database() -> AsyncIterator[Connection]:
    """DATABASE_URL, else the embedded Postgres of this home, started when it doesn't run."""
    settings = load_settings()
    if settings.database_url:
        async with _connection(settings.database_url) as connection:
            yield connection
    elif settings.url:
        raise SettingsError(
            "TRIREME_URL is set, but this command works on the database", "set DATABASE_URL to that of the server"
        )
    else:
        async with connected(settings, worker=False), _connection(Stack(settings).dsn) as connection:
            yield connection


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[Connection]:
    await asyncio.to_thread(migrate, dsn)
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row, connect_timeout=5
        ) as connection:
            await connection.execute(f"set lock_timeout = '{_LOCK_PATIENCE_S}s'".encode())
            await connection.execute("set idle_in_transaction_session_timeout = '30s'")
            yield connection
    except psycopg.errors.InsufficientPrivilege:
        raise SettingsError(
            "this database user may not do this", "use a DATABASE_URL of the tables' owner, as trireme migrate does"
        ) from None
    except psycopg.Error as error:
        raise _stopped(error) from None


def _stopped(error: psycopg.Error) -> ServingError:
    reason = error.diag.message_primary or "the connection was lost"
    return Unreachable(f"Postgres ended the work: {reason}", "run it again: it goes on where it was")
