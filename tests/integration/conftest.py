"""The database and the parts that the tests of runs share; every test gets runs and threads of its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from memory.store import MemoryStore
from serving.wiring import memory_store
from tests.integration.run_house import House, open_house


@pytest.fixture(scope="session")
def runs_database(template_database: str) -> Iterator[str]:
    """The DSN of one database for all tests of runs."""
    name = f"runs_{uuid.uuid4().hex[:12]}"
    admin = template_database.replace("/trireme?", "/postgres?")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template trireme".encode())
    dsn = template_database.replace("/trireme?", f"/{name}?")
    yield dsn
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


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
        connection.execute("truncate threads, deployment, state_checkpoints, state_values, state_items, state_writes cascade")
    async with open_house(runs_database, tmp_path, runs_memory) as house:
        yield house
