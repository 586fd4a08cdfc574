"""Interrupts, breakpoints, commands and checkpoints: where a run stops, and how the next one goes on."""

import asyncio
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient

PATH = ["x", "begin", "x", "begin", "sink", "x", "begin", "sink", "dive"]
MAIL: dict[str, Any] = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}


async def test_parallel_interrupts_are_answered_by_their_ids(client: Any, thread: str) -> None:
    asked = await client.runs.wait(thread, "nested", input={"path": ["x"]})
    assert asked["path"] == PATH
    ids = {each["value"]["question"]: each["id"] for each in asked["__interrupt__"]}
    waiting = await client.threads.get(thread)
    assert waiting["status"] == "interrupted"
    shown = [each for task in waiting["interrupts"].values() for each in task]
    assert {each["value"]["question"]: each["id"] for each in shown} == ids
    answers = {ids["go left?"]: "yes", ids["go right?"]: "no"}
    found = await client.runs.wait(thread, "nested", command={"resume": answers})
    assert found == {"path": [*PATH, "end"], "answers": ["left yes", "right no"]}
    ended = await client.threads.get(thread)
    assert (ended["status"], ended["interrupts"], ended["values"]) == ("idle", {}, found)


async def test_one_of_two_interrupts_leaves_the_other(client: Any, thread: str) -> None:
    asked = await client.runs.wait(thread, "nested", input={"path": ["x"]})
    left, right = asked["__interrupt__"]
    still = await client.runs.wait(thread, "nested", command={"resume": {left["id"]: "yes"}})
    assert [each["id"] for each in still["__interrupt__"]] == [right["id"]]
    found = await client.runs.wait(thread, "nested", command={"resume": {right["id"]: "yes"}})
    assert found["answers"] == ["left yes", "right yes"]


async def test_a_tool_call_waits_for_a_person(client: Any, thread: str) -> None:
    parts = [part async for part in client.runs.stream(thread, "chat", input=MAIL, stream_mode=["updates"])]
    (interrupt,) = parts[-1].data["__interrupt__"]
    assert interrupt["value"]["action_requests"][0]["args"] == {"to": "ann@example.com"}
    found = await client.runs.wait(thread, "chat", command={"resume": {"decisions": [{"type": "approve"}]}})
    assert found["messages"][-1]["content"] == "Aye: the mail to ann@example.com was sent"


async def test_a_breakpoint_before_a_node_is_passed_by_a_run_without_input(client: Any, thread: str) -> None:
    first = await client.runs.wait(thread, "nested", input={"path": ["x"]}, interrupt_before=["middle"])
    assert first == {"path": ["x", "begin"], "answers": []}
    assert (await client.threads.get(thread))["status"] == "interrupted"
    found = await client.runs.wait(thread, "nested", input=None)
    assert found["path"] == PATH


async def test_a_breakpoint_after_every_node(client: Any, thread: str) -> None:
    seen = [await client.runs.wait(thread, "slow", input={"steps": 2}, interrupt_after="*")]
    seen.append(await client.runs.wait(thread, "slow", input=None, interrupt_after=["step"]))
    assert [each["done"] for each in seen] == [1, 2]
    assert (await client.threads.get(thread))["status"] == "idle"


async def test_a_command_updates_the_state_and_says_where_to_go(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "nested", input={"path": ["x"]}, interrupt_before=["middle"])
    found = await client.runs.wait(
        thread, "nested", command={"update": {"path": ["up"]}, "goto": "end"}, interrupt_before=["middle"]
    )
    assert found["path"][:4] == ["x", "begin", "up", "end"]


async def test_a_command_sends_a_node_an_input_of_its_own(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    goto: Any = {"node": "step", "input": {"steps": 1, "fail_at": 1}}
    found = await client.runs.wait(thread, "slow", command={"goto": goto}, raise_error=False)
    assert found["__error__"]["message"] == "the mast broke"


async def test_a_run_begins_at_an_earlier_checkpoint(client: Any, thread: str) -> None:
    parts = [
        part
        async for part in client.runs.stream(thread, "slow", input={"steps": 3}, stream_mode=["checkpoints"])
        if part.event == "checkpoints"
    ]
    place: Any = parts[2].data["config"]["configurable"]
    assert parts[2].data["values"]["done"] == 1
    again = [
        part.data["step"]["done"]
        async for part in client.runs.stream(
            thread, "slow", input=None, checkpoint_id=place["checkpoint_id"], stream_mode="updates"
        )
        if part.event == "updates"
    ]
    assert again == [1, 1]
    found = await client.runs.wait(thread, "slow", input={"steps": 1}, checkpoint={**place, "checkpoint_map": None})
    assert found == {"steps": 1, "done": 2}


async def test_a_resume_that_nothing_waits_for_changes_nothing_unless_it_is_strict(client: Any, thread: str) -> None:
    before = await client.runs.wait(thread, "slow", input={"steps": 1})
    assert await client.runs.wait(thread, "slow", command={"resume": "yes"}) == before
    refused = await client.runs.wait(
        thread, "slow", command={"resume": {"0" * 32: "yes"}}, strict_resume=True, raise_error=False
    )
    assert refused["__error__"]["error"] == "UnknownInterruptError"


async def test_answers_sent_the_instant_an_interrupt_is_seen_are_all_taken(
    client: Any, request: pytest.FixtureRequest
) -> None:
    many = 1_000 if request.config.getoption("--cluster") and isinstance(client, LangGraphClient) else 40
    at_once = asyncio.Semaphore(40)  # the client has 100 connections

    async def answered() -> str:
        async with at_once:
            thread = (await client.threads.create())["thread_id"]
            async for part in client.runs.stream(thread, "chat", input=MAIL, stream_mode="updates"):
                if "__interrupt__" in part.data:
                    command = {"resume": {"decisions": [{"type": "approve"}]}}
                    run = await client.runs.create(thread, "chat", command=command)
                    break
            return str((await client.runs.join(thread, run["run_id"]))["messages"][-1]["content"])

    found = await asyncio.gather(*(answered() for _ in range(many)))
    assert set(found) == {"Aye: the mail to ann@example.com was sent"}


async def test_a_graph_that_has_lost_the_node_that_is_next_says_so_and_leaves_the_thread_to_one_that_has_it(
    client: Any, thread: str
) -> None:
    await client.runs.wait(thread, "factory", input={"words": ["row"]}, interrupt_before=["count"])
    other = {"configurable": {"counting": "tally"}}
    run = await client.runs.create(thread, "factory", input=None, config=other)
    failed = await client.runs.join(thread, run["run_id"])
    assert failed["__error__"]["error"] == "graph_changed"
    assert "graph factory was to go on with count" in failed["__error__"]["message"]
    assert (await client.threads.get_state(thread))["next"] == ["count"]
    assert (await client.runs.wait(thread, "factory", input=None))["words"] == ["row", "row!", "Argo", "3", "7"]
