"""Another plan for a run that is paused: it is carried out, and costs no work that is done."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from langgraph.runtime import RunControl

from graph.errors import StorageLost
from graph.faults import Faults, install
from graph.ports import ApprovalDecision
from graph.state import Plan, Step
from serving.errors import BadRequest, ServingError
from serving.runs.attempts.execute import PAUSE
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup, code_of
from tests.integration.scripted_models import ACCEPT, REPLAN, Gate, ScriptedModels, plans, revise, rules
from tests.integration.standing_runs import APPROVE, go_on, parked, paused_in, plan


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
        await house.decisions.decide(view.run_id, "plan-1", APPROVE)
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
    await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="reject", by="ann"))
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
