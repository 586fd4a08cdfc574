"""A run whose process died again and again may be what kills it: nothing else is to die beside it."""

import asyncio

import pytest

from tests.integration.run_house import House
from tests.integration.scripted_models import Gate, ScriptedModels


async def fallen(house: House, times: int, *, seconds_ago: int = 0) -> str:
    """A run whose worker has died as often."""
    run_id = await house.create()
    house.execute(
        "update runs set status = 'running', worker = 'gone', fence = %s, attempts = %s,"
        " lease_until = now() - make_interval(secs => %s) where run_id = %s",
        times,
        times,
        seconds_ago,
        run_id,
    )
    return run_id


async def claimed(house: House, *, idle: bool) -> list[str]:
    return [claim.run_id for claim in await house.queue.claim(10, idle=idle)]


async def test_it_waits_for_a_worker_that_holds_nothing_and_comes_alone(house: House) -> None:
    often, as_often = await fallen(house, 6), await fallen(house, 6)
    seldom, new = await fallen(house, 5), await house.create()
    assert await claimed(house, idle=False) == [seldom, new]
    newer = await house.create()
    assert [await claimed(house, idle=True) for _ in range(3)] == [[often], [as_often], [newer]]


async def test_it_waits_no_longer_than_a_minute(house: House) -> None:
    run_id, new = await fallen(house, 6, seconds_ago=61), await house.create()
    assert [await claimed(house, idle=False) for _ in range(2)] == [[run_id], [new]]


@pytest.mark.parametrize("alone_s", [60.0, 0.0])
async def test_nothing_is_started_beside_it_at_first(
    house: House, monkeypatch: pytest.MonkeyPatch, alone_s: float
) -> None:
    monkeypatch.setattr("serving.runs.attempts.worker.ALONE_S", alone_s)
    run_id, gate = await fallen(house, 6), Gate()
    async with house.worker(ScriptedModels(worker=gate), concurrency=2):
        await asyncio.wait_for(gate.reached.wait(), 30)
        other = await house.create()
        if alone_s:
            await asyncio.sleep(1)
        else:
            await house.until(other, lambda view: view.status == "running")
        assert (await house.store.get(other)).status == ("pending" if alone_s else "running")
        gate.open()
        assert {(await house.ended(each)).status for each in (run_id, other)} == {"success"}
