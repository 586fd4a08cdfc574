"""Only the attempt that owns a running run can write its checkpoints, and one run's trouble is not another's."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.serde.types import INTERRUPT

from graph.errors import FenceLost
from serving.database import Pool
from tests.integration.checkpoint_house import checkpoint, claim, compiled, config, opened, put, saver
from tests.integration.run_house import until


def execute(dsn: str, query: str, *values: Any) -> list[Any]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode(), values)
        return cursor.fetchall() if cursor.description else []


async def drained(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


def rows(dsn: str) -> int:
    return sum(
        execute(dsn, f"select count(*) from {table}")[0][0]  # noqa: S608
        for table in ("state_checkpoints", "state_values", "state_items", "state_writes")
    )


async def refused(pool: Pool, run_id: str, fence: int, thread_id: str) -> None:
    at = config(thread_id, "1ef00000-0000-6000-8000-000000000000")
    for writes in ([("plan", "x" * 300)], [(INTERRUPT, "x")]):
        with pytest.raises(FenceLost):
            await saver(pool, run_id, fence).aput_writes(at, writes, "task")
    with pytest.raises(FenceLost):
        await put(saver(pool, run_id, fence), config(thread_id), plan={"x": "y" * 300}, messages=["z" * 300])


async def test_an_attempt_writes_nothing_once_a_newer_one_has_claimed_the_run(emptied: str) -> None:
    run_id, thread_id = claim(emptied, fence=2)
    async with opened(emptied) as pool:
        await refused(pool, run_id, 1, thread_id)
        assert rows(emptied) == 0
        await put(saver(pool, run_id, 2), config(thread_id), step=1)
    assert rows(emptied) == 1


@pytest.mark.parametrize("status", ["interrupted", "pending", "success", "cancelled"])
async def test_an_attempt_writes_nothing_once_its_run_is_not_running(emptied: str, status: str) -> None:
    run_id, thread_id = claim(emptied)
    execute(emptied, "update runs set status = %s where run_id = %s", status, run_id)
    async with opened(emptied) as pool:
        await refused(pool, run_id, 1, thread_id)
    assert rows(emptied) == 0


async def test_a_claim_that_is_under_way_is_waited_for_and_then_obeyed(emptied: str) -> None:
    """The zombie's write arrives while the new claim's transaction is open: it must not slip in before or after."""
    run_id, thread_id = claim(emptied)
    async with opened(emptied) as pool, await psycopg.AsyncConnection.connect(emptied) as other:
        await other.execute("update runs set fence = 2 where run_id = %s", (run_id,))
        zombie = asyncio.create_task(put(saver(pool, run_id, 1), config(thread_id), step=1))
        await asyncio.sleep(0.2)
        assert not zombie.done()
        await other.commit()
        with pytest.raises(FenceLost):
            await zombie
    assert rows(emptied) == 0


async def test_a_run_whose_row_is_locked_holds_up_no_other(emptied: str) -> None:
    (locked, its_thread), (free, other_thread) = claim(emptied), claim(emptied)
    async with opened(emptied) as pool, await psycopg.AsyncConnection.connect(emptied) as other:
        await other.execute("select from runs where run_id = %s for update", (locked,))
        waiting = asyncio.create_task(put(saver(pool, locked, 1), config(its_thread), step=1))
        for step in range(5):
            await asyncio.wait_for(put(saver(pool, free, 1), config(other_thread), step=step), 30)
        assert not waiting.done()
        await other.rollback()
        await waiting


async def test_a_graph_ends_with_fence_lost_when_its_run_is_taken_over(emptied: str) -> None:
    run_id, thread_id = claim(emptied)
    async with opened(emptied) as pool:
        stream = compiled(saver(pool, run_id, 1)).astream({"step": 1}, config(thread_id), durability="sync")
        assert "plan" in await anext(stream)
        execute(emptied, "update runs set fence = 2 where run_id = %s", run_id)
        before = rows(emptied)
        with pytest.raises(FenceLost):
            await drained(stream)
    assert rows(emptied) == before


async def test_a_write_that_fails_fails_alone(emptied: str) -> None:
    """The same list position twice in one group: the second begins an epoch of its own, the others don't notice."""
    async with opened(emptied) as pool:
        at = config()
        first = await put(saver(pool), at, messages=["a" * 300])
        left, right, other = saver(pool), saver(pool), saver(pool)
        await asyncio.gather(left.aget_tuple(first), right.aget_tuple(first))
        made = await asyncio.gather(
            put(left, first, messages=["a" * 300, "left" * 100]),
            put(right, first, messages=["a" * 300, "right" * 100]),
            put(other, config(), step=1),
        )
        loaded = [await saver(pool).aget_tuple(one) for one in made]
    assert [one.checkpoint["channel_values"] for one in loaded if one] == [
        {"messages": ["a" * 300, "left" * 100]},
        {"messages": ["a" * 300, "right" * 100]},
        {"step": 1},
    ]


async def test_checkpoints_of_runs_that_write_together_share_commits(emptied: str) -> None:
    claims = [claim(emptied) for _ in range(64)]
    async with opened(emptied) as pool:
        savers = [saver(pool, run_id, 1) for run_id, _ in claims]
        places = [config(thread_id) for _, thread_id in claims]
        await asyncio.gather(*(put(keeper, at, step=1) for keeper, at in zip(savers, places, strict=True)))
    assert rows(emptied) == 64
    assert execute(emptied, "select count(distinct xmin::text) from state_checkpoints")[0][0] <= 7


async def test_cancelled_writers_leave_the_pool_whole(emptied: str) -> None:
    async with opened(emptied) as pool:
        for wait in range(60):
            writers = [asyncio.create_task(put(saver(pool), config(), step=at)) for at in range(5)]
            await asyncio.sleep(wait / 20_000)
            for writer in writers:
                writer.cancel()
            await asyncio.gather(*writers, return_exceptions=True)
        await asyncio.gather(*(put(saver(pool), config(), step=at) for at in range(20)))
        assert pool.get_stats().get("connections_lost", 0) == 0
        await until(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])


async def test_writing_goes_on_when_the_backend_is_killed(emptied: str) -> None:
    kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'"
    async with opened(f"{emptied}&application_name=victim") as pool:
        keeper, at = saver(pool), config()
        for step in range(30):
            if step % 15 == 0:
                killing = asyncio.create_task(asyncio.to_thread(execute, emptied, kill))
            at = await put(keeper, at, step=step, messages=["x" * 200] * (step + 1))
            await killing
        loaded = await saver(pool).aget_tuple(at)
    assert loaded is not None
    assert loaded.checkpoint["channel_values"] == {"step": 29, "messages": ["x" * 200] * 30}


async def test_run_and_fence_come_together(emptied: str) -> None:
    async with opened(emptied) as pool:
        with pytest.raises(ValueError, match="together"):
            saver(pool, claim(emptied)[0])
    assert checkpoint()["channel_values"] == {}
