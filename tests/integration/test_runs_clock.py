"""The database's clock jumps by an hour, either way: the real statements, with now() overlaid in this database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from graph.errors import FenceLost
from graph.events import RunFinished
from memory.store import MemoryStore
from serving.runs.attempts.heartbeat import Heartbeat
from tests.integration.run_house import House, gapless, kinds, open_house
from tests.integration.scripted_models import ScriptedModels, after, finds_and_reports

_OVERLAY = """
create schema clock;
create table clock.jump (by interval not null);
insert into clock.jump values ('0');
create function clock.now() returns timestamptz language sql stable as 'select pg_catalog.now() + by from clock.jump';
create function clock.clock_timestamp() returns timestamptz language sql volatile
    as 'select pg_catalog.clock_timestamp() + by from clock.jump';
grant usage on schema clock to public;
grant select on clock.jump to public;
"""
_SEEN_FIRST = "&options=-csearch_path%3Dclock%2Cpublic%2Cpg_catalog"


@pytest.fixture
async def house(database: str, runs_memory: MemoryStore, tmp_path: Path) -> AsyncIterator[House]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_OVERLAY.encode())
    async with open_house(database + _SEEN_FIRST, tmp_path, runs_memory) as house:
        yield house


def jump(house: House, by: str) -> None:
    house.execute("update clock.jump set by = %s::interval", by)


@pytest.mark.parametrize("by", ["1 hour", "-1 hour"])
async def test_leases_lapse_when_the_clock_jumps_and_fences_keep_the_old_attempts_out(house: House, by: str) -> None:
    run_id = await house.create()
    old = await house.claim()
    assert await house.queue.claim() == ()
    jump(house, by)
    new = await house.claim()
    assert (new.run_id, new.fence) == (run_id, 2)
    assert await house.queue.claim() == (), "the new lease counts"
    with pytest.raises(FenceLost):
        await house.queue.leave(old, "success", RunFinished(status="success"))
    await house.executor(ScriptedModels()).attempt(new)
    assert (await house.store.get(run_id)).status == "success"


async def test_new_runs_start_at_once_although_the_clock_went_back(house: House) -> None:
    before = await house.create()
    jump(house, "-1 hour")
    behind = await house.create()
    assert {claim.run_id for claim in await house.queue.claim(5)} == {before, behind}


@pytest.mark.parametrize("by", ["1 hour", "-1 hour"])
async def test_runs_under_way_finish_although_the_clock_jumps(house: House, by: str) -> None:
    models = ScriptedModels(worker=after(0.3, finds_and_reports))
    async with house.worker(models):
        runs = [await house.create() for _ in range(3)]
        for run_id in runs:
            await house.until(run_id, lambda view: view.plan is not None)
        jump(house, by)
        for run_id in runs:
            assert (await house.ended(run_id)).status == "success"
            events = await house.events(run_id)
            assert gapless(events)
            assert kinds(events).count("run_finished") == 1


async def test_a_heartbeat_renews_no_lease_that_the_jump_has_ended(house: House) -> None:
    await house.create()
    claim = await house.claim()
    claim.lease.until += 3_600  # by its own clock it lasts
    lost = asyncio.Event()

    class Told:
        def lose(self, run_id: str, fence: int) -> None:
            lost.set()

        def cancel(self, run_id: str, fence: int) -> None: ...

        def pause(self, run_id: str, fence: int) -> None: ...

        def end_children(self, run_id: str, fence: int) -> None: ...

        def end(self) -> None: ...

    heartbeat = Heartbeat(house.dsn, house.queue.worker, 10.0, beat_s=0.1, stall_s=60)
    heartbeat.hold(claim)
    jump(house, "1 hour")
    heartbeat.start(Told())
    await asyncio.wait_for(lost.wait(), 60)
    await heartbeat.stop()
    assert (await house.claim()).fence == 2
