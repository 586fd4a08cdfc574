"""The run service: made once per key, decided once, cancelled and resumed as stated; every refusal has its own code."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from graph.errors import ModelUnavailable
from graph.ports import ApprovalDecision
from graph.state import Plan, Step
from serving.database import new_id
from serving.errors import BadRequest, NotFound, ServingError
from serving.runs.decisions.plan_edit import edited_plan
from serving.runs.fork import Fork
from serving.runs.requests.request import RunRequest
from serving.runs.store import RunStore
from tests.integration.run_house import House, Lookup, code_of, gapless, kinds
from tests.integration.scripted_models import ScriptedModels, fails, plans
from tests.integration.standing_runs import APPROVE, parked


def rows(house: House, table: str) -> int:
    return int(house.execute(f"select count(*) from {table}")[0][0])  # noqa: S608


async def test_a_run_its_thread_and_its_first_line_are_made_together(house: House) -> None:
    view, new = await house.store.create(RunRequest(goal="Find it"))
    assert new
    assert (view.status, view.phase, view.goal, view.last_seq) == ("pending", "pending", "Find it", 1)
    events = await house.events(view.run_id)
    assert kinds(events) == ["run_created"]
    assert (rows(house, "runs"), rows(house, "threads")) == (1, 1)


async def test_the_same_key_gives_the_same_run_and_another_body_a_conflict(house: House) -> None:
    request = RunRequest(goal="Find it")
    first, _ = await house.store.create(request, "key-1")
    again, new = await house.store.create(request, "key-1")
    assert (again.run_id, new) == (first.run_id, False)
    other, new = await house.store.create(request, "key-2")
    assert new
    assert other.run_id != first.run_id
    assert await code_of(house.store.create(RunRequest(goal="Find more"), "key-1")) == "idempotency_mismatch"
    changed = RunRequest(goal="Find it", review_plan=True)
    assert await code_of(house.store.create(changed, "key-1")) == "idempotency_mismatch"
    assert (rows(house, "runs"), rows(house, "threads")) == (2, 2), "what is refused or repeated leaves nothing behind"


async def test_twenty_creates_with_one_key_at_once_make_one_run(house: House) -> None:
    made = await asyncio.gather(*(house.store.create(RunRequest(goal="Find it"), "key") for _ in range(20)))
    assert len({view.run_id for view, _ in made}) == 1
    assert sum(new for _, new in made) == 1
    assert rows(house, "runs") == 1
    assert rows(house, "run_events") == 1


async def test_a_repeated_create_gives_the_run_even_when_its_thread_waits_for_a_person(house: House) -> None:
    """The answer to the first request was lost on the way; the run has gone on meanwhile."""
    request = RunRequest(goal="Find it", thread_id=new_id(), review_plan=True)
    first, _ = await house.store.create(request, "key")
    await house.executor(ScriptedModels()).attempt(await house.claim())
    again, new = await house.store.create(request, "key")
    assert (again.run_id, again.status, new) == (first.run_id, "interrupted", False)
    assert await code_of(house.store.create(request)) == "thread_waiting"


async def test_the_same_key_of_another_tenant_is_another_run(house: House) -> None:
    first, _ = await house.store.create(RunRequest(goal="Find it"), "key")
    theirs = RunStore(house.pool, house.notices, tenant="other")
    second, new = await theirs.create(RunRequest(goal="Find something else"), "key")
    assert new
    assert await code_of(theirs.get(first.run_id), NotFound) == "run_not_found"
    assert await code_of(house.controls.cancel(second.run_id, by="x"), NotFound) == "run_not_found"
    same_thread = RunRequest(goal="Find it", thread_id=first.thread_id)
    assert await code_of(theirs.create(same_thread), NotFound) == "thread_not_found"
    assert [row["run_id"] for row in await theirs.latest()] != [row["run_id"] for row in await house.store.latest()]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ümlaut", "a\n"])
async def test_a_key_that_is_none_is_refused(house: House, key: str) -> None:
    await code_of(house.store.create(RunRequest(goal="g"), key), BadRequest)
    assert rows(house, "runs") == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "a\x00b"},
        {"model": ""},
        {"model": "m" * 201},
        {"collection": "../etc"},
        {"collection": "a\n"},
        {"channel": "telepathy" * 20},
        {"turns": [["only a question"]]},
        {"bounds": {"cost_usd": "inf"}},
        {"unknown": 1},
    ],
)
def test_a_request_that_no_run_could_carry_is_refused_before_it_is_stored(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunRequest.model_validate({"goal": "g", **fields})


@pytest.mark.parametrize(
    "run_id", ["", "7", "x" * 10_000, "01a1fc00-0000-7000-8000-000000000000", "'; drop table runs"]
)
async def test_an_unknown_id_is_not_found_wherever_it_is_used(house: House, run_id: str) -> None:
    decisions, controls, plan = house.decisions, house.controls, Plan(steps=(Step(id="s1", goal="g", done_when="d"),))
    calls = (
        house.store.get(run_id), decisions.open_approval(run_id), decisions.decide(run_id, "plan-1", APPROVE),
        controls.cancel(run_id, "x"), controls.pause(run_id, "x"),
        controls.resume(run_id, "x"), controls.edit_plan(run_id, plan, 1, "x"), house.forks.points(run_id),
        house.forks.fork(run_id, Fork(), "x"),
    )  # fmt: skip
    for call in calls:
        assert await code_of(call, NotFound) == "run_not_found"


async def test_a_pending_run_is_cancelled_at_once(house: House) -> None:
    run_id = await house.create()
    view = await house.controls.cancel(run_id, by="ops")
    assert (view.status, view.phase) == ("cancelled", "cancelled")
    assert view.finished_at is not None
    assert view.error is not None
    assert view.error.code == "cancelled"
    assert await house.queue.claim() == ()
    assert kinds(await house.events(run_id)) == ["run_created", "cancel_requested", "run_finished"]


async def test_a_parked_run_is_cancelled_at_once_and_takes_no_decision_any_more(house: House) -> None:
    run_id = await parked(house)
    view = await house.controls.cancel(run_id, by="ops")
    assert (view.status, view.approvals) == ("cancelled", ())
    assert await code_of(house.decisions.decide(run_id, "plan-1", APPROVE)) == "no_decision_pending"
    assert await code_of(house.controls.cancel(run_id, by="ops")) == "run_ended"
    assert await house.queue.claim() == ()


async def test_a_cancelled_run_can_be_resumed_and_goes_on(house: House) -> None:
    run_id = await parked(house)
    await house.controls.cancel(run_id, by="ops")
    await house.controls.resume(run_id, by="ops")
    models = ScriptedModels(planner=plans("s1", "s2"))
    executor = house.executor(models)
    await executor.attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "interrupted", "the plan still needs its approval"
    await house.decisions.decide(run_id, "plan-1", APPROVE)
    await executor.attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.status, view.error) == ("success", None)
    assert models.by("planner") == []
    assert gapless(await house.events(run_id))


async def test_resume_says_why_it_does_not(house: House) -> None:
    pending = await house.create()
    assert await code_of(house.controls.resume(pending, by="x")) == "not_resumable"
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert await code_of(house.controls.resume(pending, by="x")) == "not_resumable"
    assert await code_of(house.controls.resume(await parked(house), by="x")) == "needs_decision"


async def test_a_resumed_run_repeats_no_finished_step_and_costs_what_both_attempts_cost(house: House) -> None:
    lookup = Lookup()
    down = fails(ModelUnavailable("503"))
    view = await house.finish(ScriptedModels(planner=plans("s1", "s2"), critic=down, price=0.01), lookup)
    assert (view.status, len(lookup.asked)) == ("error", 2)
    resumed = await house.controls.resume(view.run_id, by="ops")
    assert (resumed.status, resumed.finished_at, resumed.error) == ("pending", None, None)
    models = ScriptedModels(price=0.01)
    await house.executor(models, lookup).attempt(await house.claim())
    view = await house.store.get(view.run_id)
    assert (view.status, len(lookup.asked)) == ("success", 2)
    assert [call.task.role for call in models.calls] == ["critic", "writer"]
    assert view.cost_usd == pytest.approx(0.07)
    assert kinds(await house.events(view.run_id)).count("run_finished") == 2


async def test_a_decision_is_taken_once(house: House) -> None:
    run_id = await parked(house)
    assert await house.decisions.open_approval(run_id) == "plan-1"
    view = await house.decisions.decide(run_id, "plan-1", APPROVE)
    assert (view.status, view.approvals) == ("pending", ())
    assert await code_of(house.decisions.decide(run_id, "plan-1", APPROVE)) == "approval_already_decided"
    assert await code_of(house.decisions.open_approval(run_id)) == "no_decision_pending"
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert await code_of(house.decisions.decide(run_id, "plan-1", APPROVE)) == "no_decision_pending"
    assert kinds(await house.events(run_id)).count("approval_decided") == 1


async def test_ten_people_deciding_at_once_are_one_decision(house: House) -> None:
    run_id = await parked(house)
    taken = await asyncio.gather(
        *(house.decisions.decide(run_id, "plan-1", APPROVE) for _ in range(10)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in taken) == 1
    assert {each.code for each in taken if isinstance(each, ServingError)} == {"approval_already_decided"}
    assert kinds(await house.events(run_id)).count("approval_decided") == 1


async def test_a_decision_on_what_was_never_asked_is_not_found_and_a_late_one_says_so(house: House) -> None:
    run_id = await parked(house)
    assert await code_of(house.decisions.decide(run_id, "plan-2", APPROVE), NotFound) == "not_found"
    edit = ApprovalDecision(type="edit", by="ops")
    await code_of(house.decisions.decide(run_id, "plan-1", edit), BadRequest)
    house.execute("update approvals set expires_at = now() - interval '1 second'")
    assert await code_of(house.decisions.decide(run_id, "plan-1", APPROVE)) == "approval_expired"
    assert (await house.store.get(run_id)).status == "interrupted"
    assert kinds(await house.events(run_id)).count("approval_decided") == 0


async def test_a_plan_that_nobody_decided_in_time_is_turned_down_and_the_run_goes_on(house: House) -> None:
    run_id = await parked(house)
    house.execute("update approvals set expires_at = now() - interval '1 second'")
    house.execute("update runs set run_at = now() - interval '1 second'")
    models = ScriptedModels()
    await house.executor(models).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert view.status == "interrupted"
    assert [approval.approval_id for approval in view.approvals] == ["plan-2"], "the second plan is asked for, not both"
    assert await house.decisions.open_approval(run_id) == "plan-2"
    assert "nobody decided before it expired" in str(models.by("planner")[0].messages[-1].content)


async def test_a_parked_run_is_due_when_its_question_expires(house: House) -> None:
    await parked(house)
    run_at, expires_at = house.execute("select run_at, expires_at from runs join approvals using (run_id)")[0]
    assert run_at == expires_at
    assert (run_at - datetime.now(UTC)).days == 6


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"steps": []},
        {"steps": [{"id": "s1"}]},
        [],
        None,
        {"steps": [{"id": "s1", "goal": "g", "done_when": "d", "x": 1}]},
    ],
)
def test_a_plan_that_a_person_broke_is_refused_with_its_place(arguments: Any) -> None:
    with pytest.raises(BadRequest, match=r"steps|plan"):
        edited_plan(arguments)
