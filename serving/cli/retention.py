"""`trireme retention` and `trireme prune`: how long what runs leave behind is kept, and taking away what is over.

Both work on the database itself, as the owner of its tables: no server's role may delete a log.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict

import orjson
import psycopg
from psycopg.rows import dict_row

from serving.cli.session import connected
from serving.database import Connection
from serving.errors import BadRequest, ServingError, SettingsError, Unreachable
from serving.migrate import migrate
from serving.runs.prune import Pruning, Share
from serving.runs.retention import EVERYONE, KINDS, RetentionTerms, set_terms, terms
from serving.settings import load_settings
from serving.stack import Stack

_TENANT = re.compile(r"[^\x00-\x20\x7f]{1,100}")
_DAYS = re.compile(r"(\d{1,5})d?")
_FOREVER = "forever"
_LOCK_PATIENCE_S = 5


async def show_retention(tenant: str | None, new: Mapping[str, str | None], json: bool) -> int:
    """`new`: by kind what was asked for, `90d` or `forever`; None leaves it as it is."""
    days = {kind: _days(kind, text) for kind, text in new.items() if text is not None}
    if tenant is not None and not _TENANT.fullmatch(tenant):
        raise BadRequest("--tenant takes 1 to 100 visible characters", f"leave it out to mean everyone ({EVERYONE})")
    async with _database() as connection:
        if days:
            await set_terms(connection, tenant or EVERYONE, days)
        found = [each for each in await terms(connection) if tenant in (None, each.tenant) or each.tenant == EVERYONE]
    if json:
        print(orjson.dumps([asdict(each) for each in found], option=orjson.OPT_INDENT_2).decode())
        return 0
    print("\n".join(_columns([("tenant", *KINDS), *map(_cells, found)])))
    print(f"\ndays after a run's end; {EVERYONE}: of tenants without a line; trireme prune applies them")
    return 0


async def prune(dry_run: bool, json: bool) -> int:
    async with _database() as connection:
        pruning = Pruning(connection)
        await (pruning.plan() if dry_run else pruning.apply())
    if json:
        report = {"dry_run": dry_run, "shares": [asdict(share) for share in pruning.shares]}
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
        return 0
    if not pruning.shares:
        print("nothing is over: trireme retention shows how long what is kept")
        return 0
    print("would go:" if dry_run else "gone:")
    print("\n".join(_columns([("tenant", "kind", "rows", "bytes"), *map(_counts, pruning.shares)])))
    return 0


@asynccontextmanager
async def _database() -> AsyncIterator[Connection]:
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
            "this database user may not prune", "use a DATABASE_URL of the tables' owner, as trireme migrate does"
        ) from None
    except psycopg.Error as error:
        raise _stopped(error) from None


def _stopped(error: psycopg.Error) -> ServingError:
    reason = error.diag.message_primary or "the connection was lost"
    return Unreachable(f"Postgres ended the work: {reason}", "run it again: it goes on where it was")


def _days(kind: str, text: str) -> int | None:
    if text == _FOREVER:
        return None
    if found := _DAYS.fullmatch(text):
        return int(found[1])
    raise BadRequest(f"--{kind} takes days, as in 90d, or {_FOREVER}, not {text[:40]!r}", "trireme retention --help")


def _cells(of: RetentionTerms) -> tuple[str, ...]:
    shown = (_FOREVER if days is None else f"{days}d" for days in (of.events, of.checkpoints, of.artifacts))
    return of.tenant, *shown


def _counts(share: Share) -> tuple[str, ...]:
    return share.tenant, share.kind, f"{share.rows:,}", f"{share.bytes:,}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
