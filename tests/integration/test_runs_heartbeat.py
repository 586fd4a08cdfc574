"""Leases beside the event loop: kept while it is busy, lost when it is stuck, never renewed once they have ended."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph.ports import ModelCall, ModelReply
from serving.runs.attempts.heartbeat import EXIT_START_AGAIN, Heartbeat
from serving.runs.queue import Claim
from tests.integration.run_house import House, gapless, kinds, until
from tests.integration.scripted_models import ScriptedModels, Turn, finds_and_reports
from tests.integration.worker_process import WorkerProcess, wait_for
from tests.quickest import quickest

LEASE_S = 2.5


class Told:
    """What a heartbeat tells whoever holds the leases."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.lost_at = 0.0
        self.cancelled: set[str] = set()
        self.paused: set[str] = set()

    def lose(self, run_id: str, fence: int) -> None:
        self.lost.add(run_id)
        self.lost_at = time.monotonic()

    def cancel(self, run_id: str, fence: int) -> None:
        self.cancelled.add(run_id)

    def pause(self, run_id: str, fence: int) -> None:
        self.paused.add(run_id)

    def end_children(self, run_id: str, fence: int) -> None: ...

    def end(self) -> None:
        raise AssertionError("this process never stood still")


@asynccontextmanager
async def beating(house: House, *claims: Claim, dsn: str = "") -> AsyncIterator[Told]:
    told = Told()
    heartbeat = Heartbeat(dsn or house.dsn, house.queue.worker, house.queue.lease_s, beat_s=0.1, stall_s=60)
    for claim in claims:
        heartbeat.hold(claim)
    ticking = asyncio.create_task(heartbeat.tick())
    heartbeat.start(told)
    try:
        yield told
    finally:
        await heartbeat.stop()
        ticking.cancel()


@pytest.fixture
async def short(house: House) -> House:
    """The house with leases of LEASE_S."""
    house.queue.lease_s = LEASE_S
    return house


def leases(house: House) -> dict[str, Any]:
    return dict(house.execute("select run_id::text, lease_until from runs"))


async def beat(house: House, *claims: Claim) -> None:
    """Until the leases of all of them have been renewed once more."""
    before = leases(house)
    await until(lambda: all(leases(house)[claim.run_id] > before[claim.run_id] for claim in claims))


def ends_in_s(house: House, run_id: str) -> float:
    """How long a run's lease still lasts."""
    left = house.execute("select extract(epoch from lease_until - now()) from runs where run_id = %s", run_id)[0][0]
    return float(left)


async def claims(house: House, count: int) -> tuple[Claim, ...]:
    for _ in range(count):
        await house.create()
    return tuple([await house.claim() for _ in range(count)])


async def test_a_lease_that_has_ended_or_that_another_attempt_holds_is_not_renewed(house: House) -> None:
    over, taken, free = await claims(house, 3)
    over_since = "update runs set lease_until = now() - interval '1 millisecond' where run_id = %s"
    house.execute(over_since, over.run_id)  # although nobody took the run
    house.execute("update runs set fence = fence + 1 where run_id = %s", taken.run_id)
    before = leases(house)
    async with beating(house, over, taken, free) as told:
        await beat(house, free)
        await until(lambda: told.lost == {over.run_id, taken.run_id})
    after = leases(house)
    assert [after[each.run_id] - before[each.run_id] for each in (over, taken)] == [timedelta()] * 2


async def test_leases_are_renewed_and_a_run_whose_row_is_held_by_somebody_costs_no_other_its_lease(
    house: House,
) -> None:
    held, *free = await claims(house, 3)
    held.lease.until -= house.queue.lease_s - 1
    async with beating(house, held, *free) as told:
        with psycopg.connect(house.dsn) as connection:
            connection.execute("select 1 from runs where run_id = %s for update", (held.run_id,))
            await beat(house, *free)
            await until(lambda: bool(told.lost))
            await beat(house, *free)
    assert told.lost == {held.run_id}


async def test_a_cut_connection_is_made_again(house: House) -> None:
    await house.create()
    claim = await house.claim()
    cut = """select pg_terminate_backend(pid) from pg_stat_activity
        where query like '%%unnest%%held%%' and pid <> pg_backend_pid()"""
    async with beating(house, claim) as told:
        for _ in range(2):
            await beat(house, claim)
            assert (True,) in house.execute(cut)
        await beat(house, claim)
    assert not told.lost


