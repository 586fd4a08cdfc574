"""Pause, resume, another plan, other bounds: what a person says is heard once, and costs no work that is done."""

import asyncio
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from langgraph.runtime import RunControl
from psycopg import AsyncConnection

from graph.errors import ModelUnavailable, StorageLost
from graph.events import EventBody
from graph.faults import Faults, install
from graph.ports import ApprovalDecision, ModelCall, ModelReply
from graph.state import Plan, Step
from serving.errors import BadRequest, ServingError
from serving.runs.execute import PAUSE
from serving.runs.log import AttemptLog
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup, gapless, kinds
from tests.integration.scripted_models import ACCEPT, REPLAN, ScriptedModels, Turn, fails, plans, revise, rules
from tests.integration.test_runs_store import APPROVE, code_of, parked
from tests.integration.test_runs_worker import Gate


def plan(*steps: str) -> Plan:
    """As the scripted planner makes it: `s1`, or `s3<s1,s2`."""
    found = []
    for step in steps:
        id_, _, needs = step.partition("<")
        depends_on = tuple(needs.split(",")) if needs else ()
        found.append(Step(id=id_, goal=f"Find part {id_}", depends_on=depends_on, done_when=f"part {id_} is found"))
    return Plan(steps=tuple(found))


async def paused_in(
    house: House, role: str, models: ScriptedModels, lookup: Lookup | None = None, **options: Any
) -> RunView:
    """A run that somebody paused while its first call of `role` was under way, at the border behind that."""
    run_id, control = await house.create(**options), RunControl()
    turn: Turn = getattr(models, role)

    async def pausing(call: ModelCall) -> ModelReply:
        setattr(models, role, turn)
        assert (await house.controls.pause(run_id, by="ann")).phase == "pausing"
        control.request_drain(PAUSE)
        return await turn(call)

    setattr(models, role, pausing)
    await house.executor(models, lookup).attempt(await house.claim(), control)
    view = await house.store.get(run_id)
    assert (view.status, view.phase) == ("interrupted", "paused")
    return view


async def go_on(house: House, run_id: str, models: ScriptedModels, lookup: Lookup | None = None) -> RunView:
    await house.controls.resume(run_id, by="ann")
    await house.executor(models, lookup).attempt(await house.claim())
    return await house.store.get(run_id)


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
    async with house.worker(ScriptedModels(worker=gate)):
        run_id = await house.create()
        await asyncio.wait_for(gate.reached.wait(), 30)
        begun = time.monotonic()
        house.execute("update runs set paused_by = 'ann'")
        await asyncio.sleep(0.9)
        gate.open()
        await house.until(run_id, lambda view: view.phase == "paused")
        assert time.monotonic() - begun < 2.0


async def test_the_time_in_which_a_run_is_paused_does_not_count(house: House) -> None:
    view = await paused_in(house, "planner", ScriptedModels(), bounds={"seconds": 2})
    await asyncio.sleep(2.1)
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
    await house.store.decide(run_id, "plan-1", APPROVE)
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


@pytest.mark.parametrize(
    ("role", "verdicts", "review"),
    [
        ("planner", (ACCEPT,), False),
        ("planner", (ACCEPT,), True),
        ("worker", (ACCEPT,), False),
        ("critic", (ACCEPT,), False),
        ("critic", (revise("s1"), ACCEPT), False),
        ("critic", (REPLAN, ACCEPT), False),
    ],
    ids=["planned", "planned-for-review", "worked", "accepted", "to-revise", "to-replan"],
)
async def test_a_plan_edited_in_a_pause_is_the_one_that_is_carried_out(
    house: House, role: str, verdicts: tuple[dict[str, Any], ...], review: bool
) -> None:
    """At every border: what is done stays done, what the person added is done, and the critic sees it."""
    lookup, models = Lookup(), ScriptedModels(planner=plans("s1"), critic=rules(*verdicts))
    view = await paused_in(house, role, models, lookup, review_plan=review)
    view = await house.controls.edit_plan(view.run_id, plan("s1", "s7<s1"), view.last_seq, by="ann")
    assert view.plan == plan("s1", "s7<s1")
    assert (await house.store.get(view.run_id)).phase == "paused"
    view = await go_on(house, view.run_id, models, lookup)
    if review:
        assert [approval.arguments for approval in view.approvals] == [plan("s1", "s7<s1").model_dump(mode="json")]
        await house.store.decide(view.run_id, "plan-1", APPROVE)
        await house.executor(models, lookup).attempt(await house.claim())
        view = await house.store.get(view.run_id)
    assert view.status == "success", view.error
    assert {step.step_id for step in view.steps} == {"s1", "s7"}
    revised = verdicts[0]["decision"] == "revise"
    assert Counter(asked.split()[0] for asked in lookup.asked) == {"s1": 1 + revised, "s7": 1}
    assert [body.by for body in await house.bodies(view.run_id, "plan_edited")] == ["ann"]
    assert len(models.by("planner")) == 1
    judged = models.by("critic")[-1].task
    assert {outcome.step_id for outcome in getattr(judged, "outcomes", ())} == {"s1", "s7"}


