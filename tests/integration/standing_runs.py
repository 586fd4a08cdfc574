"""Runs that stand still, for the approval of their plan or because somebody paused them; and how they go on."""

from typing import Any

from langgraph.runtime import RunControl

from graph.ports import ApprovalDecision, ModelCall, ModelReply
from graph.state import Plan, Step
from serving.runs.attempts.execute import PAUSE
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup
from tests.integration.scripted_models import ScriptedModels, Turn, plans

APPROVE = ApprovalDecision(type="approve", by="ops@example.com")


async def parked(house: House, **options: Any) -> str:
    """A run that waits for its plan to be approved."""
    run_id = await house.create(review_plan=True, **options)
    await house.executor(ScriptedModels(planner=plans("s1", "s2"))).attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "interrupted"
    return run_id


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
