"""What an attempt of a hosted graph writes into the store is refused once another attempt owns its run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import psycopg
import pytest
from langgraph.store.base import Op, Result
from langgraph.store.memory import InMemoryStore

from graph.errors import FenceLost, StorageLost
from serving.database import Pool
from serving.items.scoped import ScopedStore
from serving.items.stores import Stores
from serving.runs.group import Fence
from tests.integration.ledger_rows import make_run, take_over

SHELF = ("users",)


@pytest.fixture
async def store(pool: Pool) -> ScopedStore:
    return await Stores(pool).of("default")


async def heard(store: ScopedStore) -> dict[str, str]:
    return {item.key: item.value["by"] for item in await store.asearch(SHELF)}


def writes(store: ScopedStore) -> list[Callable[[], Awaitable[None]]]:
    return [
        lambda: store.aput(SHELF, "ann", {"by": "late"}),
        lambda: store.aput(SHELF, "new", {"by": "late"}),
        lambda: store.adelete(SHELF, "ann"),
        lambda: asyncio.to_thread(store.put, SHELF, "ann", {"by": "late"}),
    ]


async def test_an_attempt_that_lost_its_run_changes_no_item(database: str, store: ScopedStore) -> None:
    run_id = make_run(database)
    old = store.under(Fence(run_id, 1))
    await old.aput(SHELF, "ann", {"by": "old"})
    assert await heard(store) == {"ann": "old"}
    take_over(database, run_id)
    for write in writes(old):
        with pytest.raises(FenceLost):
            await write()
    assert await heard(old) == {"ann": "old"}, "it may look"
    await store.under(Fence(run_id, 2)).aput(SHELF, "ann", {"by": "new"})
    await store.aput(SHELF, "bo", {"by": "a caller, who is no attempt"})
    assert (await heard(store))["ann"] == "new"


async def test_a_write_in_the_middle_of_a_take_over_waits_for_it_and_is_refused(
    database: str, store: ScopedStore
) -> None:
    run_id = make_run(database)
    with psycopg.connect(database) as claiming:
        claiming.execute("update runs set fence = 2 where run_id = %s", (run_id,))
        late = asyncio.ensure_future(store.under(Fence(run_id, 1)).aput(SHELF, "late", {"by": "old"}))
        await asyncio.sleep(0.2)
        assert not late.done()
        claiming.commit()
    with pytest.raises(FenceLost):
        await late
    assert "late" not in await heard(store)


class Noting(InMemoryStore):
    """Notes the loops that it is asked on."""

    def __init__(self) -> None:
        super().__init__()
        self.loops: list[asyncio.AbstractEventLoop] = []

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        self.loops.append(asyncio.get_running_loop())
        return await super().abatch(ops)


async def test_a_loop_of_another_thread_is_served_on_the_stores_own() -> None:
    """A sync node has one where it calls asyncio.run: nothing there wakes the other, which the pool's waiters need."""
    noting = Noting()
    scoped = ScopedStore(noting, "default")
    await asyncio.to_thread(asyncio.run, scoped.aput(SHELF, "ann", {"by": "another loop"}))
    assert await heard(scoped) == {"ann": "another loop"}
    assert set(noting.loops) == {asyncio.get_running_loop()}


async def test_a_backend_that_is_killed_in_a_write_is_trouble_of_the_database_and_no_fault_of_the_graph(
    database: str, store: ScopedStore
) -> None:
    attempts = store.under(Fence(make_run(database), 1))
    await attempts.aput(SHELF, "cut", {"by": "it"})
    with psycopg.connect(database) as holding, psycopg.connect(database, autocommit=True) as killing:
        holding.execute("select from store where key = 'cut' for update")
        write = asyncio.ensure_future(attempts.aput(SHELF, "cut", {"by": "late"}))
        waiting = "from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        while not killing.execute(f"select pg_terminate_backend(pid) {waiting}".encode()).fetchall():
            await asyncio.sleep(0.02)
        with pytest.raises(StorageLost):
            await write
    await attempts.aput(SHELF, "cut", {"by": "again"})
    assert (await heard(store))["cut"] == "again"
