"""What a port does when Postgres cuts it off in the middle: StorageLost, which ends the attempt and loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest

from graph.errors import StorageLost
from graph.events import Noted
from graph.ports import ApprovalRequest
from serving.database import Pool, open_pool, open_row_pool, storage
from serving.documents.embed import HashingEmbedder
from serving.documents.search import CollectionDocuments
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases
from serving.runs.artifacts import PostgresArtifacts
from serving.runs.attempts.in_flight import InFlight
from serving.runs.decisions.approvals import PostgresApprovals
from serving.runs.ledger import PostgresLedger
from serving.runs.log import AttemptLog
from serving.runs.notices import Notices
from tests.integration.ledger_rows import CALL, make_run
from tests.integration.test_documents_store import document

REQUEST = ApprovalRequest(
    id="a", kind="tool", name="n", arguments={}, description="", digest="d", expires_at="2999-01-01T00:00:00Z"
)


@pytest.fixture
async def store(database: str) -> AsyncIterator[DocumentStore]:
    rows = open_row_pool(database)
    await rows.open()
    store = DocumentStore(rows, HashingEmbedder())
    table = document("b.csv", "region,amount\nnorth,3\nsouth,4\n", table=True)
    await store.put("docs", [document("a.md", "Notice is 30 days."), table])
    yield store
    await rows.close()


def ports(pool: Pool, calls: InFlight, store: DocumentStore, run_id: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Everything that an attempt asks of Postgres, by name."""
    documents = CollectionDocuments(store, "docs")
    ledger = PostgresLedger(pool, calls, run_id, 1)
    log = AttemptLog(pool, run_id, 1, Notices(pool))
    return {
        "overview": documents.overview,
        "search": lambda: documents.search("notice"),
        "read": lambda: documents.read("a.md"),
        "tables": lambda: CollectionTables(store, "docs", Databases()).query("select sum(amount) from b"),
        "prepare": lambda: ledger.prepare(CALL),
        "settle": lambda: ledger.settle("k", "done", {"ok": True, "content": "{}"}),
        "approvals": lambda: PostgresApprovals(pool, run_id, 1).request(REQUEST),
        "artifacts": lambda: PostgresArtifacts(pool, run_id, 1).write("a.md", "text/markdown", "x"),
        "log": lambda: log.append(Noted(code="a", message="b")),
        "load": log.load,
    }


async def cut_off(dsn: str, work: Callable[[], Awaitable[Any]]) -> BaseException | None:
    """What `work` raises when its connection is ended while it waits in the database."""
    with psycopg.connect(dsn) as blocking, psycopg.connect(dsn, autocommit=True) as killer:
        blocking.execute("lock table runs, documents, run_events in access exclusive mode")
        task = asyncio.ensure_future(work())
        ended = "select pg_terminate_backend(pid) from pg_locks where not granted"
        async with asyncio.timeout(30):
            while not killer.execute(ended).fetchall():
                await asyncio.sleep(0.01)
        await asyncio.wait([task], timeout=30)
        return task.exception()


async def test_every_port_says_storage_lost_when_its_connection_is_cut_and_works_again_afterwards(
    calls: InFlight, database: str, pool: Pool, store: DocumentStore
) -> None:
    for name, work in ports(pool, calls, store, make_run(database)).items():
        error = await cut_off(database, work)
        assert isinstance(error, StorageLost), f"{name}: {error!r}"
        await work()


async def test_a_pool_without_a_free_connection_is_storage_lost(calls: InFlight, database: str) -> None:
    pool = open_pool(database, largest=1)
    pool.timeout = 0.2
    await pool.open()
    async with pool.connection():
        with pytest.raises(StorageLost, match="PoolTimeout"):
            await PostgresLedger(pool, calls, make_run(database), 1).prepare(CALL)
    await pool.close()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("set statement_timeout = '50ms'; select pg_sleep(5)", StorageLost),
        ("set default_transaction_read_only = on; create table t (a int)", StorageLost),
        ("select 1 / 0", psycopg.DataError),
        ("select nothing", psycopg.ProgrammingError),
    ],
)
def test_trouble_with_postgres_is_told_from_a_fault_in_a_statement(
    database: str, statement: str, expected: type[Exception]
) -> None:
    *settings, failing = statement.split("; ")
    with psycopg.connect(database, autocommit=True) as connection:
        for setting in settings:
            connection.execute(setting.encode())
        with pytest.raises(expected), storage():
            connection.execute(failing.encode())