async def test_steps_that_have_not_begun_may_be_dropped_and_changed(house: House) -> None:
    models = ScriptedModels(planner=plans("s1", "s2<s1", "s3<s2"))
    view = await paused_in(house, "worker", models)
    assert [step.step_id for step in view.steps] == ["s1"]
    edited = Plan(
        steps=(*plan("s1").steps, Step(id="s2", goal="Look elsewhere", depends_on=("s1",), done_when="found"))
    )
    await house.controls.edit_plan(view.run_id, edited, view.last_seq, by="ann")
    view = await go_on(house, view.run_id, models)
    assert (view.status, [step.step_id for step in view.steps]) == ("success", ["s1", "s2"])
    assert {getattr(call.task, "step").goal for call in models.by("worker")[2:]} == {"Look elsewhere"}  # noqa: B009


async def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(house: House) -> None:
    pending = await house.create()
    edit = house.controls.edit_plan
    assert await code_of(edit(pending, plan("s1"), 1, by="x")) == "not_paused"
    await house.controls.pause(pending, by="x")
    assert await code_of(edit(pending, plan("s1"), 2, by="x")) == "no_plan"
    view = await paused_in(house, "worker", ScriptedModels(planner=plans("s1", "s2<s1")))
    for broken in (plan("s2"), Plan(steps=(plan("s1").steps[0].model_copy(update={"goal": "Another"}),))):
        with pytest.raises(BadRequest, match="step s1 has begun") as refused:
            await edit(view.run_id, broken, view.last_seq, by="x")
        assert refused.value.code == "step_begun"
    assert await code_of(edit(view.run_id, plan("s1"), 10_000, by="x"), BadRequest) == "bad_last_seq"
    assert (await house.store.get(view.run_id)).last_seq == view.last_seq
    written = await paused_in(house, "writer", ScriptedModels())
    assert await code_of(edit(written.run_id, plan("s1", "s2"), written.last_seq, by="x")) == "answer_written"
    waiting = await parked(house)
    assert await code_of(edit(waiting, plan("s1"), 1, by="x")) == "needs_decision"
    await house.controls.cancel(waiting, by="x")
    assert await code_of(edit(waiting, plan("s1"), 1, by="x")) == "run_ended"


async def test_of_two_editors_the_second_is_told(house: House) -> None:
    view = await paused_in(house, "planner", ScriptedModels())
    edits = [plan("s1", "s2"), plan("s1", "s3")]
    answers = await asyncio.gather(
        *(house.controls.edit_plan(view.run_id, each, view.last_seq, by="x") for each in edits), return_exceptions=True
    )
    (kept,) = [answer for answer in answers if isinstance(answer, RunView)]
    assert [answer.code for answer in answers if isinstance(answer, ServingError)] == ["plan_changed"]
    assert kept.plan in edits
    again = await house.controls.edit_plan(view.run_id, kept.plan, view.last_seq, by="x")
    assert again.last_seq == kept.last_seq, "the same plan once more is no change, and no conflict"


