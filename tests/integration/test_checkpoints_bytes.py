"""What is written stays in proportion to what is new, and what is no longer needed can go."""

from typing import Any

import psycopg
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import CheckpointTuple

from serving.database import Pool
from serving.runs.checkpoints import PostgresSaver
from tests.integration.checkpoint_house import checkpoint, config, opened, put, saver

TEXT = "".join(chr(97 + at * at % 23) for at in range(1_000))
PLAN = {"steps": [TEXT[:400]]}


def value(dsn: str, query: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])


async def conversation(keeper: PostgresSaver, at: Any, turns: int, said: list[Any] | None = None) -> list[Any]:
    """As a run puts it: a message more each turn, a plan that doesn't change. Returns each turn's config."""
    messages, places = list(said or []), []
    for turn in range(turns):
        messages = [*messages, AIMessage(TEXT, id=f"m{len(messages)}")]
        made = checkpoint(messages=messages, plan=PLAN, turn=turn)
        made["channel_versions"] = {"messages": len(messages), "plan": 1, "turn": len(messages)}
        new = {name: one for name, one in made["channel_versions"].items() if name != "plan" or not turn}
        at = await keeper.aput(at, made, {"source": "loop", "step": turn}, new)
        places.append(at)
    return places


async def loaded(pool: Pool, at: Any) -> CheckpointTuple:
    found = await saver(pool).aget_tuple(at)
    assert found is not None
    return found


async def test_a_turn_writes_as_much_when_the_conversation_is_long(emptied: str) -> None:
    place = "select pg_current_wal_lsn() - '0/0'::pg_lsn"
    async with opened(emptied) as pool:
        keeper = saver(pool)
        [*_, at] = await conversation(keeper, config(), 5)
        sizes, said = [], []
        for already in (5, 145):
            said = (await loaded(pool, at)).checkpoint["channel_values"]["messages"]
            assert len(said) == already
            before = value(emptied, place)
            [*_, at] = await conversation(keeper, at, 40, said)
            sizes.append((value(emptied, place) - before) / 40)
            said = (await loaded(pool, at)).checkpoint["channel_values"]["messages"]
            [*_, at] = await conversation(keeper, at, 100, said)
    assert sizes[1] < 1.1 * sizes[0]
    assert max(sizes) < 3.5 * len(TEXT)


async def test_a_restarted_saver_goes_on_with_the_same_rows(emptied: str) -> None:
    async with opened(emptied) as pool:
        [*_, at] = await conversation(saver(pool), config(), 5)
        fresh = saver(pool)
        found = await fresh.aget_tuple(at)
        assert found is not None
        [*_, last] = await conversation(fresh, at, 5, found.checkpoint["channel_values"]["messages"])
        assert len((await loaded(pool, last)).checkpoint["channel_values"]["messages"]) == 10
    assert value(emptied, "select count(distinct epoch) from state_items") == 1
    assert value(emptied, "select count(*) from state_items") == 10


async def test_branches_share_what_came_before_only_when_it_costs_nothing(emptied: str) -> None:
    """A fork loads its own past, and neither branch sees the other's messages."""
    async with opened(emptied) as pool:
        places = await conversation(saver(pool), config(), 6)
        fork = saver(pool)
        found = await fork.aget_tuple(places[2])
        assert found is not None
        [branch] = await conversation(fork, places[2], 1, found.checkpoint["channel_values"]["messages"])
        values = (await loaded(pool, branch)).checkpoint["channel_values"]
        assert [message.id for message in values["messages"]] == ["m0", "m1", "m2", "m3"]
        assert len((await loaded(pool, places[5])).checkpoint["channel_values"]["messages"]) == 6
    assert value(emptied, "select count(distinct epoch) from state_items") == 2


async def test_pruning_keeps_the_latest_whole_and_the_run_can_go_on(emptied: str) -> None:
    async with opened(emptied) as pool:
        keeper, at = saver(pool), config()
        stale = await put(keeper, at, messages=[TEXT, TEXT])
        [*_, at] = await conversation(keeper, stale, 5)
        await keeper.aput_writes(stale, [("plan", PLAN)], "old")
        await keeper.aput_writes(at, [("plan", PLAN)], "new")
        before = await loaded(pool, at)
        await keeper.aprune([at["configurable"]["thread_id"]])
        assert await loaded(pool, at) == before
        assert len([found async for found in keeper.alist(at)]) == 1
        [*_, last] = await conversation(keeper, at, 2, before.checkpoint["channel_values"]["messages"])
        assert len((await loaded(pool, last)).checkpoint["channel_values"]["messages"]) == 7
    assert value(emptied, "select count(distinct epoch) from state_items") == 1
    assert value(emptied, "select count(*) from state_writes") == 1


async def test_a_copied_thread_lives_on_by_itself(emptied: str) -> None:
    async with opened(emptied) as pool:
        keeper, at = saver(pool), config("from")
        [*_, last] = await conversation(keeper, at, 5)
        await keeper.aput_writes(last, [("plan", PLAN)], "task")
        before = await loaded(pool, last)
        await keeper.acopy_thread("from", "to")
        await keeper.adelete_thread("from")
        assert await saver(pool).aget_tuple(last) is None
        copied = await loaded(pool, config("to"))
        assert (copied.checkpoint, copied.metadata) == (before.checkpoint, before.metadata)
        assert copied.pending_writes == before.pending_writes