async def test_a_lease_that_can_not_be_renewed_is_given_up_when_it_ends(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    claim.lease.until -= house.queue.lease_s - 1
    async with beating(house, claim, dsn="postgresql:///nothing?host=/nowhere") as told:
        await until(lambda: told.lost == {run_id})
    assert told.lost_at >= claim.lease.until


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def once(turn: Callable[[], None]) -> tuple[Turn, asyncio.Event]:
    """A step's turn that does something which blocks the loop, the first time."""
    reached = asyncio.Event()

    async def blocking(call: ModelCall) -> ModelReply:
        if not reached.is_set():
            reached.set()
            turn()
        return await finds_and_reports(call)

    return blocking, reached


async def test_a_node_that_computes_for_longer_than_the_lease_keeps_its_run(short: House) -> None:
    left: list[float] = []

    def computes() -> None:
        over = time.monotonic() + 1.4 * LEASE_S
        watching = beside(lambda: left.extend(ends_in_s(short, run_id) for _ in range(22) if not time.sleep(0.12)))  # type: ignore[func-returns-value]
        while time.monotonic() < over:
            sum(range(1_000))
        watching.join()

    turn, _ = once(computes)
    async with short.worker(ScriptedModels(worker=turn)):
        run_id = await short.create()
        assert (await short.ended(run_id)).status == "success"
    assert min(left) > 0
    assert len(left) == 22
    assert len(await short.bodies(run_id, "run_claimed")) == 1


async def test_a_cancel_ends_a_run_within_a_second_although_its_node_blocks_the_loop(house: House) -> None:
    async def cancelled_after_s() -> float:
        took: list[float] = []

        def cancels() -> None:
            time.sleep(0.3)
            begun = time.monotonic()
            house.execute("update runs set cancel_requested = true where run_id = %s", run_id)
            wait_for(house.dsn, "select not exists (select from runs where status = 'running')")
            took.append(time.monotonic() - begun)

        turn, _ = once(lambda: beside(cancels).join())
        async with house.worker(ScriptedModels(worker=turn)):
            run_id = await house.create()
            assert (await house.ended(run_id)).status == "cancelled"
            assert (await house.ended(await house.create())).status == "success", "the worker lives on"
        events = await house.events(run_id)
        assert gapless(events)
        assert kinds(events).count("run_finished") == 1, "what the attempt did afterwards was refused"
        return took[0]

    assert await quickest(cancelled_after_s, 1.2) < 1.2


async def test_a_stuck_loop_loses_its_run_and_its_process_ends(house: House, tmp_path: Path) -> None:
    process = WorkerProcess(
        house.dsn, tmp_path, tmp_path / "effects", "blocks", lease_s=2.0, beat_s=0.2, stall_s=1.5
    ).start()
    run_id = await house.create()
    await asyncio.to_thread(wait_for, house.dsn, "select last_seq > 5 and status = 'running' from runs")
    # Though its loop is stuck: the lease that it had then ends earlier.
    renewed = "select lease_until > (select max(at) from run_events) + interval '2.2 seconds' from runs"
    await asyncio.to_thread(wait_for, house.dsn, renewed)
    async with house.worker(ScriptedModels()):
        assert (await house.ended(run_id)).status == "success"
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == EXIT_START_AGAIN


async def test_a_process_that_was_stopped_past_its_lease_changes_nothing_and_ends(house: House, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    process = WorkerProcess(house.dsn, tmp_path, effects, takes_s=1.5, lease_s=LEASE_S, beat_s=0.2).start()
    runs = [await house.create() for _ in range(4)]
    assert process.pid is not None
    await asyncio.to_thread(wait_for, house.dsn, "select count(*) = 4 from runs where status = 'running'")
    os.kill(process.pid, signal.SIGSTOP)
    async with house.worker(ScriptedModels()):
        views = [await house.ended(run_id) for run_id in runs]
        assert {view.status for view in views} == {"success"}
        before = [await house.events(run_id) for run_id in runs]
        os.kill(process.pid, signal.SIGCONT)
        await asyncio.to_thread(process.join, 60)
    assert process.exitcode == EXIT_START_AGAIN
    assert [await house.events(run_id) for run_id in runs] == before