async def test_an_edit_overtakes_what_was_decided_on_the_plan_before(house: House) -> None:
    run_id, models = await house.create(review_plan=True), ScriptedModels()
    claim = await house.claim()
    await house.controls.pause(run_id, by="ann")
    await house.executor(models).attempt(claim)
    await house.store.decide(run_id, "plan-1", ApprovalDecision(type="reject", by="ann"))
    await house.executor(models).attempt(await house.claim())
    last = (await house.store.get(run_id)).last_seq
    await house.controls.edit_plan(run_id, plan("s1", "s7"), last, by="ann")
    view = await go_on(house, run_id, models)
    assert (view.status, {step.step_id for step in view.steps}) == ("success", {"s1", "s7"})


@pytest.mark.parametrize("round_", [0, 1])
async def test_a_plan_is_edited_that_was_told_and_never_checkpointed(house: House, round_: int) -> None:
    models = ScriptedModels(planner=plans("s1"), critic=rules(*[REPLAN] * round_, ACCEPT))
    run_id, lookup = await house.create(), Lookup()
    install(Faults(f"plan.logged:{round_ + 1}=raise", StorageLost))
    await house.executor(models, lookup).attempt(await house.claim())
    install(None)
    await house.controls.pause(run_id, by="ann")
    house.execute("update runs set lease_until = now()")
    await house.executor(models).attempt(await house.claim())
    last = (await house.store.get(run_id)).last_seq
    await house.controls.edit_plan(run_id, plan("s1", "s7"), last, by="ann")
    view = await go_on(house, run_id, models, lookup)
    assert view.status == "success", view.error
    assert Counter(asked.split()[0] for asked in lookup.asked) == {"s1": 1 + round_, "s7": 1}
    assert len(models.by("planner")) == 1 + round_


@pytest.mark.parametrize("cut", ["checkpoint.ready", "checkpoint.committed"])
async def test_an_edit_that_is_cut_while_it_is_taken_over_is_taken_over_whole(house: House, cut: str) -> None:
    """Steps that wait to be worked on, one of which the edit takes out."""
    models, lookup, control = ScriptedModels(planner=plans("s1", "s2")), Lookup(), RunControl()
    run_id = await house.create()

    def pausing(name: str) -> None:
        if name == "fan_out.ready":
            house.execute("update runs set paused_by = 'ann'")
            control.request_drain(PAUSE)

    install(pausing)
    await house.executor(models, lookup).attempt(await house.claim(), control)
    view = await house.store.get(run_id)
    assert (view.phase, view.steps) == ("paused", ()), "sent out, not begun"
    await house.controls.edit_plan(run_id, plan("s1"), view.last_seq, by="ann")
    await house.controls.resume(run_id, by="ann")
    install(Faults(f"{cut}=raise", StorageLost))
    await house.executor(models, lookup).attempt(await house.claim())
    install(None)
    house.execute("update runs set lease_until = now()")
    await house.executor(models, lookup).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.status, lookup.asked) == ("success", ["s1 s1"])


async def test_an_edit_is_taken_over_once_however_often_the_attempt_is_cut(house: House) -> None:
    models = ScriptedModels(planner=plans("s1"))
    view = await paused_in(house, "critic", models)
    await house.controls.edit_plan(view.run_id, plan("s1", "s7"), view.last_seq, by="ann")
    await house.controls.resume(view.run_id, by="ann")
    models.worker = gate = Gate()
    for _ in range(3):
        attempt = asyncio.create_task(house.executor(models).attempt(await house.claim()))
        await asyncio.wait_for(gate.reached.wait(), 30)
        gate.reached.clear()
        attempt.cancel()
        await asyncio.wait([attempt])
        house.execute("update runs set lease_until = now()")
    gate.open()
    await house.executor(models).attempt(await house.claim())
    view = await house.store.get(view.run_id)
    assert (view.status, [step.step_id for step in view.steps]) == ("success", ["s1", "s7"])
    assert [step.attempt for step in view.steps] == [1, 2]


