"""A real worker beside the test: it claims, keeps its leases, stops what it must, hands back what it can't finish."""

import asyncio
import gc
import time
import weakref
from datetime import UTC, datetime

import pytest

from graph.ports import ApprovalDecision, ModelCall, ModelReply
from graph.state import Plan
from serving.runs.attempts.heartbeat import Heartbeat
from serving.runs.attempts.worker import Worker
from serving.runs.log import AttemptLog
from serving.runs.queue import Queue
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup, gapless, kinds, until
from tests.integration.scripted_models import (
    ACCEPT,
    REPLAN,
    Gate,
    ScriptedModels,
    finds_and_reports,
    plans,
    revise,
    rules,
)
from tests.quickest import quickest


def waits(view: RunView) -> bool:
    return view.status == "interrupted"


def working(view: RunView) -> bool:
    return view.plan is not None and view.status == "running"


async def test_a_run_is_done_by_a_worker_that_was_idle(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runs.attempts.worker._POLL_S", 60.0)  # a notice wakes it, not the poll
    async with house.worker(ScriptedModels()):
        await asyncio.sleep(0.2)
        view = await house.ended(await house.create())
    assert (view.status, view.answer) == ("success", "It is 42 [1].")


@pytest.mark.parametrize(("review_plan", "status"), [(False, "success"), (True, "interrupted")])
async def test_a_run_that_ended_or_waits_takes_no_memory(house: House, review_plan: bool, status: str) -> None:
    logs: list[weakref.ref[AttemptLog]] = []

    def noted(log: AttemptLog) -> AttemptLog:
        logs.append(weakref.ref(log))
        return log

    run_id, claim = await house.create(review_plan=review_plan), await house.claim()
    gc.disable()  # which comes by at some time: nothing may wait for it
    try:
        await house.executor(ScriptedModels(), log=noted).attempt(claim)
        await until(lambda: not any(log() for log in logs))
    finally:
        gc.enable()
    assert (len(logs), (await house.store.get(run_id)).status) == (1, status)


async def test_a_running_run_is_cancelled_within_a_second(house: House) -> None:
    async def cancelled_after_s() -> float:
        gate = Gate()
        async with house.worker(ScriptedModels(worker=gate)):
            run_id = await house.create()
            await asyncio.wait_for(gate.reached.wait(), 30)
            begun = time.monotonic()
            assert (await house.controls.cancel(run_id, by="ops")).status == "running"
            view = await house.ended(run_id)
            took = time.monotonic() - begun
            assert view.status == "cancelled"
            other = await house.create()
            gate.open()
            assert (await house.ended(other)).status == "success", "the worker lives on"
        events = await house.events(run_id)
        assert gapless(events)
        assert kinds(events)[-2:] == ["cancel_requested", "run_finished"]
        return took

    assert await quickest(cancelled_after_s, 1.0) < 1.0


async def test_a_cancel_that_comes_before_the_attempt_has_begun_ends_the_run(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    async with house.worker(ScriptedModels()) as worker:
        worker._start(claim)
        worker.cancel(run_id)
        assert (await house.ended(run_id)).status == "cancelled"


async def test_a_cancel_without_a_notice_comes_through_with_the_next_heartbeat(house: House) -> None:
    gate = Gate()
    async with house.worker(ScriptedModels(worker=gate)):
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        house.execute("update runs set cancel_requested = true where run_id = %s", run_id)
        assert (await house.ended(run_id)).status == "cancelled"


async def test_a_plan_is_carried_out_when_a_person_approves_it(house: House) -> None:
    async with house.worker(ScriptedModels(planner=plans("s1", "s2"))):
        run_id = await house.create(review_plan=True)
        view = await house.until(run_id, waits)
        assert (view.phase, view.usage.model_calls, view.steps) == ("waiting_for_human", 1, ())
        asked = view.approvals[0]
        assert (asked.approval_id, asked.approval_kind) == ("plan-1", "plan")
        assert view.plan is not None
        assert asked.arguments == view.plan.model_dump(mode="json")
        await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
        view = await house.ended(run_id)
    assert (view.status, len(view.steps)) == ("success", 2)
    decided = (await house.bodies(run_id, "approval_decided"))[0]
    assert (decided.decision, decided.by) == ("approve", "ops")


async def test_an_edited_plan_is_the_one_that_is_carried_out(house: House) -> None:
    edited = Plan.model_validate(
        {"steps": [{"id": "s7", "goal": "Only this", "depends_on": [], "done_when": "it is done"}]}
    ).model_dump(mode="json")
    models = ScriptedModels(planner=plans("s1", "s2"))
    async with house.worker(models):
        run_id = await house.create(review_plan=True)
        await house.until(run_id, waits)
        await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="edit", arguments=edited, by="ops"))
        view = await house.ended(run_id)
    assert [step.step_id for step in view.steps] == ["s7"]
    assert view.plan is not None
    assert view.plan.model_dump(mode="json") == edited
    assert [body.by for body in await house.bodies(run_id, "plan_edited")] == ["ops"]
    assert len(models.by("planner")) == 1
    assert "Only this" in str(models.by("critic")[0].messages)


