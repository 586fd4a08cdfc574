"""Time travel: a fork goes on from any earlier point, on its parent's lines up to there, and leaves it alone."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from graph.errors import ModelUnavailable
from graph.events import RunForked
from graph.ports import ApprovalDecision
from serving.errors import BadRequest, Conflict, Gone, NotFound
from serving.runs.control import RunControls
from serving.runs.fork import Fork, Forks
from serving.runs.log import AttemptLog
from serving.runs.store import RunStore
from serving.runs.view import RunView
from tests.integration.pruning import keep, pruned
from tests.integration.run_house import House, Lookup, code_of, gapless, kinds
from tests.integration.scripted_models import ACCEPT, Gate, ScriptedModels, fails, plans, revise, rules
from tests.integration.standing_runs import APPROVE, parked, plan

TABLES = ("state_checkpoints", "state_values", "state_items")


async def forked(house: House, run_id: str, at: int | None = None, **options: Any) -> RunView:
    run, new = await house.forks.fork(run_id, Fork(at=at, **options), by="ann")
    assert new
    return run


async def line_of(house: House, run_id: str, kind: str) -> int:
    return next(event.seq for event in await house.events(run_id) if event.body.kind == kind)


async def carried_out(house: House, run_id: str, models: ScriptedModels, lookup: Lookup | None = None) -> RunView:
    claim = await house.claim()
    assert claim.run_id == run_id
    await house.executor(models, lookup).attempt(claim)
    return await house.store.get(run_id)


def kept(house: House, thread_id: str) -> list[tuple[Any, ...]]:
    """All that is stored of a thread's state; in one order, whatever plan Postgres has for it."""
    query = "select * from {} where thread_id = %s"
    return sorted((row for table in TABLES for row in house.execute(query.format(table), thread_id)), key=str)


async def test_a_fork_goes_on_from_the_point_and_repeats_nothing_before_it(house: House) -> None:
    lookup = Lookup()
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1"), price=0.01), lookup)
    before, state = await house.events(parent.run_id), kept(house, parent.thread_id)
    fork = await forked(house, parent.run_id, await line_of(house, parent.run_id, "step_finished"))
    assert (fork.status, fork.forked_from, fork.goal) == ("pending", parent.run_id, parent.goal)
    assert fork.run_id != parent.run_id
    assert fork.thread_id != parent.thread_id
    assert fork.plan == parent.plan
    assert [step.step_id for step in fork.steps] == ["s1"], "what it inherits is shown at once"
    models = ScriptedModels(price=0.01)
    view = await carried_out(house, fork.run_id, models, lookup)
    assert (view.status, view.answer) == ("success", "It is 42 [1].")
    assert [step.step_id for step in view.steps] == ["s1", "s2"]
    assert Counter(call.task.role for call in models.calls) == {"worker": 2, "critic": 1, "writer": 1}
    assert lookup.asked == ["s1 s1", "s2 s2", "s2 s2"]
    assert (view.usage.model_calls, view.usage.tool_calls, view.cost_usd) == (4, 1, 0.04), "its own alone"
    assert parent.cost_usd == 0.07
    assert (await house.events(parent.run_id), kept(house, parent.thread_id)) == (before, state)
    events = await house.events(fork.run_id)
    assert gapless(events)
    assert kinds(events)[:3] == ["run_created", "run_forked", "run_claimed"]
    assert "plan_proposed" not in kinds(events)


async def test_every_point_of_a_run_can_be_forked_and_leads_to_its_end(house: House) -> None:
    lookup = Lookup()
    models = ScriptedModels(planner=plans("s1", "s2<s1"), critic=rules(revise("s2"), ACCEPT))
    parent = await house.finish(models, lookup)
    points = await house.forks.points(parent.run_id)
    ways = ["recall", "plan", "work", "work", "critic", "work", "critic", "answer"]
    assert [point.next for point in points] == [(node,) for node in ways]
    assert [point.seq for point in points] == sorted(point.seq for point in points)
    assert len(lookup.asked) == 3
    for point in points:
        again, models = Lookup(), ScriptedModels(planner=plans("s1", "s2<s1"), critic=rules(revise("s2"), ACCEPT))
        fork = await forked(house, parent.run_id, point.seq)
        assert fork.forked_seq == point.seq
        view = await carried_out(house, fork.run_id, models, again)
        assert (view.status, view.answer) == ("success", parent.answer), point
        assert [(step.step_id, step.attempt) for step in view.steps] == [("s1", 1), ("s2", 1), ("s2", 2)], point
        done = Counter(e.body.kind for e in await house.events(parent.run_id) if e.seq <= point.seq)
        assert len(again.asked) == 3 - done["tool_finished"]
        assert len(models.calls) == 10 - done["model_called"]


