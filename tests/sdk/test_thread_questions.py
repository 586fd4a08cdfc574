"""What a thread waits for, asked and answered through the thread-centric protocol."""

import asyncio
import uuid
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.processes import wait_until
from tests.sdk.test_thread_streams import MAIL, Transport, is_root, of, transports, until_end

KEY = "Idempotency-Key"
PATH = ["x", "begin", "x", "begin", "sink", "x", "begin", "sink", "dive", "end"]


async def asked(thread: Any, number: int) -> dict[str, str]:
    """Interrupt ids by question, as soon as the SDK knows of so many."""
    async with asyncio.timeout(30):
        while len(thread.interrupts) < number:
            await asyncio.sleep(0.01)
    return {each["value"]["question"]: each["interrupt_id"] for each in thread.interrupts}


async def command(client: Any, thread: str, method: str, **params: Any) -> dict[str, Any]:
    sent = {"id": 7, "method": method, "params": params}
    answer: dict[str, Any] = (await client.http.client.post(f"/threads/{thread}/commands", json=sent)).json()
    assert answer["id"] == 7
    return answer


@transports
async def test_a_tool_call_waits_for_a_person(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="chat", transport=transport) as thread:
        await thread.run.start(input=MAIL)
        before = await until_end(thread.events, "interrupted")
        (question,) = of(before, "input.requested")
        assert question["payload"]["action_requests"][0]["args"] == {"to": "ann@example.com"}
        assert before[-2]["method"] == "input.requested"
        async with asyncio.timeout(30):
            while not thread.interrupted:
                await asyncio.sleep(0.01)
            await thread.run.respond({"decisions": [{"type": "approve"}]})
            said = (await thread.output)["messages"][-1]["content"]
        assert said[0]["text"] == "Aye: the mail to ann@example.com was sent"
        assert (thread.interrupted, thread.interrupts) == (False, [])


@transports
def test_the_same_without_an_event_loop(sync_client: SyncLangGraphClient, transport: Transport) -> None:
    with sync_client.threads.stream(assistant_id="chat", transport=transport) as thread:
        thread.run.start(input=MAIL)
        for event in thread.events:
            if event.get("method") == "lifecycle" and event["params"]["data"]["event"] == "interrupted":
                break
        assert wait_until(lambda: thread.interrupted)
        (interrupt,) = thread.interrupts
        thread.run.respond({"decisions": [{"type": "reject"}]}, interrupt_id=interrupt["interrupt_id"])
        assert "was not sent" in str(thread.output["messages"][-1])