async def test_a_rejected_plan_is_made_again_with_the_reason_and_costs_no_critic_round(house: House) -> None:
    """Three times over, with three critic rounds allowed: a person's no is not the critic's."""
    models = ScriptedModels(critic=rules(*[revise("s1")] * 4, ACCEPT))
    async with house.worker(models):
        run_id = await house.create(review_plan=True)
        for round_ in range(1, 4):
            view = await house.until(run_id, lambda v, r=round_: waits(v) and v.approvals[0].approval_id == f"plan-{r}")  # type: ignore[misc]
            assert len(view.approvals) == 1
            decision = ApprovalDecision(type="reject", reason=f"too thin, {round_}", by="ops")
            await house.decisions.decide(run_id, f"plan-{round_}", decision)
        await house.until(run_id, lambda v: waits(v) and v.approvals[0].approval_id == "plan-4")
        await house.decisions.decide(run_id, "plan-4", ApprovalDecision(type="approve", by="ops"))
        view = await house.ended(run_id)
    assert view.status == "success"
    instructions = [str(call.messages[-1].content) for call in models.by("planner")]
    assert [f"too thin, {n}" in instructions[n] for n in range(1, 4)] == [True] * 3
    assert len(models.by("critic")) == 2, "revised once, then accepted"
    assert not view.partial


async def test_a_second_plan_of_a_reviewed_run_is_asked_for_as_well(house: House) -> None:
    async with house.worker(ScriptedModels(critic=rules(REPLAN, ACCEPT))):
        run_id = await house.create(review_plan=True)
        await house.until(run_id, waits)
        await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
        view = await house.until(run_id, lambda v: waits(v) and v.approvals[0].approval_id == "plan-2")
        await house.decisions.decide(run_id, "plan-2", ApprovalDecision(type="approve", by="ops"))
        assert (await house.ended(run_id)).status == "success"
    assert len(view.steps) == 1


async def test_a_worker_that_vanished_is_followed_by_another(house: House) -> None:
    """The first one is dead in the middle of two steps: no heartbeat, no farewell. Its lease is a quarter second."""
    gate, lookup = Gate(), Lookup()
    run_id = await house.create()
    dying = Queue(house.pool, "dying", 0.25)
    (claim,) = await dying.claim()
    claim.lease.until += 60  # it doesn't know
    first = ScriptedModels(planner=plans("s1", "s2"), worker=gate)
    dead = asyncio.create_task(house.executor(first, lookup).attempt(claim))
    await asyncio.wait_for(gate.reached.wait(), 30)
    second = ScriptedModels()
    async with house.worker(second, lookup):
        view = await house.ended(run_id)
    assert (view.status, second.by("planner")) == ("success", [])
    gate.open()
    await asyncio.wait_for(dead, 30)
    events = await house.events(run_id)
    assert gapless(events)
    assert [(e.body.fence, e.body.attempt) for e in events if e.body.kind == "run_claimed"] == [(1, 1), (2, 2)]
    assert kinds(events)[-1] == "run_finished", "the one that came back from the dead wrote nothing"


async def test_a_worker_that_loses_its_lease_stops_the_attempt(house: House) -> None:
    gate = Gate()
    models = ScriptedModels(worker=gate)
    async with house.worker(models) as worker:
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        house.execute("update runs set fence = fence + 1, worker = 'another' where run_id = %s", run_id)
        await until(lambda: not worker._attempts)
    assert kinds(await house.events(run_id))[-1] != "run_finished"


async def test_who_stood_still_past_its_lease_asks_no_model(house: House) -> None:
    run_id, models = await house.create(), ScriptedModels()
    claim = await house.claim()
    claim.lease.until = time.monotonic()
    await house.executor(models).attempt(claim)
    assert models.calls == []
    assert (await house.store.get(run_id)).status == "running", "it is for the next to claim"