async def test_without_a_line_it_is_the_latest_point(house: House) -> None:
    failed = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1"), writer=fails(ModelUnavailable("503"))))
    fork = await forked(house, failed.run_id)
    models = ScriptedModels()
    assert (await carried_out(house, fork.run_id, models)).status == "success"
    assert [call.task.role for call in models.calls] == ["writer"]
    assert (await house.store.get(failed.run_id)).status == "error"


async def test_a_running_run_is_forked_and_not_disturbed(house: House) -> None:
    gate = Gate()
    async with house.worker(ScriptedModels(planner=plans("s1", "s2<s1"), worker=gate)):
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        fork = await forked(house, run_id)
        assert fork.plan is not None
        gate.open()
        both = await house.ended(run_id), await house.ended(fork.run_id)
    assert [view.status for view in both] == ["success", "success"]
    assert [event.body.kind for event in await house.events(run_id)].count("run_claimed") == 1


async def test_a_fork_of_a_fork_goes_on_from_all_of_its_line(house: House) -> None:
    lookup = Lookup()
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1", "s3<s2")), lookup)
    child = await forked(house, parent.run_id, await line_of(house, parent.run_id, "step_finished"))
    early = await forked(house, child.run_id)
    assert (early.forked_from, early.forked_seq) == (child.run_id, 2), "a fork that hasn't begun can be forked, too"
    await carried_out(house, child.run_id, ScriptedModels(), lookup)
    late = await forked(house, child.run_id, await line_of(house, child.run_id, "step_finished"))
    assert [step.step_id for step in late.steps] == ["s1", "s2"]
    for fork, steps in (early, ["s2 s2", "s3 s3"]), (late, ["s3 s3"]):
        again = Lookup()
        view = await carried_out(house, fork.run_id, ScriptedModels(), again)
        assert (view.status, again.asked) == ("success", steps)


async def test_a_fork_cut_anywhere_goes_on_as_a_fork(house: House) -> None:
    """The second attempt reads the same inherited lines, though their numbers overlap with the fork's own."""
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1")))
    fork = await forked(house, parent.run_id, await line_of(house, parent.run_id, "step_finished"))
    gate, models = Gate(), ScriptedModels()
    models.worker = gate
    attempt = asyncio.create_task(house.executor(models).attempt(await house.claim()))
    await asyncio.wait_for(gate.reached.wait(), 30)
    attempt.cancel()
    await asyncio.wait([attempt])
    house.execute("update runs set lease_until = now() where run_id = %s", fork.run_id)
    models.worker = ScriptedModels().worker
    view = await carried_out(house, fork.run_id, models)
    assert view.status == "success"
    assert models.by("planner") == []
    log = AttemptLog(house.pool, fork.run_id, 0, house.notices)
    await log.load()
    assert len(log.history) == len(log.own) + view.forked_seq if view.forked_seq else False


async def test_approvals_of_a_fork_are_asked_anew(house: House) -> None:
    parent = await parked(house)
    await house.decisions.decide(parent, "plan-1", APPROVE)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    fork = await forked(house, parent, await line_of(house, parent, "plan_proposed"))
    view = await carried_out(house, fork.run_id, ScriptedModels())
    assert [approval.approval_id for approval in view.approvals] == ["plan-1"]
    await house.decisions.decide(fork.run_id, "plan-1", ApprovalDecision(type="approve", by="ann"))
    assert (await carried_out(house, fork.run_id, ScriptedModels())).status == "success"


async def test_a_paused_fork_takes_another_plan_before_it_goes_on(house: House) -> None:
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1")))
    fork = await forked(house, parent.run_id, await line_of(house, parent.run_id, "step_finished"), paused=True)
    assert (fork.phase, await house.queue.claim()) == ("paused", ())
    edited = plan("s1", "s5<s1")
    await house.controls.edit_plan(fork.run_id, edited, fork.last_seq, by="ann")
    await house.controls.resume(fork.run_id, by="ann")
    view = await carried_out(house, fork.run_id, ScriptedModels())
    assert (view.status, view.plan) == ("success", edited)
    assert [step.step_id for step in view.steps] == ["s1", "s5"]
    assert (await house.store.get(parent.run_id)).plan == parent.plan


async def test_the_bounds_of_a_fork_count_from_zero_and_can_be_others(house: House) -> None:
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1")), bounds={"tool_calls": 1})
    assert parent.partial
    at = await line_of(house, parent.run_id, "bound_reached")
    same = await forked(house, parent.run_id, at)
    assert not (await carried_out(house, same.run_id, ScriptedModels())).partial, "s2 needs one call, and it has one"
    less = await forked(house, parent.run_id, at, bounds={"tool_calls": 0})
    assert (await carried_out(house, less.run_id, ScriptedModels())).partial
    refused = house.forks.fork(parent.run_id, Fork(bounds={"tool_calls": -1}), by="ann")
    assert await code_of(refused, BadRequest) == "bad_bounds"