async def test_parallel_questions_are_answered_one_behind_the_other_at_once(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        ids = await asked(thread, 2)
        await thread.run.respond("yes", interrupt_id=ids["go left?"])
        await thread.run.respond("no", interrupt_id=ids["go right?"])
        async with asyncio.timeout(30):
            assert await thread.output == {"path": PATH, "answers": ["left yes", "right no"]}


async def test_a_question_names_the_subgraph_that_asks_it(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="depths") as thread:
        await thread.run.start(input={"answers": []})
        ids = await asked(thread, 2)
        found = {each["value"]["question"]: each["namespace"] for each in thread.interrupts}
        assert [part.partition(":")[0] for part in found["how deep?"]] == ["top", "middle"]
        assert found["how high?"] == []
        state = await client.threads.get_state(thread.thread_id, subgraphs=True)
        top = next(task for task in state["tasks"] if task["name"] == "top")
        assert [f"top:{top['id']}"] == found["how deep?"][:1]
        await thread.run.respond("very", interrupt_id=ids["how deep?"])
        await thread.run.respond("not very", interrupt_id=ids["how high?"])
        async with asyncio.timeout(30):
            assert sorted((await thread.output)["answers"]) == ["deep very", "high not very"]


@pytest.mark.parametrize("who", ["the agent's own route", "the SDK"])
async def test_a_question_of_a_run_that_was_cancelled_is_asked_no_more(client: Any, thread: str, who: str) -> None:
    given: Any = {"input": {"messages": "What is 12 * 12?"}, "context": {"review_plan": True}}
    await client.runs.wait(thread, "trireme", **given)
    (run,) = await client.runs.list(thread)
    state = await client.threads.get_state(thread)
    (question,) = state["tasks"][0]["interrupts"]
    assert (question["id"], state["interrupts"]) == (question["value"]["id"], [question])
    assert (await client.threads.get(thread))["interrupts"] == {run["run_id"]: [question]}
    if who == "the SDK":
        await client.runs.cancel(thread, run["run_id"])
    else:
        await client.http.post(f"/runs/{run['run_id']}/cancel", json={})
    over, (newest, *_) = await client.threads.get_state(thread), await client.threads.get_history(thread)
    assert (over["interrupts"], over["tasks"], over["next"]) == ([], [], [])
    assert newest == over
    assert over["values"]["messages"][0]["content"] == "What is 12 * 12?"
    late = await command(client, thread, "input.respond", interrupt_id=question["id"], response={"type": "accept"})
    assert late["error"] == "no_such_interrupt"
    async with client.threads.stream(thread, assistant_id="trireme") as stream:
        async with asyncio.timeout(30):
            async for event in stream.events:
                if event["method"] == "lifecycle" and event["params"]["data"].get("error"):
                    break
    assert event["params"]["data"]["event"] == "interrupted"
    assert event["params"]["data"]["error"].startswith("cancelled by")


async def test_all_are_answered_with_one_command(client: Any) -> None:
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        ids = await asked(thread, 2)
        answers = [{"namespace": [], "interrupt_id": id_, "response": "so be it"} for id_ in ids.values()]
        told = await command(
            client,
            thread.thread_id,
            "input.respond",
            responses=answers,
            update={"path": ["over"]},
            metadata={"by": "a"},
        )
        async with asyncio.timeout(30):
            found = await thread.output
        run = await client.runs.get(thread.thread_id, told["result"]["run_id"])
    assert found["answers"] == ["left so be it", "right so be it"]
    assert "over" in found["path"]
    assert run["metadata"]["by"] == "a"


async def test_a_question_is_answered_once(client: Any) -> None:
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        ids, id_ = await asked(thread, 2), thread.thread_id
    left, right = ids["go left?"], ids["go right?"]
    answers = [
        command(client, id_, "input.respond", namespace=[], interrupt_id=left, response=said) for said in "abababab"
    ]
    outcomes = await asyncio.gather(*answers)
    taken = {outcome["result"]["run_id"] for outcome in outcomes if outcome["type"] == "success"}
    assert len(taken) == 1
    assert {outcome["error"] for outcome in outcomes if outcome["type"] == "error"} == {"no_such_interrupt"}
    await client.runs.join(id_, taken.pop())
    late = await command(client, id_, "input.respond", namespace=[], interrupt_id=left, response="a")
    assert late["error"] == "no_such_interrupt"
    other = await command(client, id_, "input.respond", namespace=[], interrupt_id=right, response="no")
    found = await client.runs.join(id_, other["result"]["run_id"])
    assert found["answers"] in (["left a", "right no"], ["left b", "right no"])


async def test_who_comes_later_is_asked_what_still_waits(client: Any) -> None:
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        ids, id_ = await asked(thread, 2), thread.thread_id
        await thread.run.respond("yes", interrupt_id=ids["go left?"])
        events = await until_end(thread.events, "interrupted")
    async with client.threads.stream(id_, assistant_id="nested") as thread:
        assert list(await asked(thread, 1)) == ["go right?"]
        await thread.run.respond("yes")
        async with asyncio.timeout(30):
            assert (await thread.output)["answers"] == ["left yes", "right yes"]
    assert [event["params"]["data"]["event"] for event in events if event["method"] == "lifecycle" and is_root(event)]


@pytest.mark.parametrize("goal", ["What is 12 * 12?", "What is 2 * 72?"])
async def test_a_plan_of_the_agent_waits_for_approval(client: LangGraphClient, goal: str) -> None:
    """A question of the same name on another thread is another question."""
    async with client.threads.stream(assistant_id="trireme") as thread:
        asked = {"messages": [{"role": "user", "content": goal}]}
        started = await thread.run.start(input=asked, config={"configurable": {"review_plan": True}})
        before = await until_end(thread.events, "interrupted")
        (question,) = of(before, "input.requested")
        assert question["payload"]["action_requests"][0]["name"]
        wrong = await command(client, thread.thread_id, "input.respond", interrupt_id="plan-9", response={})
        assert wrong["error"] == "no_such_interrupt"
        unfit = await command(
            client, thread.thread_id, "input.respond", interrupt_id=question["interrupt_id"], response="perhaps"
        )
        assert unfit["error"] == "invalid_argument"
        async with asyncio.timeout(20):
            while not thread.interrupted:
                await asyncio.sleep(0.01)
            answered = await thread.run.respond({"decisions": [{"type": "approve"}]})
            assert answered["run_id"] == started["run_id"]
            assert "144" in (await thread.output)["messages"][-1]["content"]


@pytest.mark.parametrize("params", [{}, {"interrupt_id": "x"}, {"responses": []}, {"responses": ["x"]}])
async def test_what_is_no_answer_is_refused(client: Any, thread: str, params: dict[str, Any]) -> None:
    assert (await command(client, thread, "input.respond", **params))["error"] == "invalid_argument"


async def test_nothing_waits_on_a_thread_without_a_question(client: Any, thread: str) -> None:
    params: dict[str, Any] = {"interrupt_id": "x", "response": "yes"}
    assert (await command(client, thread, "input.respond", **params))["error"] == "no_such_run"
    await client.runs.wait(thread, "slow", input={"steps": 1})
    assert (await command(client, thread, "input.respond", **params))["error"] == "no_such_run"


@pytest.mark.parametrize("place", ["", "/agent-protocol"])
async def test_a_command_with_a_key_starts_one_run(client: Any, thread: str, place: str) -> None:
    """The input that answers a question, too: sent again it is that answer, and no new turn."""

    async def say(key: str, method: str, **params: Any) -> dict[str, Any]:
        path, frame = f"{place}/threads/{thread}/commands", {"id": 7, "method": method, "params": params}
        answer: dict[str, Any] = (await client.http.client.post(path, json=frame, headers={KEY: key})).json()
        return answer

    async def twice(method: str, **params: Any) -> str:
        key = str(uuid.uuid4())
        first = (await say(key, method, **params))["result"]["run_id"]
        await client.runs.join(thread, first)
        assert (await say(key, method, **params))["result"]["run_id"] == first
        assert (await say(key, method, **{**params, "input": "another"}))["type"] == "error"
        return str(first)

    asks = await twice("run.start", assistant_id="chat", input=MAIL)
    answers = await twice("run.start", assistant_id="chat", input={"decisions": [{"type": "approve"}]})
    state = await client.threads.get_state(thread)
    assert not state["next"]
    forks = await twice("state.fork", checkpoint_id=state["checkpoint"]["checkpoint_id"])
    assert {run["run_id"] for run in await client.runs.list(thread)} == {asks, answers, forks}
