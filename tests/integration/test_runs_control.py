"""Pause, resume, cancel: what a person says is heard once, and costs no work that is done."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from psycopg import AsyncConnection

from serving.errors import ServingError
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup, code_of, gapless, kinds, until
from tests.integration.scripted_models import Gate, ScriptedModels, plans
from tests.integration.standing_runs import APPROVE, go_on, parked, paused_in


async def test_a_pending_run_is_paused_at_once_and_waits_until_it_is_resumed(house: House) -> None:
    run_id = await house.create()
    view = await house.controls.pause(run_id, by="ann")
    assert (view.status, view.phase) == ("interrupted", "paused")
    assert await house.queue.claim() == ()
    view = await go_on(house, run_id, ScriptedModels())
    assert view.status == "success"
    said = kinds(await house.events(run_id))
    assert said[:4] == ["run_created", "run_paused", "run_resumed", "run_claimed"]
    assert [body.by for body in await house.bodies(run_id, "run_paused")] == ["ann"]


async def test_a_running_run_stops_at_the_end_of_its_superstep_and_repeats_nothing(house: House) -> None:
    gate, lookup = Gate(), Lookup()
    models = ScriptedModels(planner=plans("s1", "s2<s1"), worker=gate)
    async with house.worker(models, lookup):
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        assert (await house.controls.pause(run_id, by="ann")).phase == "pausing"
        await asyncio.sleep(0.1)
        assert (await house.store.get(run_id)).phase == "pausing", "it does not break off what is under way"
        gate.open()
        view = await house.until(run_id, lambda view: view.phase == "paused")
        assert [step.step_id for step in view.steps] == ["s1"]
        calls = len(models.calls)
        await asyncio.sleep(0.2)
        assert len(models.calls) == calls
        await house.controls.resume(run_id, by="ann")
        view = await house.ended(run_id)
    assert (view.status, view.error) == ("success", None)
    assert lookup.asked == ["s1 s1", "s2 s2"]
    assert Counter(call.task.role for call in models.calls) == {"planner": 1, "worker": 4, "critic": 1, "writer": 1}
    events = await house.events(run_id)
    assert gapless(events)
    assert [kind for kind in kinds(events) if "pause" in kind or "resume" in kind] == [
        "pause_requested", "run_paused", "run_resumed",
    ]  # fmt: skip


async def test_a_pause_is_heard_though_its_notice_is_lost(house: House) -> None:
    gate = Gate()
    async with house.worker(ScriptedModels(worker=gate)) as worker:
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        house.execute("update runs set paused_by = 'ann'")
        await until(lambda: worker._attempts[run_id].control.drain_requested)
        gate.open()
        await house.until(run_id, lambda view: view.phase == "paused")


async def test_the_time_in_which_a_run_is_paused_does_not_count(house: House) -> None:
    view = await paused_in(house, "planner", ScriptedModels(), bounds={"seconds": 60})
    house.execute("set session_replication_role = replica; update run_events set at = at - interval '1 hour'")
    view = await go_on(house, view.run_id, ScriptedModels())
    assert (view.status, view.partial) == ("success", False)


async def test_a_pause_outlives_the_worker_that_should_have_made_it(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    await house.controls.pause(run_id, by="ann")
    await house.queue.release(claim)  # as when it was killed
    models = ScriptedModels()
    await house.executor(models).attempt(await house.claim())
    assert (await house.store.get(run_id)).phase == "paused"
    assert models.calls == []
    assert (await go_on(house, run_id, models)).status == "success"


async def test_what_cannot_be_paused_says_why(house: House) -> None:
    waiting = await parked(house)
    assert await code_of(house.controls.pause(waiting, by="x")) == "waits_for_decision"
    assert (await house.controls.cancel(waiting, by="x")).status == "cancelled"
    assert await code_of(house.controls.pause(waiting, by="x")) == "run_ended"
    run_id = await house.create()
    await house.controls.pause(run_id, by="x")
    assert await code_of(house.controls.pause(run_id, by="x")) == "already_paused"
    await house.controls.resume(run_id, by="x")
    await house.claim()
    await house.controls.pause(run_id, by="x")
    assert await code_of(house.controls.pause(run_id, by="x")) == "already_paused"
    assert await code_of(house.controls.resume(run_id, by="x")) == "not_resumable"
    assert kinds(await house.events(run_id)).count("pause_requested") == 1


async def test_a_paused_run_keeps_its_thread(house: House) -> None:
    view = await paused_in(house, "planner", ScriptedModels())
    assert await code_of(house.create(thread_id=view.thread_id)) == "thread_waiting"


async def test_a_run_is_cancelled_paused_and_woken_by_one_statement_each(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status and log line; what a person's word has to fit to is looked at before."""
    written: list[str] = []
    execute = AsyncConnection.execute

    def noted(self: AsyncConnection[Any], query: Any, *more: Any, **options: Any) -> Any:
        if "update runs" in str(query) or "append_events" in str(query):
            written.append(str(query))
        return execute(self, query, *more, **options)

    run_id = await house.create()
    monkeypatch.setattr(AsyncConnection, "execute", noted)
    for said in (house.controls.pause, house.controls.resume, house.controls.cancel, house.controls.resume):
        written.clear()
        view = await said(run_id, "ann")
        assert len(written) == 1, written
    assert view.status == "pending"
    assert kinds(await house.events(run_id))[1:] == [
        "run_paused", "run_resumed", "cancel_requested", "run_finished", "run_resumed",
    ]  # fmt: skip


async def test_a_cancel_wins_over_a_pause(house: House) -> None:
    run_id = await house.create()
    await house.controls.pause(run_id, by="ann")
    assert (await house.controls.cancel(run_id, by="ann")).status == "cancelled"
    both = await house.create()
    claim = await house.claim()
    await house.controls.pause(both, by="ann")
    await house.controls.cancel(both, by="ann")
    await house.queue.pause(claim)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert (await house.store.get(both)).status == "cancelled"


async def test_a_pause_that_meets_a_question_holds_when_it_is_answered(house: House) -> None:
    run_id, models = await house.create(review_plan=True), ScriptedModels()
    claim = await house.claim()
    await house.controls.pause(run_id, by="ann")
    await house.executor(models).attempt(claim)
    view = await house.store.get(run_id)
    assert (view.phase, len(view.approvals)) == ("waiting_for_human", 1)
    await house.decisions.decide(run_id, "plan-1", APPROVE)
    await house.executor(models).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.phase, view.approvals) == ("paused", ())
    assert (await go_on(house, run_id, models)).status == "success"


async def test_of_three_hundred_resumes_at_once_one_is_heard(house: House) -> None:
    view = await paused_in(house, "planner", ScriptedModels())
    answers = await asyncio.gather(
        *(house.controls.resume(view.run_id, by=f"p{n}") for n in range(300)), return_exceptions=True
    )
    assert sum(isinstance(answer, RunView) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, ServingError)} == {"not_resumable"}
    assert kinds(await house.events(view.run_id)).count("run_resumed") == 1
    await house.claim()
    assert await house.queue.claim() == ()
