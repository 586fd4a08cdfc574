"""The database and the parts that the tests of runs share; every test gets runs and threads of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from memory.store import MemoryStore
from serving.database import Pool, open_pool
from serving.runs.attempts.in_flight import InFlight
from serving.wiring import memory_store
from tests.conftest import fresh_database
from tests.integration.api_house import open_api
from tests.integration.run_house import House, open_house


@pytest.fixture(scope="session")
def runs_database(template_database: str) -> Iterator[str]:
    """The DSN of one database for all tests of runs."""
    with fresh_database(template_database) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def emptying(runs_database: str) -> bytes:
    """Statements that delete every thread, checkpoint and mark, and what hangs on them: a truncate takes 80 times as
    long."""
    with psycopg.connect(runs_database) as connection:
        tables = connection.execute("""
            with recursive emptied (name) as (
                select to_regclass(name) from unnest(array[
                    'threads', 'deployment', 'effects', 'idempotency_keys',
                    'state_checkpoints', 'state_values', 'state_items', 'state_writes']) name
                union select conrelid from pg_constraint join emptied on confrelid = emptied.name
            )
            select name::text from emptied""").fetchall()
    return "; ".join(f"delete from {name}" for (name,) in tables).encode()  # noqa: S608


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = open_pool(database)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def calls(database: str) -> AsyncIterator[InFlight]:
    """Of a worker over this database."""
    calls = InFlight(database, "test")
    yield calls
    await calls.close()


@pytest.fixture(scope="session")
def runs_memory(runs_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryStore]:
    memory = memory_store(runs_database, tmp_path_factory.mktemp("memory"))
    yield memory
    asyncio.run(memory.close())


@pytest.fixture
def emptied(runs_database: str, emptying: bytes) -> str:
    """The DSN of that one database, which has no thread and no checkpoint."""
    with psycopg.connect(runs_database) as connection:
        connection.execute("set session_replication_role = replica")  # else the log refuses to be emptied
        connection.execute(emptying)
    return runs_database


@pytest.fixture
async def house(emptied: str, runs_memory: MemoryStore, tmp_path: Path) -> AsyncIterator[House]:
    """An empty queue and everything behind it; nobody is refused a connection because the machine is busy."""
    async with open_house(emptied, tmp_path, runs_memory) as house:
        house.pool.timeout = 60.0
        yield house


@pytest.fixture
async def api(house: House, runs_memory: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    async with open_api(house, runs_memory) as client:
        yield client


@pytest.fixture
def no_terms(house: House) -> None:
    """Everything is kept for ever, as in a new deployment."""
    house.execute("delete from retention where tenant <> '*'")
    house.execute(
        "update retention set events_days = null, checkpoints_days = null, artifacts_days = null, keys_days = 30"
    )
    house.execute("delete from vault")
