"""`client.threads.update_state`, against a real server and hosted graphs."""

import asyncio
from typing import Any

import psycopg
from langgraph_sdk.client import LangGraphClient

from tests.acceptance.conftest import Up
from tests.sdk.refusal import refused
from tests.sdk.walk import walked

NOBODY = "00000000-0000-4000-8000-000000000000"


async def test_an_update_is_a_checkpoint_on_top(client: LangGraphClient) -> None:
    thread = await walked(client, steps=1)
    before = await client.threads.get_state(thread)
    done = await client.threads.update_state(thread, {"done": 10}, as_node="step")
    state = await client.threads.get_state(thread)
    assert done["checkpoint"] == state["checkpoint"]
    assert state["parent_checkpoint"] == before["checkpoint"]
    assert state["values"] == {"steps": 9, "done": 11}
    assert state["next"] == []
    found = await client.threads.get(thread)
    assert (found["values"], found["status"]) == ({"steps": 9, "done": 11}, "idle")
    await client.threads.update_state(thread, {"delay": 0.5})
    assert (await client.threads.get_state(thread))["values"] == {"steps": 9, "done": 11, "delay": 0.5}


async def test_an_update_at_an_earlier_checkpoint_is_a_branch(client: LangGraphClient) -> None:
    thread = await walked(client, steps=3)
    history = await client.threads.get_history(thread)
    done = await client.threads.update_state(thread, {"done": 5}, as_node="step", checkpoint=history[2]["checkpoint"])
    state = await client.threads.get_state(thread)
    assert state["checkpoint"] == done["checkpoint"]
    assert state["values"] == {"steps": 9, "done": 6}
    assert state["parent_checkpoint"] == history[2]["checkpoint"]
    at: Any = history[1]["checkpoint"]["checkpoint_id"]
    await client.threads.update_state(thread, {"done": 5}, as_node="step", checkpoint_id=at)
    assert (await client.threads.get_state(thread))["values"] == {"steps": 9, "done": 7}
    missing = client.threads.update_state(thread, {"done": 5}, as_node="step", checkpoint_id=NOBODY)
    assert "has no checkpoint" in await refused(missing, 404)


async def test_an_update_that_the_graph_can_not_take_is_refused_with_the_mend(client: LangGraphClient) -> None:
    thread = await walked(client, steps=1)
    chat = (await client.threads.create(graph_id="chat"))["thread_id"]
    before = await client.threads.get_state(thread)
    update = client.threads.update_state
    assert "Node nobody does not exist" in await refused(update(thread, {"done": 1}, as_node="nobody"), 422)
    assert "the state has no 'size'" in await refused(update(thread, {"size": 1}, as_node="step"), 422)
    assert "TypeError" in await refused(update(thread, {"done": "many"}, as_node="step"), 422)
    assert "Expected dict" in await refused(update(thread, [{"done": 1}], as_node="step"), 422)
    assert "the graph refuses the update" in await refused(update(chat, {"messages": 3}, as_node="agent"), 422)
    assert "values" in await refused(update(thread, 3), 422)  # type: ignore[arg-type]
    assert " not found" in await refused(update(NOBODY, {"done": 1}), 404)
    assert "is no UUID" in await refused(update("zz", {"done": 1}), 422)
    assert await client.threads.get_state(thread) == before
    nowhere = (await client.threads.create(graph_id="nope"))["thread_id"]
    assert "graph 'nope' not found" in await refused(update(nowhere, {"a": 1}), 404)
    broken = (await client.threads.create(graph_id="broken"))["thread_id"]
    assert "the charts are not aboard" in await refused(client.threads.get_state(broken), 422)


async def test_an_update_while_a_run_is_live_is_refused(client: LangGraphClient) -> None:
    thread = (await client.threads.create(graph_id="trireme"))["thread_id"]
    later = {"goal": "What is 2 plus 2?", "thread_id": thread, "after_seconds": 600}
    run = await client.http.post("/runs", json=later)
    assert "is pending" in await refused(client.threads.update_state(thread, {"goal": "x"}, as_node="planner"), 409)
    assert "is pending" in await refused(client.threads.prune([thread], strategy="keep_latest"), 409)
    await client.http.post(f"/runs/{run['run_id']}/cancel", json={})
    await client.threads.prune([thread], strategy="keep_latest")


async def test_the_agents_state_is_read_and_edited_and_stays_redacted(client: LangGraphClient, server: Up) -> None:
    thread = (await client.threads.create())["thread_id"]
    goal = {"goal": "What is 2 plus 2? Tell maria@example.com", "thread_id": thread}
    await client.http.post("/runs", json=goal, params={"wait": True})
    state = await client.threads.get_state(thread)
    assert state["values"]["goal"] == goal["goal"]  # type: ignore[call-overload]
    assert (await client.threads.get_history(thread, limit=1))[0]["values"]["goal"] == goal["goal"]  # type: ignore[call-overload]
    node = state["next"][0] if state["next"] else "answer"
    await client.threads.update_state(thread, {"goal": "Tell nikos@example.com"}, as_node=node)
    edited = await client.threads.get_state(thread)
    assert edited["values"]["goal"] == "Tell nikos@example.com"  # type: ignore[call-overload]
    talk = (await client.threads.get(thread))["values"]["messages"]  # type: ignore[index]
    assert talk[0]["content"] == goal["goal"]
    with psycopg.connect(server.home.dsn) as connection:
        row = connection.execute("select values::text from threads where thread_id = %s", (thread,)).fetchone()
    assert row is not None
    assert "nikos" not in row[0]
    assert "[EMAIL_" in row[0]


async def test_many_updates_at_once_lose_none(client: LangGraphClient) -> None:
    thread = await walked(client, steps=1)
    await asyncio.gather(*(client.threads.update_state(thread, {"done": 1}, as_node="step") for _ in range(12)))
    assert (await client.threads.get_state(thread))["values"] == {"steps": 9, "done": 13}
