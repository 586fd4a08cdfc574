"""Reaching any bound ends the run with what there is, says so in its answer and in one line of its log."""

import asyncio
import time
from typing import Any

import pytest

from graph.bounds import Bounds
from graph.errors import StreamCut
from graph.ports import ApprovalDecision, ModelCall, ModelReply, StepTask
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup, gapless
from tests.integration.scripted_models import (
    REPLAN,
    TOKENS,
    ScriptedModels,
    after,
    fails,
    finds_and_reports,
    plans,
    revise,
    rules,
    spoken,
    tool_call,
)


async def never_reports(call: ModelCall) -> ModelReply:
    """Looks something else up at every turn."""
    return spoken("", tool_call(call, "lookup", query=f"attempt {len(call.transcript)}"))


async def asks_the_same(call: ModelCall) -> ModelReply:
    return spoken("", tool_call(call, "lookup", query="again"))


async def stopped(house: House, view: RunView, bound: str) -> dict[str, Any]:
    """What every stop has in common; returns the log's line about it."""
    events = await house.events(view.run_id)
    reached = [event.body for event in events if event.body.kind == "bound_reached"]
    assert view.status == "success", view.error
    assert [body.bound for body in reached] == [bound]
    assert view.partial
    assert bound in view.note
    assert view.answer
    assert gapless(events)
    assert [event.body.kind for event in events].count("run_finished") == 1
    return reached[0].model_dump()


async def failed_calls(house: House, view: RunView) -> list[dict[str, Any]]:
    return [event.body.model_dump() for event in await house.events(view.run_id) if event.body.kind == "model_failed"]


async def test_model_calls_are_limited(house: House) -> None:
    models = ScriptedModels(worker=never_reports)
    view = await house.finish(models, bounds=Bounds(model_calls=5))
    line = await stopped(house, view, "model_calls")
    assert len(models.calls) == 5
    assert (line["limit"], line["used"]) == (5, 5)
    assert "model_calls" in (view.answer or "")


async def test_no_model_call_at_all_still_ends_in_a_stated_answer(house: House) -> None:
    models = ScriptedModels(price=0.5)
    view = await house.finish(models, bounds=Bounds(cost_usd=0.1))
    await stopped(house, view, "cost_usd")
    assert models.calls == []
    assert view.plan is None


async def test_tool_calls_are_limited(house: House) -> None:
    lookup = Lookup()
    view = await house.finish(ScriptedModels(worker=never_reports), lookup, bounds=Bounds(tool_calls=3))
    await stopped(house, view, "tool_calls")
    assert len(lookup.asked) == 3
    assert view.steps[0].status == "stopped"
    assert len(view.steps[0].sources) == 3, "what was found until then stays"


async def test_a_workers_reply_that_breaks_off_is_paid_for_and_asked_for_once_more(house: House) -> None:
    part = StreamCut("cut", {"input_tokens": 90, "output_tokens": 4, "cost_usd": 0.25})
    cuts = [True, False, True]

    async def breaks_off(call: ModelCall) -> ModelReply:
        return await (fails(part) if cuts and cuts.pop(0) else finds_and_reports)(call)

    models = ScriptedModels(worker=breaks_off)
    view = await house.finish(models)
    assert (view.status, view.partial) == ("success", False)
    assert len(models.by("worker")) == 4, "two turns, each asked for twice"
    assert [line["code"] for line in await failed_calls(house, view)] == ["model_unavailable"] * 2
    assert view.cost_usd == pytest.approx(0.5)


async def test_no_bound_is_passed_for_a_reply_that_breaks_off(house: House) -> None:
    part = StreamCut("cut", {"cost_usd": 0.25})
    models = ScriptedModels(worker=fails(part))
    view = await house.finish(models, bounds=Bounds(model_calls=2))
    await stopped(house, view, "model_calls")
    assert len(models.by("worker")) == 1
    assert len(await failed_calls(house, view)) == 1


async def test_a_reply_that_breaks_off_twice_fails_the_run(house: House) -> None:
    models = ScriptedModels(worker=fails(StreamCut("cut", {})))
    view = await house.finish(models)
    assert view.status != "success"
    assert len(await failed_calls(house, view)) == len(models.by("worker"))


async def test_parallel_steps_together_stay_within_the_limits_of_calls(house: House) -> None:
    """Ten steps want a call at the same moment, and each limit leaves room for a few."""
    steps = plans(*(f"s{n}" for n in range(1, 11)))
    models = ScriptedModels(planner=steps, worker=after(0.05, finds_and_reports))
    view = await house.finish(models, bounds=Bounds(model_calls=5))
    await stopped(house, view, "model_calls")
    assert len(models.calls) == 5

    lookup = Lookup(takes_s=0.05)
    view = await house.finish(ScriptedModels(planner=steps), lookup, bounds=Bounds(tool_calls=4))
    await stopped(house, view, "tool_calls")
    assert len(lookup.asked) == 4


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("verdict", [revise("s1"), REPLAN], ids=["revise", "replan"])
async def test_critic_rounds_are_limited(house: House, rounds: int, verdict: dict[str, Any]) -> None:
    models = ScriptedModels(critic=rules(verdict))
    view = await house.finish(models, bounds=Bounds(critic_rounds=rounds))
    await stopped(house, view, "critic_rounds")
    assert len(models.by("critic")) == rounds
    assert view.verdict is not None
    assert view.verdict.decision == "give_up"
    assert view.verdict.reasons[0] in view.note, "what stays open is said"
    assert view.answer == "It is 42 [1]."


