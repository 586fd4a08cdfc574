"""Memory on a real Postgres: scopes, expiry, erasure, recall over runs, and what happens when the database is gone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from graph.ports import Memory, MemoryItem
from memory.errors import MemoryFailure, MemoryFull, MemoryRefused, MemoryUnavailable
from memory.item import Item, Owner
from memory.long_term import LongTermMemory
from memory.recall import MAX_CHARACTERS, MAX_ITEMS, Recall
from memory.store import MemoryStore
from privacy.redact import Redacted, from_record
from serving.documents.embed import HashingEmbedder
from tests.conftest import everything_in

EMBEDDER = HashingEmbedder()
ALICE = Owner(user="alice")
BOB = Owner(user="bob")


@pytest.fixture
async def store(database: str, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    store = MemoryStore(database, EMBEDDER.embed, EMBEDDER.dimensions, tmp_path)
    yield store
    await store.close()


def bytes_of(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_what_is_stated_in_one_run_is_recalled_in_the_next(store: MemoryStore) -> None:
    first = LongTermMemory(store)
    goal = from_record("What is the total for March? I always want amounts in EUR.")
    assert await first.recall(goal) == ()
    (new,) = await first.propose(goal, "run:1")
    assert (new.text, new.source, new.kind) == ("I always want amounts in EUR.", "run:1", "preference")
    assert isinstance(new.text, Redacted)
    assert await LongTermMemory(store).recall(from_record("Which orders are late?")) == (new,)


async def test_a_repeated_statement_is_stored_once_and_reported_once(store: MemoryStore) -> None:
    memory = LongTermMemory(store)
    assert await memory.propose(from_record("I always want amounts in EUR."), "run:1")
    assert not await memory.propose(from_record("please always give me amounts in EUR"), "run:2")
    assert len(await store.list()) == 1


async def test_a_new_answer_in_the_same_slot_replaces_the_old_one_in_place(store: MemoryStore) -> None:
    memory = LongTermMemory(store)
    (euro,) = await memory.propose(from_record("I always want amounts in EUR."), "run:1")
    (dollar,) = await memory.propose(from_record("I always want amounts in USD."), "run:2")
    assert (dollar.id, dollar.created_at) == (euro.id, euro.created_at)
    assert [(item.text, item.source) for item in await store.list()] == [("I always want amounts in USD.", "run:2")]


async def test_concurrent_runs_store_one_statement_once(store: MemoryStore) -> None:
    goal = from_record("I always want amounts in EUR. Call me Alex.")
    changed = await asyncio.gather(*(LongTermMemory(store).propose(goal, f"run:{number}") for number in range(8)))
    assert sum(map(len, changed)) == 2
    assert len(await store.list()) == 2


async def test_two_processes_that_open_an_empty_database_together_both_work(database: str, tmp_path: Path) -> None:
    stores = [MemoryStore(database, EMBEDDER.embed, EMBEDDER.dimensions, tmp_path) for _ in range(4)]
    assert await asyncio.gather(*(store.list() for store in stores)) == [()] * 4
    await asyncio.gather(*(store.close() for store in stores))


async def test_owners_see_only_their_own_memories(store: MemoryStore) -> None:
    alice, bob, other_tenant = store.of(ALICE), store.of(BOB), store.of(Owner(tenant="acme", user="alice"))
    hers = await alice.add(from_record("The code of Porto is P7."), "cli")
    his = await bob.add(from_record("The code of Porto is P9."), "cli")
    goal = from_record("What is the code of Porto?")
    assert await alice.list() == await alice.search(goal, 10) == (hers,)
    assert await bob.list() == await bob.search(goal, 10) == (his,)
    assert await other_tenant.list() == await other_tenant.search(goal, 10) == ()
    assert await store.list() == ()


async def test_a_stranger_can_neither_delete_nor_replace_a_memory(store: MemoryStore) -> None:
    hers = (await LongTermMemory(store.of(ALICE)).propose(from_record("I always want amounts in EUR."), "run:1"))[0]
    for stranger in (BOB, Owner(tenant="acme", user="alice")):
        assert await store.of(stranger).delete(hers.id) is False
        assert await store.of(stranger).delete_all() == 0
        await LongTermMemory(store.of(stranger)).propose(from_record("I always want amounts in USD."), "run:2")
    assert await store.of(ALICE).list() == (hers,)


async def test_a_small_owner_is_found_among_thousands_of_strangers_rows(store: MemoryStore, database: str) -> None:
    hers = await store.of(ALICE).add(from_record("The code of Porto is P7."), "cli")
    with psycopg.connect(database) as connection:
        connection.execute(
            """insert into memories (id, vector, payload) select gen_random_uuid(), vector,
            payload || jsonb_build_object('user_id', 'other-' || number)
            from memories, generate_series(1, 3000) as number"""
        )
    assert await store.of(ALICE).search(from_record("What is the code of Porto?"), 5) == (hers,)


async def test_an_unknown_id_is_not_deleted_and_no_error(store: MemoryStore) -> None:
    for item_id in ("", "nothing", "00000000-0000-4000-8000-000000000000", "'; drop table memories"):
        assert await store.delete(item_id) is False


async def test_a_deleted_text_is_in_no_table_and_no_file(store: MemoryStore, database: str, tmp_path: Path) -> None:
    (kept,) = await LongTermMemory(store).propose(from_record("Call me Alex."), "run:0")
    (old,) = await LongTermMemory(store).propose(from_record("I always want amounts in EUR."), "run:1")
    (new,) = await LongTermMemory(store).propose(from_record("I always want amounts in USD."), "run:2")
    assert "amounts in USD" in everything_in(database)
    assert "amounts in EUR" not in everything_in(database)
    assert await store.delete(new.id) is True
    assert await store.delete(new.id) is False
    assert "amounts in" not in everything_in(database)
    assert b"amounts in" not in bytes_of(tmp_path)
    assert old.id == new.id
    assert await store.list() == (kept,)
    assert await store.delete_all() == 1
    assert "Alex" not in everything_in(database)


async def test_mem0_keeps_no_history_of_changed_and_deleted_texts(store: MemoryStore, tmp_path: Path) -> None:
    await LongTermMemory(store).propose(from_record("I always want amounts in EUR."), "run:1")
    memory = store._shared.engine().memory
    assert not hasattr(memory.db, "connection")
    assert b"SQLite" not in bytes_of(tmp_path)


async def test_an_expired_memory_is_never_shown_and_soon_deleted(store: MemoryStore, database: str) -> None:
    now = datetime.now(UTC)
    await store.add(from_record("The gate code is 4711."), "cli", expires_at=now - timedelta(seconds=1))
    lasting = await store.add(from_record("The dock code is 4712."), "cli", expires_at=now + timedelta(hours=1))
    assert await store.list() == await store.search(from_record("gate code"), 5) == (lasting,)
    assert lasting.expires_at == now + timedelta(hours=1)
    await LongTermMemory(store).propose(from_record("What is the dock code?"), "run:1")
    assert "gate code" not in everything_in(database)


async def test_text_that_memory_does_not_take_is_refused(store: MemoryStore) -> None:
    for text in ("ab", "x" * 301, "The key is [SECRET_1].", "two\nlines", "a\x00b c", "a \ud800 b"):
        with pytest.raises(MemoryRefused):
            await store.add(from_record(text), "cli")
    with pytest.raises(TypeError, match="Redacted"):
        await store.add("The code of Porto is P7.", "cli")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Redacted"):
        await store.search("Porto", 5)  # type: ignore[arg-type]


async def test_a_hostile_goal_can_be_searched_and_proposed(store: MemoryStore) -> None:
    await store.add(from_record("The code of Porto is P7."), "cli")
    goal = from_record("Porto \x00 \ud800 '; drop table memories; -- %s {} " + "code " * 40_000)
    assert len(await store.search(goal, 5)) == 1
    assert await LongTermMemory(store).propose(goal, "run:1") == ()


async def test_an_owner_with_too_many_memories_is_told_so(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.store.MAX_ITEMS", 2)
    for number in range(2):
        await store.add(from_record(f"The code of dock {number} is D{number}."), "cli")
    with pytest.raises(MemoryFull, match="delete some"):
        await store.add(from_record("The code of Porto is P7."), "cli")


async def test_everything_is_recalled_in_the_same_order_for_any_goal_while_it_fits(store: MemoryStore) -> None:
    memory = LongTermMemory(store)
    for statement in ("Remember that we close in August.", "I prefer tables.", "My department is Logistics."):
        await memory.propose(from_record(statement), "run:1")
    texts = [item.text for item in await memory.recall(from_record("total for March"))]
    assert texts == ["I prefer tables.", "My department is Logistics.", "Remember that we close in August."]
    assert [item.text for item in await memory.recall(from_record("when do we close?"))] == texts


async def test_what_does_not_fit_gives_way_to_preferences_and_the_nearest_notes(store: MemoryStore) -> None:
    for number in range(20):
        await store.add(from_record(f"Remember that the code of warehouse {number} is W{number}."), "cli")
    await store.add(from_record("Remember that the cafeteria closes in August."), "cli")
    await LongTermMemory(store).propose(from_record("I prefer tables."), "run:1")
    goal = from_record("Is the cafeteria open in August?")
    recalled = await Recall(store).recall(goal)
    assert len(recalled) == MAX_ITEMS
    assert recalled[0].text == "I prefer tables."
    assert "Remember that the cafeteria closes in August." in [item.text for item in recalled]
    assert await Recall(store).recall(goal) == recalled


async def test_recall_stays_within_its_characters(store: MemoryStore) -> None:
    for number in range(8):
        await store.add(from_record(f"Note {number}: " + "word " * 55), "cli")
    recalled = await Recall(store).recall(from_record("word"))
    assert 0 < sum(len(item.text) for item in recalled) <= MAX_CHARACTERS


async def test_a_database_that_is_gone_is_a_typed_error_within_seconds(tmp_path: Path) -> None:
    store = MemoryStore(f"postgresql:///x?host={tmp_path}", EMBEDDER.embed, EMBEDDER.dimensions, tmp_path)
    started = asyncio.get_running_loop().time()
    with pytest.raises(MemoryUnavailable, match="DATABASE_URL") as failure:
        await LongTermMemory(store).recall(from_record("total for March"))
    assert asyncio.get_running_loop().time() - started < 10
    assert (failure.value.code, failure.value.status, failure.value.retryable) == ("memory_unavailable", 503, True)
    assert isinstance(failure.value, MemoryFailure)


async def test_connections_that_postgres_closed_are_replaced(store: MemoryStore, database: str) -> None:
    item = await store.add(from_record("The code of Porto is P7."), "cli")
    with psycopg.connect(database, autocommit=True) as connection:
        ours = "from pg_stat_activity where application_name = 'trireme-memory' and datname = current_database()"
        (closed,) = connection.execute(f"select count(pg_terminate_backend(pid)) {ours}".encode()).fetchone() or (0,)
    assert closed > 0
    assert await store.list() == (item,)


async def test_an_embedder_that_fails_or_changes_its_dimensions_is_a_typed_error(
    store: MemoryStore, database: str, tmp_path: Path
) -> None:
    await store.list()

    def refuse(texts: Sequence[str]) -> list[list[float]]:
        raise RuntimeError("no answer")

    broken = MemoryStore(database, refuse, EMBEDDER.dimensions, tmp_path)
    with pytest.raises(MemoryUnavailable, match="embedder of memory failed: no answer"):
        await broken.add(from_record("The code of Porto is P7."), "cli")
    narrow = MemoryStore(database, lambda texts: [[1.0, 0.0]] * len(texts), 2, tmp_path)
    with pytest.raises(MemoryUnavailable, match="expected 256 dimensions, not 2"):
        await narrow.add(from_record("The code of Porto is P7."), "cli")
    await asyncio.gather(broken.close(), narrow.close())


async def test_a_folder_that_cannot_be_written_is_a_typed_error(database: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = MemoryStore(database, EMBEDDER.embed, EMBEDDER.dimensions, tmp_path / "file")
    with pytest.raises(MemoryUnavailable, match="file/mem0"):
        await store.list()


class _PortOfTheGraph:
    """What a composition root puts between `LongTermMemory` and `graph.ports.Memory`."""

    def __init__(self, memory: LongTermMemory, run_id: str) -> None:
        self._memory, self._source = memory, f"run:{run_id}"

    async def recall(self, goal: str) -> tuple[MemoryItem, ...]:
        return tuple(map(_as_port_item, await self._memory.recall(from_record(goal))))

    async def propose(self, goal: str) -> tuple[MemoryItem, ...]:
        return tuple(map(_as_port_item, await self._memory.propose(from_record(goal), self._source)))


def _as_port_item(item: Item) -> MemoryItem:
    return MemoryItem(id=item.id, text=item.text, source=item.source)


async def test_the_graphs_port_is_met_by_a_thin_adapter(store: MemoryStore) -> None:
    port: Memory = _PortOfTheGraph(LongTermMemory(store), "1")
    (new,) = await port.propose("I always want amounts in EUR.")
    assert await port.recall("Which orders are late?") == (MemoryItem(id=new.id, text=new.text, source="run:1"),)