@pytest.mark.parametrize("role", ["planner", "worker", "critic", "writer"])
async def test_a_failed_run_goes_on_where_it_stopped(house: House, role: str) -> None:
    """Nothing that had ended is asked or called again."""
    lookup, models = Lookup(), ScriptedModels(planner=plans("s1", "s2<s1"))
    good: Turn = getattr(models, role)
    turns = iter([good, good, fails(ModelUnavailable("503"))] if role == "worker" else [fails(ModelUnavailable("503"))])

    async def failing(call: ModelCall) -> ModelReply:
        return await next(turns, good)(call)

    setattr(models, role, failing)
    view = await house.finish(models, lookup)
    assert (view.status, view.error and view.error.code) == ("error", "model_unavailable")
    view = await go_on(house, view.run_id, models, lookup)
    assert view.status == "success"
    assert lookup.asked == ["s1 s1", "s2 s2"]
    asked = Counter(call.task.role for call in models.calls)
    assert asked == Counter({"planner": 1, "worker": 4, "critic": 1, "writer": 1}) + Counter({role: 1})


async def test_a_failed_run_is_resumed_with_other_bounds(house: House) -> None:
    down = fails(ModelUnavailable("503"))
    run = await house.finish(ScriptedModels(critic=down, price=0.5), bounds={"cost_usd": 2.1})
    for bounds, said in (
        ({"cost_usd": -1}, "cost_usd"),
        ({"money": 1}, "bounds are model_calls"),
        ({"tokens": 0.5}, "tokens"),
    ):
        with pytest.raises(BadRequest, match=said) as refused:
            await house.controls.resume(run.run_id, by="ann", bounds=bounds)
        assert refused.value.code == "bad_bounds"
    await house.controls.resume(run.run_id, by="ann", bounds={"cost_usd": 9})
    await house.executor(ScriptedModels(price=0.5)).attempt(await house.claim())
    view = await house.store.get(run.run_id)
    assert (view.status, view.partial) == ("success", False)
    assert [body.bounds for body in await house.bodies(run.run_id, "bounds_changed")] == [{"cost_usd": 9}]


class PausingLog(AttemptLog):
    """The attempt's own log, and somebody who pauses the run as soon as it says that a bound was reached."""

    def __init__(self, house: House, control: RunControl, log: AttemptLog) -> None:
        self.__dict__.update(log.__dict__)
        self._house, self._control = house, control

    async def append(self, *bodies: EventBody) -> None:
        await super().append(*bodies)
        if any(body.kind == "bound_reached" for body in bodies):
            await self._house.controls.pause(self._run_id, by="ann")
            self._control.request_drain(PAUSE)


@pytest.mark.parametrize("limit", [0.1, 0.9, 1.9], ids=["planner", "worker", "critic"])
async def test_what_a_bound_stopped_is_done_when_a_person_changes_it(house: House, limit: float) -> None:
    """Until then there is no more than a partial answer."""
    for bounds, cut_short in ({}, True), ({"cost_usd": 20}, False):
        run_id, control, models = (
            await house.create(bounds={"cost_usd": limit}),
            RunControl(),
            ScriptedModels(price=0.5),
        )

        executor = house.executor(models, log=partial(PausingLog, house, control))
        await executor.attempt(await house.claim(), control)
        assert (await house.store.get(run_id)).phase == "paused"
        await house.controls.resume(run_id, by="ann", bounds=bounds)
        await house.executor(models).attempt(await house.claim())
        view = await house.store.get(run_id)
        assert (view.status, view.partial) == ("success", cut_short), view.note
        assert view.steps == () or view.steps[-1].status == ("stopped" if cut_short and limit < 1 else "done")


async def test_a_run_that_a_bound_ended_says_where_to_fork_it(house: House) -> None:
    view = await house.finish(ScriptedModels(planner=plans("s1", "s2<s1")), bounds={"tool_calls": 1})
    assert (view.status, view.partial) == ("success", True)
    reached = next(e.seq for e in await house.events(view.run_id) if e.body.kind == "bound_reached")
    with pytest.raises(ServingError) as refused:
        await house.controls.resume(view.run_id, by="ann")
    assert refused.value.code == "not_resumable"
    assert f"trireme fork {view.run_id} --at {reached}" in refused.value.hint