async def test_a_run_without_critic_rounds_asks_no_critic(house: House) -> None:
    models = ScriptedModels(critic=rules(REPLAN))
    view = await house.finish(models, bounds=Bounds(critic_rounds=0))
    assert (view.status, view.partial) == ("success", False)
    assert models.by("critic") == []


async def test_an_acceptance_in_the_last_round_is_whole(house: House) -> None:
    view = await house.finish(ScriptedModels(), bounds=Bounds(critic_rounds=1))
    assert (view.status, view.partial, view.note) == ("success", False, "")
    assert await house.bodies(view.run_id, "bound_reached") == []


async def test_seconds_are_limited_within_a_models_call(house: House) -> None:
    models = ScriptedModels(worker=after(30, finds_and_reports))
    async with asyncio.timeout(20):
        view = await house.finish(models, bounds=Bounds(seconds=0.6))
    await stopped(house, view, "seconds")


async def test_a_tool_that_outlasts_the_seconds_is_the_last_one(house: House) -> None:
    """A call that has begun is not cut off, since it may have an effect; what it found is kept."""
    for seconds in (0.6, 2, 6):  # a busy machine may need the first ones for the way there
        lookup = Lookup(takes_s=seconds + 0.1)
        view = await house.finish(ScriptedModels(worker=never_reports), lookup, bounds=Bounds(seconds=seconds))
        await stopped(house, view, "seconds")
        if lookup.asked:
            break
    assert len(lookup.asked) == 1
    assert [source.path for source in view.steps[0].sources] == ["notes/attempt-0.md"]


async def test_a_tool_is_stopped_when_the_runs_seconds_are_over_and_not_when_its_own_are(house: House) -> None:
    for seconds in (1, 3, 9):  # as above
        started, lookup = time.monotonic(), Lookup(takes_s=50)
        view = await house.finish(ScriptedModels(), lookup, bounds=Bounds(seconds=seconds))
        await stopped(house, view, "seconds")
        if lookup.asked:
            break
    assert time.monotonic() - started < 30
    (finished,) = await house.bodies(view.run_id, "tool_finished")
    assert '"timeout"' in finished.content


async def test_tokens_are_limited(house: House) -> None:
    models = ScriptedModels(worker=never_reports)
    view = await house.finish(models, bounds=Bounds(tokens=3 * TOKENS))
    await stopped(house, view, "tokens")
    assert len(models.calls) == 3


async def test_a_call_that_could_cost_too_much_is_not_made(house: House) -> None:
    """Each call is estimated at 0.4 USD: the third would bring 1.0 to 1.2."""
    models = ScriptedModels(worker=never_reports, price=0.4)
    view = await house.finish(models, bounds=Bounds(cost_usd=1.0))
    line = await stopped(house, view, "cost_usd")
    assert len(models.calls) == 2
    assert line["used"] == pytest.approx(1.2)
    assert view.cost_usd == pytest.approx(0.8)


async def test_money_in_flight_of_parallel_steps_counts(house: House) -> None:
    """The planner has spent 0.25; of ten steps at once only two more fit under 0.75 while none has an answer yet."""
    steps = plans(*(f"s{n}" for n in range(1, 11)))
    models = ScriptedModels(planner=steps, worker=after(0.1, finds_and_reports), price=0.25)
    view = await house.finish(models, bounds=Bounds(cost_usd=0.75))
    await stopped(house, view, "cost_usd")
    assert len(models.by("worker")) == 2
    assert view.cost_usd == pytest.approx(0.75)


async def test_the_same_call_three_times_breaks_the_loop(house: House) -> None:
    lookup = Lookup()
    view = await house.finish(ScriptedModels(worker=asks_the_same), lookup)
    await stopped(house, view, "repeated_call")
    assert lookup.asked == ["s1 again", "s1 again"]
    assert view.steps[0].status == "stopped"


async def test_the_same_call_three_times_in_one_reply_breaks_the_loop(house: House) -> None:
    async def all_at_once(call: ModelCall) -> ModelReply:
        calls = [tool_call(call, "lookup", query="again") for _ in range(5)]
        return spoken("", *(one.model_copy(update={"id": f"call-{n}"}) for n, one in enumerate(calls)))

    lookup = Lookup()
    view = await house.finish(ScriptedModels(worker=all_at_once), lookup)
    await stopped(house, view, "repeated_call")
    assert lookup.asked == ["s1 again", "s1 again"]


async def test_one_step_in_a_loop_does_not_stop_its_neighbour(house: House) -> None:
    async def one_loops(call: ModelCall) -> ModelReply:
        assert isinstance(call.task, StepTask)
        return await (asks_the_same if call.task.step.id == "s1" else finds_and_reports)(call)

    view = await house.finish(ScriptedModels(planner=plans("s1", "s2"), worker=one_loops))
    await stopped(house, view, "repeated_call")
    assert sorted((step.step_id, step.status) for step in view.steps) == [("s1", "stopped"), ("s2", "done")]


async def test_a_bound_that_is_reached_while_planning_again_asks_no_person(house: House) -> None:
    """The second plan can't be made any more: there is nothing left to approve."""
    models = ScriptedModels(critic=rules(REPLAN))
    run_id = await house.create(review_plan=True, bounds=Bounds(model_calls=4))
    executor = house.executor(models)
    await executor.attempt(await house.claim())
    await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
    await executor.attempt(await house.claim())
    await stopped(house, await house.store.get(run_id), "model_calls")
