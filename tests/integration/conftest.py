"""The database and the parts that the tests of runs share; every test gets runs and threads of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from memory.store import MemoryStore
from serving.database import Pool, open_pool
from serving.wiring import memory_store
from tests.conftest import fresh_database
from tests.integration.run_house import House, open_house


@pytest.fixture(scope="session")
def runs_database(template_database: str) -> Iterator[str]:
    """The DSN of one database for all tests of runs."""
    with fresh_database(template_database) as dsn:
        yield dsn


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = open_pool(database)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture(scope="session")
def runs_memory(runs_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryStore]:
    memory = memory_store(runs_database, tmp_path_factory.mktemp("memory"))
    yield memory
    asyncio.run(memory.close())


@pytest.fixture
async def house(runs_database: str, runs_memory: MemoryStore, tmp_path: Path) -> AsyncIterator[House]:
    """An empty queue and everything behind it."""
    with psycopg.connect(runs_database, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")  # else the log refuses to be emptied
        connection.execute("truncate threads, deployment cascade")
        connection.execute("truncate state_checkpoints, state_values, state_items, state_writes")
    async with open_house(runs_database, tmp_path, runs_memory) as house:
        yield house
