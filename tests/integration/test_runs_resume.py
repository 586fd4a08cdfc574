"""A run that failed, or that a bound stopped, goes on where it stood; with other bounds, if a person says so."""

from collections import Counter
from functools import partial

import pytest
from langgraph.runtime import RunControl

from graph.errors import ModelUnavailable
from graph.events import EventBody
from graph.ports import ModelCall, ModelReply
from serving.errors import BadRequest, ServingError
from serving.runs.attempts.execute import PAUSE
from serving.runs.log import AttemptLog
from tests.integration.run_house import House, Lookup
from tests.integration.scripted_models import ScriptedModels, Turn, fails, plans
from tests.integration.standing_runs import go_on


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