async def test_a_worker_that_claims_its_own_lapsed_run_goes_on_with_the_new_claim_alone(house: House) -> None:
    """Heartbeats did not get through for a while; the old attempt must end, and the new one must keep its lease."""
    old, new = Gate(), Gate()

    async def one_after_the_other(call: ModelCall) -> ModelReply:
        return await (new if old.reached.is_set() else old)(call)

    async with house.worker(ScriptedModels(worker=one_after_the_other)) as worker:
        run_id = await house.create()
        await asyncio.wait_for(old.reached.wait(), 30)
        house.execute("update runs set lease_until = now() - interval '1 second' where run_id = %s", run_id)
        worker._heard_queue("")
        await asyncio.wait_for(new.reached.wait(), 30)
        old.open()
        await asyncio.sleep(0.1)
        assert worker._attempts[run_id].claim.fence == 2
        before = house.execute("select lease_until from runs")
        await until(lambda: house.execute("select lease_until from runs") > before)
        new.open()
        assert (await house.ended(run_id)).status == "success"
        await until(lambda: not worker._attempts)
    events = await house.events(run_id)
    assert gapless(events)
    assert kinds(events).count("run_claimed") == 2
    assert kinds(events).count("run_finished") == 1


async def test_a_worker_takes_no_more_than_it_may(house: House) -> None:
    """Three stand still, and it looks for more: the others stay in the queue, until there is room."""
    gates = [Gate() for _ in range(9)]
    coming = iter(gates)

    async def stands_still(call: ModelCall) -> ModelReply:
        if call.transcript:
            return await finds_and_reports(call)
        return await next(coming)(call)

    async with house.worker(ScriptedModels(worker=stands_still), concurrency=3) as worker:
        runs = [await house.create() for _ in range(9)]
        async with asyncio.timeout(30):
            for gate in gates[:3]:
                await gate.reached.wait()
        assert await worker._next() == ()
        assert house.execute("select status, count(*) from runs group by status order by status") == [
            ("pending", 6),
            ("running", 3),
        ]
        for gate in gates:
            gate.open()
        for run_id in runs:
            assert (await house.ended(run_id)).status == "success"


async def test_a_drain_takes_at_most_a_second_although_a_process_hears_no_sigterm(house: House) -> None:
    started = asyncio.Event()

    async def waits_for_a_process(call: ModelCall) -> ModelReply:
        process = await asyncio.create_subprocess_exec("sh", "-c", "trap '' TERM; sleep 1000 & wait; wait")
        started.set()
        await process.wait()
        return await finds_and_reports(call)

    async def drained_after_s() -> float:
        started.clear()
        async with house.worker(ScriptedModels(worker=waits_for_a_process)) as worker:
            run_id = await house.create()
            await asyncio.wait_for(started.wait(), 30)
            begun = datetime.now(UTC)
            worker.drain()
        handed = next(each for each in await house.events(run_id) if each.body.kind == "run_handed_over")
        await house.controls.cancel(run_id, by="ops")
        return (handed.at - begun).total_seconds()

    assert await quickest(drained_after_s, 1.0) < 1.0


async def test_two_workers_share_a_queue(house: House) -> None:
    under_way, three_at_once = 0, asyncio.Event()  # which takes both of them

    async def together(call: ModelCall) -> ModelReply:
        nonlocal under_way
        under_way += 1
        if under_way == 3:
            three_at_once.set()
        await three_at_once.wait()
        return await finds_and_reports(call)

    models = ScriptedModels(worker=together)
    executor = house.executor(models)
    queue, heartbeat = Queue(house.pool, "other", 10.0), Heartbeat(house.dsn, "other", 10.0, 0.5, 60)
    other = Worker(house.dsn, queue, house.notices, executor, heartbeat, 2)
    serving = asyncio.create_task(other.serve())
    async with house.worker(models, concurrency=2):
        runs = [await house.create() for _ in range(12)]
        views = [await house.ended(run_id) for run_id in runs]
    other.drain()
    await serving
    assert {view.status for view in views} == {"success"}
    claimed = [await house.bodies(run_id, "run_claimed") for run_id in runs]
    assert [len(each) for each in claimed] == [1] * 12
    assert len({each[0].worker for each in claimed}) == 2
