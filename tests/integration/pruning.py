"""Ended runs with all that they leave behind, and the prune that takes it away."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row

from serving.database import Connection
from serving.runs.prune import Pruning, Share
from serving.runs.retention import EVERYONE, set_terms
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels


def as_owner(house: House) -> Awaitable[Connection]:
    return psycopg.AsyncConnection.connect(house.dsn, autocommit=True, row_factory=dict_row)


@asynccontextmanager
async def pruning(house: House) -> AsyncIterator[Pruning]:
    async with await as_owner(house) as connection:
        yield Pruning(connection)


async def keep(house: House, tenant: str = EVERYONE, **days: int | None) -> None:
    async with await as_owner(house) as connection:
        await set_terms(connection, tenant, days)


async def planned(house: House) -> list[Share]:
    async with pruning(house) as work:
        await work.plan()
        return work.shares


async def pruned(house: House) -> list[Share]:
    async with pruning(house) as work:
        await work.apply()
        return work.shares


def ended_long_ago(house: House, *run_ids: str, days: int = 100) -> None:
    query = "update runs set finished_at = finished_at - %s * interval '1 day' where run_id = any(%s)"
    house.execute(query, days, list(run_ids))


async def full_run(house: House, **options: Any) -> str:
    """One that has ended, with a file, an effect, a question and a value shown to it, beside log and checkpoints."""
    run_id = (await house.finish(ScriptedModels(), **options)).run_id
    house.execute("insert into artifacts values (%s, 'report.md', 'text/markdown', 'It is 42.', now())", run_id)
    house.execute(
        "insert into effects (run_id, key, tool, arguments_digest, state, result, fence) "
        """values (%s, 'k', 'send_email', '', 'prepared', '{"sent": true}', 1)""",
        run_id,
    )
    house.execute("update effects set state = 'done' where run_id = %s", run_id)
    house.execute(
        "insert into approvals (approval_id, run_id, kind, request, digest, expires_at) "
        "values ('a', %s, 'tool', '{}', '', now())",
        run_id,
    )
    house.execute(
        "insert into vault values ('default', %s, '[EMAIL_1]', 'EMAIL', 0, 'x', 'sealed', now() - interval '1 second')",
        run_id,
    )
    return run_id


def left(house: House, run_id: str) -> dict[str, int]:
    query = """
        select (select count(*) from run_events where run_id = run), (select count(*) from effects where run_id = run),
            (select count(*) from approvals where run_id = run),
            (select count(*) from artifacts where run_id = run and content is not null)
        from (select %s::uuid as run) asked"""
    return dict(zip(("events", "effects", "approvals", "files"), house.execute(query, run_id)[0], strict=True))


def state_rows(house: House, thread_id: str) -> int:
    query = """
        select count(*) from (
            select thread_id from state_checkpoints union all select thread_id from state_values
            union all select thread_id from state_items union all select thread_id from state_writes
        ) row where thread_id = %s"""
    rows: int = house.execute(query, thread_id)[0][0]
    return rows
