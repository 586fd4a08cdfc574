"""What a person does to a run under way: holds it and edits its plan, stops it, goes on from an earlier line of it."""

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.chaos.caller import Caller

_MOST_STEPS = 6


async def hold(caller: "Caller") -> None:
    """Pauses the run now and then; while it stands still its plan may be edited; then it is resumed."""
    for _ in range(caller.chance.choice((1, 2, 3))):
        await asyncio.sleep(caller.chance.uniform(0, 0.6))
        await caller.say("pause")
        view = await _standing(caller)
        if view["phase"] == "paused":
            if view["plan"] and caller.chance.random() < 0.7:
                await _edit(caller, view)
            await asyncio.sleep(caller.chance.uniform(0, 0.3))
            await caller.resume()


async def stop(caller: "Caller") -> None:
    """Pauses the run and thinks better of it: it is to end, standing still or not yet."""
    await asyncio.sleep(caller.chance.uniform(0, 0.8))
    await caller.say("pause")
    await asyncio.sleep(caller.chance.choice((0.0, caller.chance.uniform(0, 0.1), caller.chance.uniform(0, 0.4))))
    await caller.cancel()


async def fork(caller: "Caller") -> None:
    """Goes on from a line that the run has reached, in a run of its own; the first one may be under way or over."""
    await asyncio.sleep(caller.chance.uniform(0.2, 1.5))
    path = f"/runs/{caller.told.run_id}/checkpoints"
    points = [each["seq"] for each in (await caller.asked("GET", path, lambda answer: answer.status == 200)).json()]
    if points:
        at = caller.chance.randint(points[0], points[-1])
        await caller.fork(at, max(seq for seq in points if seq <= at))


async def _standing(caller: "Caller") -> dict[str, Any]:
    """The run as soon as it isn't about to pause any more."""
    while (view := await caller.view())["phase"] == "pausing":
        await asyncio.sleep(0.05)
    return view


async def _edit(caller: "Caller", view: dict[str, Any]) -> None:
    """One step more, or the last one dropped; refused where that has begun, or the answer is written."""
    steps = view["plan"]["steps"]
    if caller.chance.random() < 0.7 and len(steps) < _MOST_STEPS:
        goal = {"goal": "use stamp_honours", "done_when": "it is done"}
        plan = {"steps": [*steps, {"id": f"s{len(steps) + 4}", **goal}]}
    else:
        plan = {"steps": steps[:-1]}
    answer = await caller.say("plan", 400, method="PUT", body={"plan": plan, "last_seq": view["last_seq"]})
    if answer.status == 200:
        caller.told.edits.append(plan)
