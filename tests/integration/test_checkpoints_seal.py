"""A row is read only where this saver put it: not another thread's, not another tenant's, not changed, not forged."""

from typing import Any

import psycopg
import pytest

from serving.database import Pool
from serving.runs.checkpoints.errors import CheckpointRefused
from tests.integration.checkpoint_house import config, opened, put, saver

TABLES = ("state_checkpoints", "state_values", "state_items", "state_writes")
LONG = "x" * 300


def execute(dsn: str, query: str, *values: Any) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode(), values).rowcount


async def filled(pool: Pool, thread_id: str, text: str, **options: Any) -> Any:
    """A checkpoint with a row in each table."""
    keeper = saver(pool, **options)
    at = await put(keeper, config(thread_id, None), goal=text * 10, messages=[text, LONG], step=1)
    await keeper.aput_writes(at, [("plan", text)], "task")
    return at


async def refused(pool: Pool, at: Any, **options: Any) -> None:
    with pytest.raises(CheckpointRefused):
        await saver(pool, **options).aget_tuple(at)


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_of_another_thread_is_refused(emptied: str, table: str) -> None:
    async with opened(emptied) as pool:
        mine, theirs = await filled(pool, "mine", "a" * 40), await filled(pool, "theirs", "b" * 40)
        swap = f"update {table} m set sealed = t.sealed from {table} t where m.thread_id = 'mine' and t.thread_id = 'theirs'"  # noqa: E501, S608
        assert execute(emptied, swap) == 1
        await refused(pool, mine)
        assert await saver(pool).aget_tuple(theirs)


async def test_a_whole_checkpoint_that_is_moved_to_another_thread_is_refused(emptied: str) -> None:
    async with opened(emptied) as pool:
        await filled(pool, "theirs", "b" * 40)
        for table in TABLES:
            execute(emptied, f"update {table} set thread_id = 'mine'")  # noqa: S608
        await refused(pool, config("mine"))


@pytest.mark.parametrize("table", TABLES)
async def test_a_row_of_another_tenant_is_refused_and_not_found_by_itself(emptied: str, table: str) -> None:
    async with opened(emptied) as pool:
        at = await filled(pool, "thread", "a" * 40, tenant="other")
        assert await saver(pool).aget_tuple(at) is None
        assert [found async for found in saver(pool).alist(None)] == []
        await filled(pool, "thread", "b" * 40)
        swap = (
            f"update {table} m set sealed = t.sealed from {table} t where m.tenant = 'default' and t.tenant = 'other'"  # noqa: S608
        )
        assert execute(emptied, swap) == 1
        await refused(pool, config("thread"))


@pytest.mark.parametrize("table", TABLES)
async def test_a_changed_byte_is_refused_wherever_it_is(emptied: str, table: str) -> None:
    async with opened(emptied) as pool:
        at = await filled(pool, "thread", "a" * 40)
        for place in (0, 15, 16, 30):
            change = f"update {table} set sealed = set_byte(sealed, %s, get_byte(sealed, %s) # 1)"  # noqa: S608
            execute(emptied, change, place, place)
            await refused(pool, at)
            execute(emptied, change, place, place)
        assert await saver(pool).aget_tuple(at)


@pytest.mark.parametrize(
    "change",
    [
        "update state_checkpoints set refs = replace(refs, '2]', '1]')",
        "update state_checkpoints set refs = '{}'",
        "update state_checkpoints set parent_id = 'another'",
        "update state_items set items = 1",
        "update state_writes set channel = 'goal'",
        "update state_writes set index = 5",
        "update state_writes set task_id = 'other'",
        "delete from state_items",
        "delete from state_values",
    ],
)
async def test_a_changed_column_or_a_missing_row_is_refused(emptied: str, change: str) -> None:
    async with opened(emptied) as pool:
        at = await filled(pool, "thread", "a" * 40)
        assert execute(emptied, change) == 1
        await refused(pool, at)


async def test_another_key_reads_nothing(emptied: str) -> None:
    async with opened(emptied) as pool:
        at = await filled(pool, "thread", "a" * 40)
        await refused(pool, at, key=b"another")
