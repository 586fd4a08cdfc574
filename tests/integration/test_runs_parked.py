"""Runs that wait for a person: they cost nothing, keep their thread, and are claimed when their question expires."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from graph.events import RunFinished, RunInterrupted
from serving.database import new_id
from tests.integration.run_house import House, until
from tests.integration.scripted_models import ScriptedModels


async def test_parked_runs_cost_a_worker_nothing(house: House) -> None:
    async with house.worker(ScriptedModels(), concurrency=50) as worker:
        await asyncio.gather(*(house.create(review_plan=True) for _ in range(60)))
        parked = "select count(*) from runs where status = 'interrupted'"
        busy = """select count(*) from pg_stat_activity
            where state <> 'idle' and pid <> pg_backend_pid() and datname = current_database()"""
        await until(lambda: house.execute(parked) == [(60,)])
        await until(lambda: not worker._attempts and not worker._heartbeat._held)
        await until(lambda: house.execute(busy) == [(0,)])  # it looks now and then whether there is something to do


async def test_a_parked_run_is_claimed_only_when_its_question_has_expired(house: House) -> None:
    await house.create()
    later, claim = datetime.now(UTC) + timedelta(hours=1), await house.claim()
    await house.queue.leave(claim, "interrupted", RunInterrupted(approvals=("a",)), due=later.isoformat())
    assert await house.queue.claim() == ()
    house.execute("update runs set run_at = run_at - interval '1 hour'")
    assert (await house.claim()).run_id == claim.run_id


async def test_a_run_that_has_nothing_to_wait_for_is_not_parked_for_ever(house: House) -> None:
    """Its only question expired in the moment in which it parked."""
    await house.create()
    claim = await house.claim()
    await house.queue.leave(claim, "interrupted", RunInterrupted(approvals=()), due=None)
    assert (await house.claim()).run_id == claim.run_id


async def test_a_threads_next_run_waits_for_the_parked_one(house: House) -> None:
    """Its checkpoint holds the pause; a newer run would wipe it."""
    thread = new_id()
    first, second = await house.create(thread_id=thread), await house.create(thread_id=thread)
    claim = await house.claim()
    await house.queue.leave(
        claim, "interrupted", RunInterrupted(approvals=("a",)), due=datetime(2999, 1, 1, tzinfo=UTC).isoformat()
    )
    assert await house.queue.claim() == ()
    await house.controls.cancel(first, by="ops")
    assert (await house.claim()).run_id == second


@pytest.mark.parametrize("way", ["was to start later", "has a smaller id, of a clock that was set back", "was resumed"])
async def test_a_parked_run_keeps_its_thread_from_whatever_was_there_before(
    house: House, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, now = new_id(), time.time_ns
    if way == "was to start later":
        other = await house.create(thread_id=thread, after_seconds=3600)
    elif way == "was resumed":
        other = await house.create(thread_id=thread)
        await house.queue.leave(await house.claim(), "error", RunFinished(status="error"))
    run_id = await house.create(thread_id=thread)
    claim = await house.claim()
    assert claim.run_id == run_id
    if way.startswith("has a smaller id"):
        with monkeypatch.context() as hour_back:
            hour_back.setattr(time, "time_ns", lambda: now() - 3600 * 10**9)
            other = await house.create(thread_id=thread)
        assert other < run_id
    far = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
    await house.queue.leave(claim, "interrupted", RunInterrupted(approvals=("a",)), due=far)
    if way == "was resumed":
        await house.controls.resume(other, by="ops")
    house.execute("update runs set run_at = now() where run_id = %s and run_at is not null", other)
    assert await house.queue.claim() == ()
    house.execute("update runs set run_at = now() where run_id = %s", run_id)
    again = await house.claim()
    assert again.run_id == run_id, "its question has expired: they don't wait for each other"
    await house.queue.leave(again, "success", RunFinished(status="success"))
    assert (await house.claim()).run_id == other


async def test_a_cancel_that_comes_while_a_run_parks_is_not_lost(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    await house.controls.cancel(run_id, by="ops")
    due = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
    await house.queue.leave(claim, "interrupted", RunInterrupted(approvals=("a",)), due=due)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "cancelled"
