"""Whoever lost a run changes nothing of it: its files, approvals, memories and cost stay as the owner has them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph.errors import FenceLost
from graph.events import ModelCalled
from memory.errors import MemoryUnavailable
from memory.long_term import LongTermMemory
from memory.store import MemoryStore
from privacy.redact import from_record
from serving.database import Pool
from serving.documents.embed import HashingEmbedder
from serving.runs.artifacts import PostgresArtifacts
from serving.runs.attempts.deps import RunMemory
from serving.runs.decisions.approvals import PostgresApprovals
from serving.runs.fence import guard
from serving.runs.log import AttemptLog
from serving.runs.notices import Notices
from serving.wiring import memory_store
from tests.integration.ledger_rows import make_run, take_over
from tests.integration.test_storage_lost import REQUEST

GOAL = "I always want amounts in EUR. Call me Alex."


@pytest.fixture
async def memory(database: str, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    store = memory_store(database, tmp_path)
    await store.list()
    yield store
    await store.close()


def of_run(memory: MemoryStore, run_id: str, fence: int) -> RunMemory:
    return RunMemory(LongTermMemory(memory), run_id, guard(run_id, fence))


def counted(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"select count(*) from {table}".encode()).fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


def writers(pool: Pool, memory: MemoryStore, run_id: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    return {
        "artifacts": lambda: PostgresArtifacts(pool, run_id, 1).write("a.md", "text/markdown", "late"),
        "approvals": lambda: PostgresApprovals(pool, run_id, 1).request(REQUEST),
        "memories": lambda: of_run(memory, run_id, 1).propose(GOAL),
    }


async def test_an_older_attempt_leaves_no_file_no_question_and_no_memory(
    database: str, pool: Pool, memory: MemoryStore
) -> None:
    run_id = make_run(database)
    take_over(database, run_id)
    for table, write in writers(pool, memory, run_id).items():
        with pytest.raises(FenceLost):
            await write()
        assert counted(database, table) == 0


async def test_a_write_in_the_middle_of_a_take_over_waits_for_it_and_is_refused(
    database: str, pool: Pool, memory: MemoryStore
) -> None:
    for name, write in writers(pool, memory, run_id := make_run(database)).items():
        with psycopg.connect(database) as claiming:
            claiming.execute("update runs set fence = 2 where run_id = %s", (run_id,))
            late = asyncio.ensure_future(write())
            await asyncio.sleep(0.2)
            assert not late.done(), name
            claiming.commit()
        with pytest.raises(FenceLost):
            await late
        assert counted(database, name) == 0
        with psycopg.connect(database) as again:
            again.execute("update runs set fence = 1")


async def test_a_take_over_waits_for_memories_that_are_being_written_and_they_are_one_transaction(
    database: str, memory: MemoryStore
) -> None:
    """mem0 commits after each write; here the last commit is the only one, so a cut leaves all or nothing."""
    run_id = make_run(database)
    look, waits = guard(run_id, 1), []

    def looks_and_lets_another_try(connection: psycopg.Connection) -> None:
        look(connection)
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("set lock_timeout = '200ms'")
            try:
                other.execute("update runs set fence = fence + 1 where run_id = %s", (run_id,))
            except psycopg.errors.LockNotAvailable:
                waits.append(connection.execute("show idle_in_transaction_session_timeout").fetchone())

    new = await RunMemory(LongTermMemory(memory), run_id, looks_and_lets_another_try).propose(GOAL)
    assert len(new) == 2
    assert waits == [("5s",)], "a process that is stopped right here holds the run no longer than that"
    with psycopg.connect(database) as connection:
        rows = connection.execute("select distinct xmin::text from memories").fetchall()
    assert len(rows) == 1


async def test_memories_that_are_cut_off_in_the_middle_leave_nothing(database: str, tmp_path: Path) -> None:
    embedder, calls = HashingEmbedder(), []

    def fails_at_the_second(texts: Sequence[str]) -> Any:
        calls.append(texts)
        if len(calls) == 2:
            raise OSError("the embedder is gone")
        return embedder.embed(texts)

    store = MemoryStore(database, fails_at_the_second, embedder.dimensions, tmp_path)
    with pytest.raises(MemoryUnavailable):
        await LongTermMemory(store).propose(from_record(GOAL), "run 1")
    assert counted(database, "memories") == 0
    assert len(await LongTermMemory(store).propose(from_record(GOAL), "run 1")) == 2
    await store.close()


async def test_what_an_older_attempt_spent_is_not_added_to_the_runs_cost(database: str, pool: Pool) -> None:
    """Cost rests in the log's lines alone, so the log's fence is its fence; the totals of metrics follow the lines."""
    run_id = make_run(database)
    owner = AttemptLog(pool, run_id, 1, Notices(pool))
    call = ModelCalled(role="worker", model="m", text="", input_tokens=10, output_tokens=5, cost_usd=0.25)
    await owner.append(call)
    take_over(database, run_id)
    with pytest.raises(FenceLost):
        await owner.append(call)
    assert counted(database, "run_events") == 1
    with psycopg.connect(database) as connection:
        assert connection.execute("select sum(calls), sum(cost_usd)::float from model_totals").fetchone() == (1, 0.25)
