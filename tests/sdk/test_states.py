"""`client.threads`: state, history, supersteps, copies and pruning, against a real server and hosted graphs."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Up
from tests.sdk.refusal import refused
from tests.sdk.walk import BEGIN, step, walked

NOBODY = "00000000-0000-4000-8000-000000000000"
_STATE = {
    "values", "next", "tasks", "metadata", "created_at", "checkpoint", "parent_checkpoint", "interrupts",
    "checkpoint_id", "parent_checkpoint_id",
}  # fmt: skip


async def test_a_thread_without_a_graph_has_an_empty_state(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    state = await client.threads.get_state(thread)
    assert set(state) == _STATE
    assert (state["values"], state["next"], state["tasks"], state["interrupts"]) == ({}, [], [], [])
    assert state["checkpoint"] == {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": None}
    assert await client.threads.get_history(thread) == []
    assert "has no graph" in await refused(client.threads.update_state(thread, {"a": 1}), 422)


async def test_supersteps_make_a_thread_with_a_history(client: LangGraphClient) -> None:
    thread = await walked(client)
    found = await client.threads.get(thread)
    assert found["values"] == {"steps": 9, "done": 3}
    assert found["status"] == "interrupted"
    state = await client.threads.get_state(thread)
    assert set(state) == _STATE
    assert (state["values"], state["next"]) == ({"steps": 9, "done": 3}, ["step"])
    (task,) = state["tasks"]
    assert (task["name"], task["error"], task["interrupts"], task["state"]) == ("step", None, [], None)
    assert datetime.fromisoformat(str(state["created_at"])).utcoffset() is not None
    history = await client.threads.get_history(thread)
    assert [each["values"].get("done", 0) for each in history] == [3, 2, 1, 0, 0]  # type: ignore[union-attr]
    assert history[0]["checkpoint"] == state["checkpoint"]
    for newer, older in pairwise(history):
        assert newer["parent_checkpoint"] == older["checkpoint"]
    assert history[-1]["parent_checkpoint"] is None


async def test_a_history_whose_writer_died_is_written_by_who_sends_it_again(
    client: LangGraphClient, server: Up
) -> None:
    walk: Any = {"metadata": {"graph_id": "slow"}, "supersteps": [*BEGIN, step({"done": 1}, "step")]}
    once = {"Idempotency-Key": "a-walk"}
    thread = (await client.http.post("/threads", json=walk, headers=once))["thread_id"]
    written = await client.threads.get_history(thread)
    with psycopg.connect(server.home.dsn) as connection:
        connection.execute("delete from state_checkpoints where thread_id = %s", (thread,))
        connection.execute("update threads set values = null where thread_id = %s", (thread,))
    for _ in range(2):
        assert (await client.http.post("/threads", json=walk, headers=once))["thread_id"] == thread
        states = [each["values"] for each in await client.threads.get_history(thread)]
        assert states == [each["values"] for each in written]


async def test_supersteps_that_can_not_be_applied_make_no_thread(client: LangGraphClient) -> None:
    before = await client.threads.count(metadata={"graph_id": "slow"})
    bad = [step({"done": 1}, "nobody")]
    said = await refused(client.threads.create(graph_id="slow", supersteps=bad), 422)
    assert "nobody" in said
    assert "has no graph" in await refused(client.threads.create(supersteps=bad), 422)
    assert "graph 'nope' not found" in await refused(client.threads.create(graph_id="nope", supersteps=bad), 404)
    assert await client.threads.count(metadata={"graph_id": "slow"}) == before


async def test_a_state_is_read_at_a_checkpoint_by_either_way(client: LangGraphClient) -> None:
    thread = await walked(client)
    _, second, *_ = await client.threads.get_history(thread)
    by_checkpoint = await client.threads.get_state(thread, second["checkpoint"])
    by_id = await client.threads.get_state(thread, checkpoint_id=second["checkpoint"]["checkpoint_id"])
    assert by_checkpoint["values"] == by_id["values"] == second["values"] == {"steps": 9, "done": 2}
    assert by_checkpoint["checkpoint"] == by_id["checkpoint"] == second["checkpoint"]
    assert "has no checkpoint" in await refused(client.threads.get_state(thread, checkpoint_id=NOBODY), 404)
    assert "checkpoint_id" in await refused(client.threads.get_state(thread, checkpoint_id="a" * 300), 422)
    other: Any = {**second["checkpoint"], "thread_id": NOBODY}
    assert "another thread" in await refused(client.threads.get_state(thread, other), 422)


async def test_select_gives_parts_of_a_state(client: LangGraphClient) -> None:
    thread = await walked(client, steps=1)
    assert dict(await client.threads.get_state(thread, select=["next", "values.done"])) == {
        "next": ["step"],
        "values": {"done": 1},
    }
    state = await client.threads.get_state(thread)
    part = await client.threads.get_state(thread, state["checkpoint"], select=["values"])
    assert dict(part) == {"values": {"steps": 9, "done": 1}}
    history: Any = await client.threads.get_history(thread)
    for field in ("values", "next", "tasks", "checkpoint", "metadata", "created_at", "parent_checkpoint", "interrupts"):
        rows = await client.threads.get_history(thread, select=[field])
        assert [dict(row) for row in rows] == [{field: each[field]} for each in history]
        assert dict(await client.threads.get_state(thread, select=[field])) == {field: history[0][field]}
    newest, *_ = await client.threads.get_history(thread, select=["values.done"])
    assert dict(newest) == {"values": {"done": 1}}
    assert "select" in await refused(client.threads.get_state(thread, select=["size"]), 422)
    assert "select" in await refused(client.threads.get_history(thread, select=["values."]), 422)


async def test_history_is_limited_filtered_and_goes_on_before_a_checkpoint(client: LangGraphClient) -> None:
    thread = await walked(client, steps=4)
    history = await client.threads.get_history(thread, limit=100)
    assert len(history) == 6
    assert await client.threads.get_history(thread, limit=2) == history[:2]
    assert await client.threads.get_history(thread, before=history[1]["checkpoint"]) == history[2:]
    by_id: Any = history[1]["checkpoint"]["checkpoint_id"]
    assert await client.threads.get_history(thread, before=by_id) == history[2:]
    config: Any = {"configurable": history[1]["checkpoint"]}
    assert await client.threads.get_history(thread, before=config, limit=1) == history[2:3]
    assert await client.threads.get_history(thread, metadata={"step": 1}) == [
        each for each in history if each["metadata"] and each["metadata"]["step"] == 1
    ]
    assert await client.http.get(f"/threads/{thread}/history", params={"limit": 1, "before": by_id}) == history[2:3]
    assert "limit" in await refused(client.threads.get_history(thread, limit=0), 422)
    assert "limit" in await refused(client.threads.get_history(thread, limit=1_001), 422)


async def test_messages_are_shown_as_the_sdk_reads_them(client: LangGraphClient) -> None:
    thread = (await client.threads.create(graph_id="chat"))["thread_id"]
    said = [{"role": "user", "content": "ahoy"}, {"role": "assistant", "content": "aye", "id": "m2"}]
    await client.threads.update_state(thread, {"messages": said}, as_node="agent")
    state = await client.threads.get_state(thread)
    human, ai = state["values"]["messages"]  # type: ignore[call-overload]
    assert (human["type"], human["content"], bool(human["id"])) == ("human", "ahoy", True)
    assert (ai["type"], ai["content"], ai["id"], ai["tool_calls"]) == ("ai", "aye", "m2", [])
    (found,) = await client.threads.search(ids=[thread], extract={"last": "values.messages[-1].content"})
    assert found["extracted"] == {"last": "aye"}
    assert await client.threads.search(ids=[thread], values={"messages": [{"id": "m2"}]}) != []


async def test_a_copy_has_the_state_and_goes_its_own_way(client: LangGraphClient, server: Up) -> None:
    thread = await walked(client)
    copy = await client.http.post(f"/threads/{thread}/copy", json=None)
    other = copy["thread_id"]
    assert other != thread
    assert copy["metadata"] == (await client.threads.get(thread))["metadata"]
    assert copy["values"] == {"steps": 9, "done": 3}
    mine, theirs = await client.threads.get_history(thread), await client.threads.get_history(other)
    assert [each["values"] for each in mine] == [each["values"] for each in theirs]
    assert {each["checkpoint"]["thread_id"] for each in theirs} == {other}
    await client.threads.update_state(other, {"done": 1}, as_node="step")
    assert (await client.threads.get_state(thread))["values"] == {"steps": 9, "done": 3}
    await client.threads.delete(thread)
    assert (await client.threads.get_state(other))["values"] == {"steps": 9, "done": 4}
    assert " not found" in await refused(client.threads.copy(thread), 404)
    assert "is no UUID" in await refused(client.threads.copy("zz"), 422)
    once = {"Idempotency-Key": other}
    made, again = [await client.http.post(f"/threads/{other}/copy", json=None, headers=once) for _ in range(2)]
    assert made == again
    with psycopg.connect(server.home.dsn) as connection:  # as who died before the copy's row has left it
        connection.execute("delete from threads where thread_id = %s", (made["thread_id"],))
    whole = await client.http.post(f"/threads/{other}/copy", json=None, headers=once)
    assert (whole["thread_id"], whole["values"]) == (made["thread_id"], made["values"])
    assert len(await client.threads.get_history(made["thread_id"])) == len(theirs) + 1


async def test_pruning_keeps_the_latest_or_nothing(client: LangGraphClient) -> None:
    kept, gone = await walked(client), await walked(client)
    assert await client.threads.prune([kept, kept, NOBODY], strategy="keep_latest") == {"pruned_count": 1}
    (state,) = await client.threads.get_history(kept)
    assert state["values"] == {"steps": 9, "done": 3}
    await client.threads.update_state(kept, {"done": 1}, as_node="step")
    assert (await client.threads.get_state(kept))["values"] == {"steps": 9, "done": 4}
    assert await client.threads.prune([gone, NOBODY], strategy="delete") == {"pruned_count": 1}
    await refused(client.threads.get(gone), 404)
    assert "strategy" in await refused(client.threads.prune([kept], strategy="burn"), 422)  # type: ignore[arg-type]
    assert "is no UUID" in await refused(client.threads.prune(["zz"]), 422)


def test_the_sync_client_gets_the_same(sync_client: SyncLangGraphClient) -> None:
    walk = [*BEGIN, step({"done": 1}, "step")]
    thread = sync_client.threads.create(graph_id="slow", supersteps=walk)["thread_id"]
    sync_client.threads.update_state(thread, {"done": 1}, as_node="step")
    assert sync_client.threads.get_state(thread)["values"] == {"steps": 9, "done": 2}
    assert len(sync_client.threads.get_history(thread)) == 4


async def test_what_runs_leave_is_seen_in_state_history_and_search(client: LangGraphClient) -> None:
    thread = (await client.threads.create())["thread_id"]
    await client.runs.wait(thread, "nested", input={})
    found = await client.threads.get(thread)
    assert found["status"] == "interrupted"
    assert sorted(pause["value"]["question"] for tasks in found["interrupts"].values() for pause in tasks) == [
        "go left?",
        "go right?",
    ]
    assert await client.threads.search(ids=[thread], status="interrupted", values={"path": ["dive"]}) == [found]
    state = await client.threads.get_state(thread)
    assert state["values"] == found["values"]
    assert {task["name"]: task["interrupts"][0]["value"]["question"] for task in state["tasks"]} == {
        "left": "go left?",
        "right": "go right?",
    }
    assert len(state["interrupts"]) == 2
    history = await client.threads.get_history(thread, limit=100)
    (at,) = [task["checkpoint"] for each in history for task in each["tasks"] if task["name"] == "middle"]
    assert at is not None
    inner = await client.threads.get_state(thread, at)
    assert inner["values"]["path"][-1] == "dive"  # type: ignore[call-overload]
    assert len(await client.threads.get_history(thread, checkpoint=at)) >= 3
    before = next(each for each in history if each["next"] == ["middle"])
    deep = await client.threads.get_state(thread, before["checkpoint"], subgraphs=True)
    (task,) = deep["tasks"]
    assert task["state"] is not None
    assert task["state"]["values"] == inner["values"]
    await client.threads.update_state(thread, {"answers": ["left by hand"]}, as_node="left")
    edited = await client.threads.get(thread)
    assert (edited["values"] or {})["answers"] == ["left by hand"]


async def test_a_thread_keeps_the_config_of_its_last_run_for_its_graph(client: Any) -> None:
    thread = (await client.threads.create())["thread_id"]
    config: Any = {"configurable": {"counting": "tally"}, "tags": ["t"], "recursion_limit": 30}
    await client.runs.wait(thread, "factory", input={"words": ["a"]}, config=config, interrupt_before=["tally"])
    assert (await client.threads.get(thread))["config"] == config
    (copied,) = await client.threads.search(ids=[(await client.threads.copy(thread))["thread_id"]])
    assert copied["config"] == config
    told = {"graph_id": "factory", "thread_id": thread}
    ran = await client.threads.get_state(thread)
    assert ran["next"] == ["tally"]
    assert dict(ran["metadata"] or {}).items() >= {**told, "source": "loop"}.items()
    await client.threads.update_state(thread, {"words": ["b"]})
    edited = await client.threads.get_state(thread)
    assert dict(edited["metadata"] or {}).items() >= {**told, "source": "update"}.items()
    await client.runs.wait(thread, "factory", input={"words": []})
    assert (await client.threads.get(thread))["config"] == {"configurable": {}}


async def test_a_state_that_its_graph_can_not_read_is_said_to_be_one_until_a_run_mends_it(client: Any) -> None:
    thread = (await client.threads.create())["thread_id"]
    bad, good = ({"messages": [{"role": role, "content": "Ahoy"}]} for role in ("nobody", "user"))
    await client.runs.wait(thread, "chat", input=bad, raise_error=False)
    said = await refused(client.threads.get_state(thread), 422)
    assert "the graph can't read its state: ValueError: Unexpected message type: 'nobody'" in said
    await client.runs.wait(thread, "chat", input=good)
    assert (await client.threads.get_state(thread))["next"] == []


async def test_history_tells_what_each_task_came_to(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 2})
    history = await client.threads.get_history(thread)
    told = [[(task["name"], task["result"], task["error"]) for task in state["tasks"]] for state in history]
    step = [("step", {"done": 1}, None)]
    assert told == [[], step, step, [("__start__", {"steps": 2}, None)]]
    given: dict[str, Any] = {"path": ["here"]}
    await client.runs.wait(thread, "nested", input=given)
    asked, *_ = await client.threads.get_history(thread)
    assert {task["name"]: (task["result"], len(task["interrupts"])) for task in asked["tasks"]} == {
        "left": (None, 1),
        "right": (None, 1),
    }
    await client.runs.wait(thread, "slow", input={"steps": 4, "fail_at": 4}, raise_error=False)
    failed, *_ = await client.threads.get_history(thread)
    assert [(task["result"], task["error"]) for task in failed["tasks"]] == [(None, "ValueError('the mast broke')")]
