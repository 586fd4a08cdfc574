"""Subscriptions of one connection tell in the order of the stream."""

import asyncio
from collections.abc import Sequence

import pytest

from serving.api.thread_streams import in_step
from serving.api.thread_streams.in_step import InStep


async def tell(steps: InStep, name: str, seqs: Sequence[int], told: list[int], pause_s: float = 0.0) -> None:
    for seq in seqs:
        await asyncio.sleep(pause_s)
        await steps.turn(name, seq)
        told.append(seq)
    steps.reached(name, 1_000)


async def test_what_several_tell_goes_out_in_order() -> None:
    steps, told = InStep(), list[int]()
    for name in ("a", "b", "c"):
        steps.reached(name, 0)
    await asyncio.gather(
        tell(steps, "a", [1, 4, 7], told),
        tell(steps, "b", [2, 3, 4, 9], told, pause_s=0.01),
        tell(steps, "c", [5, 8], told, pause_s=0.002),
    )
    assert told == [1, 2, 3, 4, 4, 5, 7, 8, 9]


async def test_one_that_comes_later_catches_up_first() -> None:
    steps, told = InStep(), list[int]()
    steps.reached("a", 0)
    await tell(steps, "a", [1, 2], told)
    steps.reached("late", 0)
    await asyncio.gather(tell(steps, "a", [1_001], told), tell(steps, "late", [1, 2], told, pause_s=0.01))
    assert told == [1, 2, 1, 2, 1_001]


async def test_nobody_waits_for_one_that_left() -> None:
    steps, told = InStep(), list[int]()
    steps.reached("gone", 0)
    waiting = asyncio.create_task(tell(steps, "a", [5], told))
    await asyncio.sleep(0.01)
    assert told == []
    steps.left("gone")
    await waiting
    assert told == [5]


async def test_one_that_stands_still_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_step, "_MOST_S", 0.3)
    steps, told = InStep(), list[int]()
    steps.reached("still", 0)
    async with asyncio.timeout(20):
        await tell(steps, "a", range(5, 105), told)
    assert told == list(range(5, 105))
