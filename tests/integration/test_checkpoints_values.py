"""What a checkpoint carries, refuses by name, and is found by."""

import gc

import pytest
from langchain_core.messages import HumanMessage

from serving.runs.checkpoints.errors import NotCarried
from tests.integration.checkpoint_house import checkpoint, config, opened, put, saver

VALUES = {"nul": "a\x00", "alone": "\ud800" * 40, "nan": [float("inf"), -0.0], "big": 10**400, "pair": (1, {2, 3})}


async def test_values_that_stop_or_change_in_the_stock_saver_are_carried(emptied: str) -> None:
    at = config()
    async with opened(emptied) as pool:
        stored = await put(saver(pool), at, **VALUES)
        await saver(pool).aput_writes(stored, list(VALUES.items()), "task")
        loaded = await saver(pool).aget_tuple(at)
    assert loaded is not None
    assert loaded.checkpoint["channel_values"] == VALUES
    assert [(channel, value) for _, channel, value in loaded.pending_writes or []] == list(VALUES.items())


async def test_ten_megabytes_are_carried(emptied: str) -> None:
    text = "ab\x00\u00e9 " * 2_000_000
    async with opened(emptied) as pool:
        at = await put(saver(pool), config(), result=text, messages=[HumanMessage(text)])
        loaded = await saver(pool).aget_tuple(at)
    assert loaded is not None
    assert loaded.checkpoint["channel_values"] == {"result": text, "messages": [HumanMessage(text)]}


async def test_a_value_that_is_not_carried_is_refused_and_named(emptied: str) -> None:
    async with opened(emptied) as pool:
        with pytest.raises(NotCarried, match=r"channel plan: steps\[1\] is of type builtins.object"):
            await put(saver(pool), config(), plan={"steps": [1, object()]})
        with pytest.raises(NotCarried, match="write to channel plan"):
            await saver(pool).aput_writes(config("t", "c"), [("plan", {"x": object()})], "task")
        gc.collect()
        assert await saver(pool).aget_tuple(config("t")) is None


@pytest.mark.parametrize("thread_id", ["a\x00b", "\ud800", "x" * 10_000], ids=["nul", "surrogate", "long"])
async def test_a_thread_id_that_postgres_cant_hold_is_refused(emptied: str, thread_id: str) -> None:
    async with opened(emptied) as pool:
        with pytest.raises(NotCarried, match="thread id"):
            await put(saver(pool), config(thread_id), step=1)
        with pytest.raises(NotCarried, match="thread id"):
            await saver(pool).aget_tuple(config(thread_id))


async def test_metadata_filters_are_data_never_sql(emptied: str) -> None:
    async with opened(emptied) as pool:
        keeper = saver(pool)
        at = config()
        await keeper.aput(at, checkpoint(), {"source": "loop", "step": 1, "it's": "x' or '1'='1"}, {})  # type: ignore[typeddict-unknown-key]
        hit = [found async for found in keeper.alist(at, filter={"it's": "x' or '1'='1"})]
        miss = [found async for found in keeper.alist(at, filter={"' or true --": 1})]
    assert (len(hit), len(miss)) == (1, 0)


async def test_history_goes_over_pages_and_stops_at_its_limit(emptied: str) -> None:
    async with opened(emptied) as pool:
        keeper, at = saver(pool), config()
        stored = [await put(keeper, at, step=step) for step in range(45)]
        everything = [found.config async for found in keeper.alist(at)]
        some = [found.config async for found in keeper.alist(at, before=stored[40], limit=30)]
    assert everything == stored[::-1]
    assert some == stored[39:9:-1]
