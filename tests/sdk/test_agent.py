"""Planner, worker and critic through the SDK: messages in, an answer out, approvals in between."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError

from tests.acceptance.conftest import Up

GOAL: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 12 * 12?"}]}
AGAIN: dict[str, Any] = {"messages": [{"role": "user", "content": "What is 3 + 4?"}]}
APPROVE: dict[str, Any] = {"resume": {"decisions": [{"type": "approve"}]}}


async def test_a_message_gets_an_answer_in_every_mode(client: Any, thread: str) -> None:
    modes = ["values", "updates", "messages-tuple", "messages", "custom"]
    parts = [part async for part in client.runs.stream(thread, "trireme", input=GOAL, stream_mode=modes)]
    assert parts[0].event == "metadata"
    first, *_, last = (part.data["messages"] for part in parts if part.event == "values")
    assert [message["content"] for message in first] == ["What is 12 * 12?"]
    human, ai = last
    assert (human["type"], ai["type"]) == ("human", "ai")
    assert "144" in ai["content"]
    chunks = [part.data[0] for part in parts if part.event == "messages"]
    assert ("".join(chunk["content"] for chunk in chunks), chunks[0]["id"]) == (ai["content"], ai["id"])
    assert (chunks[-1]["id"], chunks[-1]["response_metadata"]) == (ai["id"], {"finish_reason": "stop"})
    nodes = [next(iter(part.data)) for part in parts if part.event == "updates"]
    assert nodes == ["plan", "work", "critic", "answer"]
    told = {part.data["type"] for part in parts if part.event == "custom"}
    assert {"plan_proposed", "step_started", "verdict_given", "model_called"} <= told


async def test_a_thread_is_a_conversation(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL)
    found = await client.runs.wait(thread, "trireme", input={"messages": [*GOAL["messages"], "What is 3 + 4?"]})
    assert [message["type"] for message in found["messages"]] == ["human", "ai", "human", "ai"]
    assert [message["content"] for message in found["messages"]][2] == "What is 3 + 4?"
    assert found["answer"]["text"] == found["messages"][-1]["content"]


async def test_a_copy_goes_on_with_the_talk_and_leaves_the_question_where_it_is_asked(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL)
    first = (await client.threads.get(thread))["values"]["messages"]
    await client.runs.wait(thread, "trireme", input=AGAIN, context={"review_plan": True})
    copy = (await client.http.post(f"/threads/{thread}/copy", json=None))["thread_id"]
    shown = await client.threads.get(copy)
    assert (shown["status"], shown["interrupts"]) == ("idle", {})
    assert [message["content"] for message in shown["values"]["messages"]][2:] == ["What is 3 + 4?"]
    assert shown["values"]["messages"][:2] == first
    await client.threads.delete(thread)
    seen = [
        [message["content"] for message in part.data["messages"]]
        async for part in client.runs.stream(copy, "trireme", input=AGAIN, stream_mode="values")
        if part.event == "values"
    ]
    said = ["What is 12 * 12?", first[1]["content"], "What is 3 + 4?", "What is 3 + 4?"]
    assert seen == [said, [*said, seen[1][-1]]]
    assert "7" in seen[1][-1]
    after = (await client.threads.get(copy))["values"]["messages"]
    assert [message["content"] for message in after] == seen[1]


async def test_a_copy_of_a_goals_thread_is_the_agents_too(client: Any) -> None:
    run = await client.http.post("/runs", json={"goal": "What is 12 * 12?"}, params={"wait": True})
    talk = (await client.threads.get(run["thread_id"]))["values"]
    assert [message["type"] for message in talk["messages"]] == ["human", "ai"]
    copy = await client.threads.copy(run["thread_id"])
    assert (copy["values"], copy["metadata"]) == (talk, {"graph_id": "trireme"})
    assert len((await client.threads.get_state(copy["thread_id"]))["values"]["messages"]) == 2
    assert (await client.threads.copy(copy["thread_id"]))["values"] == talk


async def test_what_is_written_by_hand_is_shown_and_a_run_goes_on_behind_it(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL)
    await client.threads.update_state(thread, {"goal": "hidden by the talk"}, as_node="answer")
    copy = (await client.threads.copy(thread))["thread_id"]
    (goal, answer) = (await client.threads.get(copy))["values"]["messages"]
    note = {"type": "ai", "content": "Ask nikos@example.com.", "id": "note"}
    await client.threads.update_state(copy, {"messages": [note], "goal": "by hand"}, as_node="answer")
    said = [goal["content"], answer["content"], note["content"]]
    for each in (copy, (await client.threads.copy(copy))["thread_id"]):
        shown = (await client.threads.get(each))["values"]
        assert ([message["content"] for message in shown["messages"]], shown["goal"]) == (said, "by hand")
        left = await client.runs.wait(each, "trireme", input=AGAIN)
        assert [message["content"] for message in left["messages"]][:-1] == [*said, "What is 3 + 4?"]
        shown = (await client.threads.get(each))["values"]
        assert [message["content"] for message in shown["messages"]] == [each["content"] for each in left["messages"]]
        state = (await client.threads.get_state(each))["values"]
        assert [message["content"] for message in state["messages"]] == [each["content"] for each in left["messages"]]


async def test_a_plan_waits_for_approval_and_the_answer_goes_to_the_same_run(client: Any, thread: str) -> None:
    reviewed: Any = {"input": GOAL, "context": {"review_plan": True}}
    parts = [
        part async for part in client.runs.stream(thread, "trireme", stream_mode=["values", "updates"], **reviewed)
    ]
    (interrupt,) = parts[-1].data["__interrupt__"]
    assert interrupt["value"]["action_requests"][0]["name"]
    assert interrupt["value"]["id"] == interrupt["id"]
    (run,) = await client.runs.list(thread)
    assert (run["status"], (await client.threads.get(thread))["status"]) == ("interrupted", "interrupted")
    rest = [part async for part in client.runs.stream(thread, "trireme", command=APPROVE, stream_mode="values")]
    assert rest[0].data["run_id"] == run["run_id"]
    assert "144" in rest[-1].data["messages"][-1]["content"]
    assert [each["status"] for each in await client.runs.list(thread)] == ["success"]


async def test_wait_shows_the_question_and_an_answer_by_its_id_ends_it(client: Any, thread: str) -> None:
    asked = await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    (interrupt,) = asked["__interrupt__"]
    found = await client.runs.wait(thread, "trireme", command={"resume": {interrupt["id"]: {"type": "accept"}}})
    assert "144" in found["answer"]["text"]


async def test_a_question_is_answered_once(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread, "trireme", command={"resume": {"type": "perhaps"}})
    answers = [client.runs.create(thread, "trireme", command=APPROVE) for _ in range(5)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert {type(outcome) for outcome in outcomes} == {dict, ConflictError}
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "trireme", command=APPROVE)


async def test_a_message_keeps_the_id_by_which_a_page_knows_it(client: Any, thread: str) -> None:
    kept, other = str(uuid4()), "Ann's message"
    for id_ in (kept, other):
        said = {"messages": [{"type": "human", "id": id_, "content": "What is 12 * 12?"}]}
        found = await client.runs.wait(thread, "trireme", input=said)
    ids = [message["id"] for message in found["messages"]]
    assert (ids[0], ids[2].startswith("goal-")) == (kept, True)
    state, told = await client.threads.get_state(thread), await client.threads.get(thread)
    assert [message["id"] for message in state["values"]["messages"]] == ids
    assert [message["id"] for message in told["values"]["messages"]] == ids


async def test_a_thread_tells_what_was_said_on_it_and_what_it_waits_for(client: Any, thread: str) -> None:
    asked = await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    (found,) = await client.threads.search(ids=[thread], status="interrupted", metadata={"graph_id": "trireme"})
    assert list(found["interrupts"].values()) == [asked["__interrupt__"]]
    assert [message["content"] for message in found["values"]["messages"]] == ["What is 12 * 12?"]
    await client.runs.wait(thread, "trireme", command=APPROVE)
    said = await client.runs.wait(thread, "trireme", input={"messages": "What is 3 + 4?"})
    ended = await client.threads.get(thread)
    told = [(each["type"], each["id"], each["content"]) for each in said["messages"]]
    assert [(each["type"], each["id"], each["content"]) for each in ended["values"]["messages"]] == told
    assert ended["interrupts"] == {}
    (part,) = await client.threads.search(
        ids=[thread], select=["values"], extract={"first": "values.messages[0].content"}
    )
    assert part == {"values": ended["values"], "extracted": {"first": "What is 12 * 12?"}}


async def test_a_page_edits_a_plan_as_text(client: Any, thread: str) -> None:
    asked = await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    request = asked["__interrupt__"][0]["value"]["action_request"]
    (step,) = request["args"]["steps"]
    edited = {**request, "args": {"steps": json.dumps([{**step, "goal": "What is 5 * 5?"}])}}
    found = await client.runs.wait(thread, "trireme", command={"resume": [{"type": "edit", "args": edited}]})
    assert "25" in found["answer"]["text"]


async def test_going_to_the_end_gives_up_the_question(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    found = await client.runs.wait(thread, "trireme", input={}, command={"goto": "__end__"})
    assert [message["type"] for message in found["messages"]] == ["human"]
    (run,) = await client.runs.list(thread)
    left = await client.threads.get(thread)
    assert (run["status"], left["status"], left["interrupts"]) == ("interrupted", "idle", {})
    state = await client.threads.get_state(thread)
    assert (state["next"], state["tasks"], state["interrupts"]) == ([], [], [])
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "trireme", command={"goto": "__end__"})


async def test_an_idempotency_key_answers_once(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    once: Any = {"command": APPROVE, "headers": {"Idempotency-Key": thread}}
    runs = await asyncio.gather(*(client.runs.create(thread, "trireme", **once) for _ in range(4)))
    assert len({run["run_id"] for run in runs}) == 1
    found = await client.runs.wait(thread, "trireme", **once)
    assert "144" in found["answer"]["text"]
    again = [part async for part in client.runs.stream(thread, "trireme", stream_mode="values", **once)]
    assert (again[0].data["run_id"], again[-1].data) == (runs[0]["run_id"], found)
    assert not any("__interrupt__" in part.data for part in again)
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    assert (await client.runs.create(thread, "trireme", **once))["run_id"] == runs[0]["run_id"]
    assert (await client.threads.get(thread))["status"] == "interrupted"  # the next question waits for its own answer
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "trireme", command={"resume": {"type": "reject"}}, headers=once["headers"])


async def test_new_input_gives_up_the_question(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    found = await client.runs.wait(thread, "trireme", input={"messages": "What is 3 + 4?"})
    assert found["answer"]["text"]
    assert [run["status"] for run in await client.runs.list(thread)] == ["success", "interrupted"]


async def test_a_goal_that_cannot_be_used_is_refused(client: Any, thread: str) -> None:
    unusable: list[dict[str, Any]] = [{"messages": []}, {}, {"goal": "  "}]
    for given in unusable:
        with pytest.raises(Exception, match="goal"):
            await client.runs.create(thread, "trireme", input=given)
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread, "trireme", input=GOAL, context={"review_plan": "perhaps"})


async def test_what_a_person_types_is_kept_redacted_and_given_back(client: Any, thread: str, server: Up) -> None:
    said = {"messages": [{"role": "user", "content": "Mail to despina@example.com: what is 2 + 2?"}]}
    found = await client.runs.wait(thread, "trireme", input=said)
    assert "despina@example.com" in found["messages"][0]["content"]
    with psycopg.connect(server.home.dsn) as connection:
        query = "select request::text || launch::text || metadata::text from runs where thread_id = %s"
        kept = str(connection.execute(query, (thread,)).fetchone())
    assert "despina" not in kept


async def test_a_question_that_is_rolled_back_leaves_nothing(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL, context={"review_plan": True})
    (run,) = await client.runs.list(thread)
    await client.runs.cancel(thread, run["run_id"], action="rollback")
    assert await client.runs.list(thread) == []


def said(values: Any) -> list[str]:
    return [message["content"] for message in values["messages"]]


async def test_an_answer_is_given_anew_and_a_message_edited_on_the_thread(client: Any, thread: str) -> None:
    for goal in ("What is 12 * 12?", "What is 3 + 4?"):
        first = await client.runs.wait(thread, "trireme", input={"messages": [{"role": "user", "content": goal}]})
    states = list(reversed(await client.threads.get_history(thread, limit=100)))

    def first_seen(message: dict[str, Any]) -> Any:
        ids = ([each["id"] for each in state["values"].get("messages", [])] for state in states)
        return next(state for state, seen in zip(states, ids, strict=True) if message["id"] in seen)

    _, _, goal, answer = first["messages"]
    again = await client.runs.wait(thread, "trireme", checkpoint=first_seen(answer)["parent_checkpoint"])
    assert (said(again), again["messages"][2]) == (said(first), goal)
    assert again["messages"][3]["id"] not in [answer["id"], None]
    edited = await client.runs.wait(
        thread, "trireme", input={"messages": "What is 5 * 5?"}, checkpoint=first_seen(goal)["parent_checkpoint"]
    )
    assert said(edited)[:3] == ["What is 12 * 12?", said(first)[1], "What is 5 * 5?"]
    assert "25" in said(edited)[3]
    opening = first_seen(first["messages"][0])["parent_checkpoint"]["checkpoint_id"]
    anew = await client.runs.wait(thread, "trireme", input={"messages": "What is 6 * 7?"}, checkpoint_id=opening)
    assert (said(anew)[0], len(said(anew))) == ("What is 6 * 7?", 2)
    state, told = await client.threads.get_state(thread), await client.threads.get(thread)
    assert said(state["values"]) == said(told["values"]) == said(anew)
    behind = await client.runs.wait(
        thread, "trireme", input={"messages": "What is 1 + 1?"}, checkpoint=first_seen(answer)["checkpoint"]
    )
    assert said(behind)[:5] == [*said(first), "What is 1 + 1?"]
    further = await client.runs.wait(thread, "trireme", input={"messages": "What is 2 + 2?"})
    assert said(further)[:7] == [*said(behind), "What is 2 + 2?"]
    parents = [state["parent_checkpoint"] and state["parent_checkpoint"]["checkpoint_id"] for state in states]
    assert len(set(parents)) == len(parents), "before anybody went back, there was one branch"


async def test_a_checkpoint_from_which_the_agent_cannot_begin_is_refused(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "trireme", input=GOAL)
    end = (await client.threads.get_state(thread))["checkpoint"]
    with pytest.raises(UnprocessableEntityError, match="nothing is left to be done"):
        await client.runs.create(thread, "trireme", checkpoint=end)
    with pytest.raises(NotFoundError, match="has no checkpoint"):
        await client.runs.create(thread, "trireme", input=GOAL, checkpoint_id=str(uuid4()))
    with pytest.raises(UnprocessableEntityError, match="without its thread"):
        await client.runs.create(None, "trireme", input=GOAL, checkpoint_id=end["checkpoint_id"])
    asked: Any = {"assistant_id": "trireme", "input": GOAL}
    for place in ({"checkpoint_id": end["checkpoint_id"]}, {"checkpoint": end}):
        with pytest.raises(UnprocessableEntityError, match="without its thread"):
            await client.runs.create_batch([asked, asked | place])
    other = (await client.threads.update_state(thread, {"answer": None}, as_node="answer"))["checkpoint"]
    with pytest.raises(UnprocessableEntityError, match="of no run"):
        await client.runs.create(thread, "trireme", input=GOAL, checkpoint_id=other["checkpoint_id"])
