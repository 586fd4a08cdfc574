"""`RemoteGraph`: our server's graphs as LangGraph's own, alone and within another graph."""

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph
from langgraph.types import Command

ASK: Any = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
MAIL: Any = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}
APPROVE: Any = Command(resume={"decisions": [{"type": "approve"}]})
ANSWER = "Aye: it is sunny in Athens"


@pytest.fixture
def remote(client: Any, sync_client: Any) -> RemoteGraph:
    return RemoteGraph("chat", client=client, sync_client=sync_client)


async def test_it_is_invoked_and_streamed(remote: RemoteGraph, client: Any, thread: str) -> None:
    config: Any = {"configurable": {"thread_id": thread, "rank": "mate"}}
    found: Any = await remote.ainvoke(ASK, config)
    assert found["messages"][-1]["content"] == ANSWER
    updates = [part async for part in remote.astream(ASK, config, stream_mode="updates")]
    assert [next(iter(part)) for part in updates] == ["greet", "agent", "tools", "agent"]
    assert (await client.threads.get(thread))["values"]["rank"] == "mate"


def test_it_is_invoked_without_a_loop(remote: RemoteGraph) -> None:
    found: Any = remote.invoke(ASK)
    assert found["messages"][-1]["content"] == ANSWER


async def test_it_is_a_node_of_another_graph(remote: RemoteGraph) -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("remote", remote)
    builder.add_edge(START, "remote")
    outer: Any = builder.compile()
    found = await outer.ainvoke(ASK)
    assert found["messages"][-1].content == ANSWER
    places = [place async for place, _ in outer.astream(ASK, stream_mode="updates", subgraphs=True)]
    assert any(place and place[0].startswith("remote") for place in places)


async def test_what_it_asks_is_answered(remote: RemoteGraph, thread: str) -> None:
    config: Any = {"configurable": {"thread_id": thread}}
    asked: Any = await remote.ainvoke(MAIL, config)
    assert asked["__interrupt__"][0]["value"]["action_requests"][0]["name"] == "send_mail"
    found: Any = await remote.ainvoke(APPROVE, config)
    assert found["messages"][-1]["content"] == "Aye: the mail to ann@example.com was sent"


async def test_its_state_is_read_changed_and_drawn(remote: RemoteGraph, thread: str) -> None:
    config: Any = {"configurable": {"thread_id": thread}}
    await remote.ainvoke(MAIL, config)
    state = await remote.aget_state(config)
    assert (state.next, state.interrupts[0].value["action_requests"][0]["name"]) == (("tools",), "send_mail")
    changed = await remote.aupdate_state(config, {"greeting": "Ahoy, Bea"}, as_node="greet")
    history = [each async for each in remote.aget_state_history(config)]
    assert [each.values.get("greeting") for each in history[:2]] == ["Ahoy, Bea", "Ahoy, nobody"]
    assert history[0].config["configurable"]["checkpoint_id"] == changed["configurable"]["checkpoint_id"]
    assert set((await remote.aget_graph()).nodes) == {"__start__", "greet", "agent", "tools", "__end__"}


async def test_what_it_asks_within_another_graph_that_one_asks(remote: RemoteGraph, client: Any, thread: str) -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("remote", remote)
    builder.add_edge(START, "remote")
    outer: Any = builder.compile(checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": thread}}
    asked = await outer.ainvoke(MAIL, config)
    assert asked["__interrupt__"][0].value["action_requests"][0]["name"] == "send_mail"
    found = await client.runs.wait(thread, "chat", command={"resume": APPROVE.resume})
    assert found["messages"][-1]["content"] == "Aye: the mail to ann@example.com was sent"


async def test_within_a_graph_that_goes_on_it_goes_on_too_and_repeats_nothing(
    remote: RemoteGraph, client: Any, thread: str
) -> None:
    outer: Any = StateGraph(MessagesState).add_node("remote", remote).add_edge(START, "remote")
    outer, config = outer.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": thread}}
    (asked,) = (await outer.ainvoke(MAIL, config))["__interrupt__"]
    (again,) = (await outer.ainvoke(APPROVE, config))["__interrupt__"]
    assert again == asked, "langgraph passes no answers on: the question still waits for one"
    told = await client.runs.wait(thread, "chat", command={"resume": APPROVE.resume})
    found = await outer.ainvoke(APPROVE, config)
    assert [message.id for message in found["messages"]] == [message["id"] for message in told["messages"]]


async def test_its_events_are_streamed_and_an_input_answers_what_it_asks(
    remote: RemoteGraph, client: Any, thread: str
) -> None:
    config: Any = {"configurable": {"thread_id": thread}}
    async with await remote.astream_events(MAIL, config, version="v3") as stream:
        async for _ in stream.values:
            if await stream.interrupted():
                break
        assert len(await stream.interrupts()) == 1
    async with await remote.astream_events(Command(resume={}), config, version="v3"):
        run, _ = await client.runs.list(thread)
        await client.runs.join(thread, run["run_id"])
    begun = [(each.metadata or {}).get("source") async for each in remote.aget_state_history(config)].count("input")
    assert begun == 1, "an answer that says nothing is one, too"
    async with await remote.astream_events(APPROVE, config, version="v3") as stream:
        found = await stream.output()
        assert found["messages"][-1]["content"][0]["text"] == "Aye: the mail to ann@example.com was sent"
        assert not await stream.interrupted()
