"""A thread is pinned to the version its run began with: another version goes on by it, or says why it can't."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import Field

from graph.build import RunGraph, build
from graph.events import Noted
from graph.ports import ApprovalDecision
from graph.prompt import Prompts, present_prompts
from graph.tools.registry import Arguments, Tool
from serving.runs.view import RunView
from tests.integration.run_house import House, Lookup
from tests.integration.scripted_models import ScriptedModels, written


def with_prompt(role: str, text: str) -> Prompts:
    return Prompts({**present_prompts().texts, role: text})


def with_another_node() -> RunGraph:
    async def audit(state: Any, runtime: Any) -> dict[str, Any]:
        return {}

    graph = build()
    graph.add_node("audit", audit)
    graph.add_edge("remember", "audit")
    return graph


class WiderQuery(Arguments):
    query: Any = ""
    limit: int = Field(default=5)


async def parked(house: House) -> str:
    """A run whose plan is made and waits for a person, who then approves: it is pending, to be gone on with."""
    run_id = await house.create(review_plan=True)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    await house.decisions.decide(run_id, "plan-1", ApprovalDecision(type="approve", by="ops"))
    return run_id


async def goes_on(house: House, run_id: str, models: ScriptedModels | None = None) -> RunView:
    await house.executor(models or ScriptedModels()).attempt(await house.claim())
    return await house.store.get(run_id)


async def notes(house: House, run_id: str) -> list[tuple[str, str]]:
    found: list[Noted] = await house.bodies(run_id, "noted")
    return [(note.code, note.message) for note in found]


async def test_a_run_on_its_own_version_has_nothing_to_note(house: House) -> None:
    run_id = await parked(house)
    assert (await goes_on(house, run_id)).status == "success"
    assert await notes(house, run_id) == []
    claims = await house.bodies(run_id, "run_claimed")
    assert {claim.bundle for claim in claims} == {house.bundle.digest}
    (pinned,) = house.execute("select bundle ->> 'graph', bundle -> 'prompts' ->> 'worker' from threads")
    assert pinned == (house.bundle.graph, house.bundle.prompts["worker"])


async def test_a_run_finishes_on_the_prompts_it_began_with(house: House) -> None:
    run_id, models = await parked(house), ScriptedModels()
    newer = house.version(prompts=with_prompt("worker", "Do it in another way."))
    assert (await goes_on(newer, run_id, models)).status == "success"
    assert models.by("worker")
    sent = b"".join(written(call.messages) for call in models.calls)
    assert b"Do it in another way." not in sent
    versions = {body.role: body.prompt_version for body in await house.bodies(run_id, "model_called")}
    assert versions["worker"] == house.prompts.version("worker")
    [(code, message)] = await notes(house, run_id)
    assert code == "bundle_kept"
    assert "prompts (worker)" in message


async def test_prompts_that_nobody_kept_end_the_run_plainly(house: House) -> None:
    run_id = await parked(house)
    house.execute("delete from prompt_texts")
    view = await goes_on(house.version(prompts=with_prompt("critic", "Be kind.")), run_id)
    assert view.error is not None
    assert view.error.code == "bundle_changed"
    assert "prompts" in view.error.message


async def test_a_run_doesnt_see_tools_that_came_after_it(house: House) -> None:
    run_id, models = await parked(house), ScriptedModels()
    newer = house.version(tools=(*house.tools, replace(Lookup().tool(), name="another")))
    assert (await goes_on(newer, run_id, models)).status == "success"
    assert {schema.name for call in models.calls for schema in call.tools} == {"lookup", "report"}
    [(code, message)] = await notes(house, run_id)
    assert code == "bundle_kept"
    assert "tools (another)" in message


async def test_other_routes_are_noted_and_used(house: House) -> None:
    run_id = await parked(house)
    assert (await goes_on(house.version(routes="elsewhere"), run_id)).status == "success"
    [(code, message)] = await notes(house, run_id)
    assert (code, message.endswith("other routes")) == ("bundle_kept", True)


def without_lookup(tool: Tool) -> tuple[Tool, ...]:
    return ()


def with_a_wider_lookup(tool: Tool) -> tuple[Tool, ...]:
    return (replace(tool, parameters=WiderQuery),)


@pytest.mark.parametrize("changed", [without_lookup, with_a_wider_lookup])
async def test_a_tool_that_is_gone_or_has_changed_ends_the_run_plainly_and_its_own_version_goes_on(
    house: House, changed: Callable[[Tool], tuple[Tool, ...]]
) -> None:
    run_id, models = await parked(house), ScriptedModels()
    view = await goes_on(house.version(tools=changed(house.tools[0])), run_id, models)
    assert (view.status, models.calls) == ("error", [])
    assert view.error is not None
    assert view.error.code == "bundle_changed"
    assert "tools (lookup)" in view.error.message
    assert "resume" in view.error.message
    await house.controls.resume(run_id, by="ops")
    assert (await goes_on(house, run_id)).status == "success"


async def test_another_graph_ends_the_run_plainly(house: House) -> None:
    run_id = await parked(house)
    view = await goes_on(house.version(graph=with_another_node), run_id)
    assert view.error is not None
    assert view.error.code == "bundle_changed"
    assert "other graph" in view.error.message


async def test_a_bundle_of_another_form_ends_the_run_plainly(house: House) -> None:
    run_id = await parked(house)
    house.execute("update threads set bundle = bundle || '{\"skills\": {}}'")
    view = await goes_on(house, run_id)
    assert (view.status, view.error and view.error.code) == ("error", "bundle_changed")


async def test_a_new_run_pins_its_thread_anew_and_says_so(house: House) -> None:
    view = await house.finish(ScriptedModels())
    newer = house.version(graph=with_another_node, tools=(replace(Lookup().tool(), parameters=WiderQuery),))
    second = await newer.finish(ScriptedModels(), thread_id=view.thread_id)
    assert second.status == "success"
    [(code, message)] = await notes(house, second.run_id)
    assert code == "bundle_repinned"
    assert "graph, tools (lookup)" in message
    assert house.execute("select bundle ->> 'graph' from threads") == [(newer.bundle.graph,)]
    third = await newer.finish(ScriptedModels(), thread_id=view.thread_id)
    assert await notes(house, third.run_id) == []


async def test_a_run_whose_worker_died_before_the_first_model_call_takes_the_version_that_is_there(
    house: House,
) -> None:
    run_id = await house.create()
    await house.queue.release(await house.claim())
    newer = house.version(graph=with_another_node)
    assert (await goes_on(newer, run_id)).status == "success"
    assert [code for code, _ in await notes(house, run_id)] == ["bundle_repinned"]
    assert house.execute("select bundle ->> 'graph' from threads") == [(newer.bundle.graph,)]


def test_the_bundle_holds_hashes_and_names_alone(house: House) -> None:
    told = house.bundle.json()
    assert "lookup" in told
    assert present_prompts().texts["worker"][:20] not in told
    assert len(told) < 1_000
    assert "scripted" not in told


def test_a_bundle_moves_with_each_of_its_parts(house: House) -> None:
    others = (
        house.version(prompts=with_prompt("planner", "x")),
        house.version(tools=()),
        house.version(graph=with_another_node),
        house.version(routes="y"),
    )
    assert len({other.bundle.digest for other in (house, *others)}) == 5