async def test_critic_rounds_of_the_parent_do_not_count(house: House) -> None:
    models = ScriptedModels(critic=rules(revise("s1"), revise("s1"), ACCEPT))
    parent = await house.finish(models, bounds={"critic_rounds": 2})
    assert parent.partial
    at = (await house.events(parent.run_id))[-1].seq
    verdicts = [event.seq for event in await house.events(parent.run_id) if event.body.kind == "verdict_given"]
    fork = await forked(house, parent.run_id, verdicts[1] - 1)
    assert at > verdicts[1]
    models = ScriptedModels(critic=rules(revise("s1"), revise("s1"), ACCEPT))
    view = await carried_out(house, fork.run_id, models)
    assert (view.status, view.partial) == ("success", False)


@pytest.mark.parametrize("at", [-1, 0, 1, 10_000, 2**70])
async def test_a_point_that_does_not_exist_is_refused_with_the_lines_that_do(house: House, at: int) -> None:
    view = await house.finish(ScriptedModels())
    first = (await house.forks.points(view.run_id))[0].seq
    with pytest.raises(BadRequest, match=f"can't be forked at line {at}") as refused:
        await house.forks.fork(view.run_id, Fork(at=at), by="ann")
    assert refused.value.code == "bad_fork_point"
    assert f"from {first} to {view.last_seq}" in refused.value.hint
    assert house.execute("select count(*) from threads") == [(1,)]


async def test_what_has_no_points_says_why(house: House) -> None:
    pending = await house.create()
    with pytest.raises(Conflict, match="has not begun") as refused:
        await house.forks.fork(pending, Fork(), by="ann")
    assert refused.value.code == "no_checkpoint"
    assert await house.forks.points(pending) == []
    await house.executor(ScriptedModels()).attempt(await house.claim())
    house.execute("delete from state_checkpoints")
    with pytest.raises(Conflict, match="pruned"):
        await house.forks.fork(pending, Fork(at=5), by="ann")
    house.execute("update runs set pruned_at = now()")
    with pytest.raises(Gone):
        await house.forks.fork(pending, Fork(), by="ann")


async def test_another_tenants_run_is_not_there(house: House) -> None:
    view = await house.finish(ScriptedModels())
    theirs = RunStore(house.pool, house.notices, tenant="other")
    forks = Forks(house.pool, house.notices, theirs, lambda _: pytest.fail("opened"))
    controls = RunControls(house.pool, house.notices, theirs)
    calls = (
        forks.fork(view.run_id, Fork(), by="x"), forks.points(view.run_id), controls.pause(view.run_id, by="x"),
        controls.resume(view.run_id, by="x"), controls.edit_plan(view.run_id, plan("s1"), 1, by="x"),
    )  # fmt: skip
    for call in calls:
        assert await code_of(call, NotFound) == "run_not_found"


async def test_the_same_key_makes_one_fork(house: House) -> None:
    parent = await house.finish(ScriptedModels())
    made = await asyncio.gather(*(house.forks.fork(parent.run_id, Fork(), "ann", "key") for _ in range(5)))
    assert len({run.run_id for run, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    assert house.execute("select count(*) from threads") == [(2,)], "nothing is left of those that came second"
    other = house.forks.fork(parent.run_id, Fork(paused=True), "ann", "key")
    assert await code_of(other) == "idempotency_mismatch"


async def test_a_fork_that_fails_halfway_leaves_nothing(house: House) -> None:
    parent = await house.finish(ScriptedModels())
    house.execute(
        "create function refuse_fork() returns trigger language plpgsql as $$ begin raise disk_full; end $$;"
        "create trigger refuse_fork before insert on state_checkpoints for each row execute function refuse_fork()"
    )
    try:
        with pytest.raises(Exception, match="disk_full"):
            await house.forks.fork(parent.run_id, Fork(), by="ann")
    finally:
        house.execute("drop trigger refuse_fork on state_checkpoints; drop function refuse_fork")
    assert house.execute("select (select count(*) from threads), (select count(*) from runs)") == [(1, 1)]
    fork = await forked(house, parent.run_id)
    assert [event.body for event in await house.events(fork.run_id)][1] == RunForked(
        run_id=parent.run_id, seq=fork.forked_seq or 0
    )


async def test_a_log_is_pruned_after_those_of_its_forks(house: House) -> None:
    parent = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1")))
    fork = await forked(house, parent.run_id, await line_of(house, parent.run_id, "step_finished"))
    await keep(house, events=0)
    await pruned(house)
    assert (await house.store.get(parent.run_id)).pruned_at is None
    await pruned(house)
    view = await carried_out(house, fork.run_id, ScriptedModels())
    assert (view.status, [step.step_id for step in view.steps]) == ("success", ["s1", "s2"])
    await pruned(house)
    assert house.execute("select count(*) from run_events") == [(0,)]
    await keep(house, events=None)
