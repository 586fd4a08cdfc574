"""Threads: edited by hand whole or not at all; gone, or cut down to their latest state, when their time is over."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import psycopg
import pytest

from graph.errors import StorageLost
from graph.faults import Faults, install
from serving.database import Pool, new_id
from serving.hosting.config import read_hosting
from serving.hosting.graphs import Graphs
from serving.idempotency import Claim
from serving.items.stores import Stores
from serving.threads.checkpoint import CheckpointRef
from serving.threads.copies import copy, create
from serving.threads.saved import Saved
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.threads.sweep import Sweeper, thread_ttl
from serving.threads.thread import NewThread, Superstep, SuperstepUpdate, Ttl
from tests.conftest import forgotten
from tests.integration.run_house import KEY

CONFIG = Path(__file__).parents[1] / "sdk" / "langgraph.json"
_STEP = Superstep(updates=[SuperstepUpdate(values={"done": 1}, as_node="step")])
_COPIED = "insert into threads (thread_id, metadata) select %s, metadata from threads where thread_id = %s"
_WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture(autouse=True)
def _no_graphs_left() -> Iterator[None]:
    with forgotten(CONFIG.parent / "graphs"):
        yield


class _Garden:
    def __init__(self, pool: Pool) -> None:
        graphs, self.saved = Graphs(read_hosting(CONFIG)), Saved(pool, KEY)
        self.threads = ThreadStore(pool)
        self.states = States(pool, graphs, self.saved, Stores(pool), None)  # type: ignore[arg-type]  # no agent here
        self.sweeper = Sweeper(pool, self.threads, self.saved)

    async def plant(self, ttl: Ttl | None) -> str:
        """A thread with three checkpoints."""
        new = NewThread(metadata={"graph_id": "slow"}, ttl=ttl, supersteps=[_STEP] * 3)
        return str((await create(self.threads, self.states, new))["thread_id"])

    async def checkpoints(self, thread: str) -> int:
        found = await self.states.history(thread, CheckpointRef(), limit=100, before=None, metadata=None)
        return found.count(b'"parent_checkpoint_id"')


async def test_a_thread_whose_time_is_over_is_swept_as_it_was_asked(pool: Pool, database: str) -> None:
    garden = _Garden(pool)
    gone = await garden.plant(Ttl(ttl=1))
    cut = await garden.plant(Ttl(ttl=1, strategy="keep_latest"))
    young, ageless = await garden.plant(Ttl(ttl=60)), await garden.plant(None)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update threads set updated_at = now() - interval '10 minutes'")
    assert await garden.sweeper.sweep() == 2
    assert not await garden.threads.has(gone)
    assert [await garden.checkpoints(thread) for thread in (cut, young, ageless)] == [1, 3, 3]
    assert await garden.sweeper.sweep() == 0
    with psycopg.connect(database) as connection:
        left = connection.execute("select count(*) from state_checkpoints where thread_id = %s", (gone,)).fetchone()
    assert left == (0,)


async def test_a_cancel_that_comes_late_takes_nothing_from_a_copy_that_another_request_makes(
    pool: Pool, database: str
) -> None:
    """Both have the same Idempotency-Key, so it is one copy."""
    garden = _Garden(pool)
    thread, claim = await garden.plant(None), Claim(new_id(), False, datetime.now(UTC))
    with psycopg.connect(database) as other, psycopg.connect(database, autocommit=True) as watching:
        other.execute(_COPIED, (claim.id, thread))  # and its transaction isn't over
        first = asyncio.create_task(copy(garden.threads, garden.saved, thread, claim))
        async with asyncio.timeout(30):
            while watching.execute(_WAITING).fetchone() == (0,):
                await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert await garden.checkpoints(claim.id) == 3


async def test_a_thread_under_way_is_not_swept(pool: Pool, database: str) -> None:
    garden = _Garden(pool)
    thread = await garden.plant(Ttl(ttl=1))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update threads set updated_at = now() - interval '10 minutes'")
        connection.execute(
            "insert into runs (run_id, thread_id, request, request_digest) values (%s, %s, '{}', '')", (thread, thread)
        )
        assert await garden.sweeper.sweep() == 0
        connection.execute("update runs set status = 'running'")
        connection.execute("update runs set status = 'success', finished_at = now()")
    assert await garden.sweeper.sweep() == 0  # the run's end was the thread's last change
    assert await garden.threads.has(thread)


async def test_what_the_hosting_says_of_threads_counts_for_those_that_are_given_nothing(tmp_path: Path) -> None:
    path = tmp_path / "langgraph.json"
    path.write_text('{"graphs": {}, "checkpointer": {"ttl": {"strategy": "keep_latest", "default_ttl": 90}}}')
    assert thread_ttl(Graphs(read_hosting(path))) == Ttl(ttl=90, strategy="keep_latest")
    assert thread_ttl(Graphs()) is None


async def test_an_edit_that_is_cut_off_leaves_neither_a_checkpoint_nor_a_row_of_before(pool: Pool) -> None:
    """Where the checkpoint alone was there, the thread would show other values than its state."""
    garden = _Garden(pool)
    thread, latest = await garden.plant(None), CheckpointRef()
    before = await garden.states.get(thread, latest, subgraphs=False), await garden.threads.get(thread)
    install(Faults("checkpoint.committed=raise", StorageLost))
    try:
        with pytest.raises(StorageLost):
            await garden.states.update(thread, latest, {"done": 5}, "step")
    finally:
        install(None)
    assert (await garden.states.get(thread, latest, subgraphs=False), await garden.threads.get(thread)) == before
    await garden.states.update(thread, latest, {"done": 5}, "step")
    row = await garden.threads.get(thread)
    assert row["values"] == orjson.loads(await garden.states.get(thread, latest, subgraphs=False))["values"]
    assert row["values"] != before[1]["values"]
