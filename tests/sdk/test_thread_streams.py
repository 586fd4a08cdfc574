"""The thread-centric protocol, as the SDK speaks it: every channel, over server-sent events and WebSockets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from langgraph_sdk.client import LangGraphClient

Transport = Literal["sse", "websocket"]
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
MAIL: dict[str, Any] = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}
ANSWER = "Aye: it is sunny in Athens"
transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


async def until_end(events: AsyncIterator[Any], last: str = "completed") -> list[dict[str, Any]]:
    """Up to the lifecycle event of the run itself that is called so."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        async for event in events:
            if "method" not in event:
                continue
            found.append(event)
            if event["method"] == "lifecycle" and is_root(event) and event["params"]["data"]["event"] == last:
                break
    return found


def is_root(event: dict[str, Any]) -> bool:
    return not event["params"]["namespace"]


def of(events: list[dict[str, Any]], method: str) -> list[Any]:
    return [event["params"]["data"] for event in events if event["method"] == method]


@transports
async def test_every_channel_tells_its_part_of_a_run(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="chat", transport=transport) as thread:
        started = await thread.run.start(input=ASK)
        events = await until_end(thread.events)
        assert (await thread.output)["messages"][-1]["content"][0]["text"] == ANSWER
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert all(event["event_id"].startswith(started["run_id"]) for event in events)
    assert of(events, "lifecycle") == [
        {"event": "running", "graph_name": "chat"},
        {"event": "completed", "graph_name": "chat"},
    ]
    assert [len(state["messages"]) for state in of(events, "values")] == [1, 1, 2, 3, 4]
    updates = [event["params"] for event in events if event["method"] == "updates"]
    assert [update["node"] for update in updates] == ["greet", "agent", "tools", "agent"]
    assert updates[0]["data"] == {"greeting": "Ahoy, nobody", "rank": "none"}
    tools = of(events, "tools")
    assert [(tool["event"], tool["tool_call_id"]) for tool in tools] == [
        ("tool-started", "call-Athens"),
        ("tool-output-delta", "call-Athens"),
        ("tool-finished", "call-Athens"),
    ]
    assert (tools[0]["input"], tools[-1]["output"]["content"]) == ({"city": "Athens"}, "it is sunny in Athens")
    assert of(events, "custom") == [{"payload": {"looking_at": "Athens"}}]
    tasks = of(events, "tasks")
    assert [(task["name"], "result" in task) for task in tasks[:4]] == [
        ("greet", False),
        ("greet", True),
        ("agent", False),
        ("agent", True),
    ]
    places = of(events, "checkpoints")
    assert [place["step"] for place in places] == [-1, 0, 1, 2, 3, 4]
    assert [place["parent_id"] for place in places[1:]] == [place["id"] for place in places[:-1]]
    assert [place["source"] for place in places] == ["input"] + ["loop"] * 5
    first, second = written(of(events, "messages"))
    assert first["content-block-finish"][0]["content"]["args"] == {"city": "Athens"}
    assert "".join(piece["delta"]["text"] for piece in second["content-block-delta"]) == ANSWER
    assert second["message-start"][0]["metadata"]["langgraph_node"] == "agent"


def written(events: list[Any]) -> list[dict[str, list[Any]]]:
    """The messages in the order in which they began, each with its events by their names."""
    messages: dict[str, dict[str, list[Any]]] = {}
    for event in events:
        messages.setdefault(event["id"], {}).setdefault(event["event"], []).append(event)
    for message in messages.values():
        assert next(iter(message)) == "message-start"
        assert list(message)[-1] == "message-finish"
    return list(messages.values())
