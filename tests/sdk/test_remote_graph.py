"""`RemoteGraph`: our server's graphs as LangGraph's own, alone and within another graph."""

from typing import Any

import pytest
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.pregel.remote import RemoteGraph

ASK: Any = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
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
