"""The thread-centric protocol, as the SDK speaks it: every channel, over server-sent events and WebSockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Literal

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.sdk.watching import watch

Transport = Literal["sse", "websocket"]
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
MAIL: dict[str, Any] = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}
ANSWER = "Aye: it is sunny in Athens"
transports = pytest.mark.parametrize("transport", ["sse", "websocket"])


async def until_end(events: AsyncIterator[Any], last: str = "completed") -> list[dict[str, Any]]:
    """Up to the lifecycle event of the run itself that is called so."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
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
    assert of(events, "custom") == [
        {"name": "sightings", "payload": {"city": "ATHENS"}},
        {"payload": {"looking_at": "Athens"}},
    ]
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


async def test_a_tools_arguments_grow_block_by_block(client: LangGraphClient) -> None:
    city = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
    async with client.threads.stream(assistant_id="chat") as thread:
        await thread.run.start(input={"messages": [{"role": "user", "content": f"what is the weather in {city}"}]})
        events = await until_end(thread.events)
    call = written(of(events, "messages"))[0]
    assert call["content-block-start"][0]["content"]["type"] == "tool_call_chunk"
    assert {piece["delta"]["type"] for piece in call["content-block-delta"]} == {"tool-call-delta"}
    assert json.loads("".join(piece["delta"]["args"] for piece in call["content-block-delta"])) == {"city": city}
    assert call["content-block-finish"][0]["content"]["args"] == {"city": city}


def written(events: list[Any]) -> list[dict[str, list[Any]]]:
    """The messages in the order in which they began, each with its events by their names."""
    messages: dict[str, dict[str, list[Any]]] = {}
    for event in events:
        messages.setdefault(event["id"], {}).setdefault(event["event"], []).append(event)
    for message in messages.values():
        assert next(iter(message)) == "message-start"
        assert list(message)[-1] == "message-finish"
    return list(messages.values())


async def values(thread: Any) -> list[int]:
    return [len(state["messages"]) async for state in thread.values if "messages" in state][-4:]


async def messages(thread: Any) -> list[str]:
    return [await message.text for message in [message async for message in thread.messages]]


async def tool_calls(thread: Any) -> list[tuple[str, Any, Any]]:
    calls = [call async for call in thread.tool_calls]
    return [(call.name, call.input, (await call.output)["content"]) for call in calls]


async def sightings(thread: Any) -> list[Any]:
    return [event["payload"] async for event in thread.extensions["sightings"]]


async def interleaved(thread: Any) -> list[str]:
    told = [channel async for channel, _ in thread.interleave_projections(["messages", "tool_calls", "sightings"])]
    return list(dict.fromkeys(told))


# One at a time: of two opened at once, the SDK (0.4.14) may close the first before its answer, and then waits for ever.
VIEWS = {
    values: [1, 2, 3, 4],
    messages: ["", ANSWER],
    tool_calls: [("weather", {"city": "Athens"}, "it is sunny in Athens")],
    sightings: [{"city": "ATHENS"}],
    interleaved: ["messages", "tool_calls", "sightings"],
}


@transports
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
async def test_the_sdks_views_of_a_run(client: LangGraphClient, view: Any, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="chat", transport=transport) as thread, asyncio.timeout(60):
        await thread.run.start(input=ASK)
        assert await view(thread) == VIEWS[view]


SYNC_VIEWS: dict[Any, Callable[[Any], Any]] = {
    values: lambda thread: [len(state["messages"]) for state in thread.values if "messages" in state][-4:],
    messages: lambda thread: [str(message.text) for message in thread.messages],
    tool_calls: lambda thread: [(call.name, call.input, call.output["content"]) for call in thread.tool_calls],
    sightings: lambda thread: [event["payload"] for event in thread.extensions["sightings"]],
}


@transports
@pytest.mark.parametrize("view", SYNC_VIEWS, ids=lambda view: view.__name__)
def test_a_view_without_an_event_loop(sync_client: SyncLangGraphClient, view: Any, transport: Transport) -> None:
    with sync_client.threads.stream(assistant_id="chat", transport=transport) as thread:
        thread.run.start(input=ASK)
        assert SYNC_VIEWS[view](thread) == VIEWS[view]


@transports
async def test_what_a_run_came_to_is_told_by_its_thread(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="chat", transport=transport) as thread:
        started = await thread.run.start(input=ASK, config={"configurable": {"rank": "mate"}}, metadata={"by": "Ann"})
        assert (await thread.output.with_timeout(60))["rank"] == "mate"
        assert {node["id"] for node in (await thread.agent.get_tree())["nodes"]} >= {"greet", "agent", "tools"}
        run = await client.runs.get(thread.thread_id, started["run_id"])
        assert (run["metadata"] or {})["by"] == "Ann"


@transports
async def test_subgraphs_are_found(client: LangGraphClient, transport: Transport) -> None:
    async with client.threads.stream(assistant_id="nested", transport=transport) as thread, asyncio.timeout(60):
        # The SDK (0.4.14) ends its views with the run, also one that has not been told of anything yet.
        await thread.run.start(input={"path": ["x"], "pause": 2.0})
        found = [inner async for inner in thread.subgraphs]
    assert [(inner.path[0].partition(":")[0], inner.status) for inner in found] == [("middle", "completed")]


@transports
def test_subgraphs_are_found_without_an_event_loop(sync_client: SyncLangGraphClient, transport: Transport) -> None:
    with sync_client.threads.stream(assistant_id="nested", transport=transport) as thread:
        thread.run.start(input={"path": ["x"], "pause": 2.0})
        found = list(thread.subgraphs)
    assert [(inner.path[0].partition(":")[0], inner.status) for inner in found] == [("middle", "completed")]


@transports
def test_the_sdks_views_without_an_event_loop(sync_client: SyncLangGraphClient, transport: Transport) -> None:
    channels = ["values", "messages", "tool_calls", "updates", "tasks", "checkpoints", "sightings"]
    seen = list[httpx.Request]()
    watch(sync_client, seen)
    with sync_client.threads.stream(assistant_id="chat", transport=transport) as thread:
        thread.run.start(input=ASK)
        told = list(thread.interleave_projections(channels))
        assert len(thread.output["messages"]) == 4
        assert thread.values.get() == thread.output
        tree = thread.agent.get_tree(xray=True, headers={"X-Leg": "2"}, params={"trip": "Poros"})
        assert {node["id"] for node in tree["nodes"]} >= {"greet", "agent", "tools"}
    assert [request.url.params["trip"] for request in seen if request.headers.get("X-Leg")] == ["Poros"]
    items: dict[str, list[Any]] = {name: [item for channel, item in told if channel == name] for name in channels}
    assert [len(state["messages"]) for state in items["values"]] == [1, 1, 2, 3, 4]
    assert [str(message.text) for message in items["messages"]] == ["", ANSWER]
    assert [call.output["content"] for call in items["tool_calls"]] == ["it is sunny in Athens"]
    assert items["updates"][0] == {"greeting": "Ahoy, nobody", "rank": "none"}
    assert len(items["tasks"]) == 8
    assert [place["step"] for place in items["checkpoints"]] == [-1, 0, 1, 2, 3, 4]
    assert items["sightings"] == [{"name": "sightings", "payload": {"city": "ATHENS"}}]


@transports
def test_a_subscription_without_an_event_loop(sync_client: SyncLangGraphClient, transport: Transport) -> None:
    with sync_client.threads.stream(assistant_id="chat", transport=transport) as thread:
        thread.run.start(input=ASK, config={"configurable": {"rank": "mate"}}, metadata={"by": "Ann"})
        told: list[Any] = list(thread.subscribe(["updates"], namespaces=[[]], depth=0))
        assert thread.output["rank"] == "mate"
    assert [event["params"]["node"] for event in told] == ["greet", "agent", "tools", "agent"]


async def test_a_streams_own_headers_go_with_it(client: LangGraphClient) -> None:
    seen = list[httpx.Request]()
    watch(client, seen)
    own = client.threads.stream(assistant_id="chat", headers={"X-Trip": "Poros"}, run_start_timeout=30)
    async with own as thread, asyncio.timeout(60):
        await thread.run.start(input=ASK)
        told = [event async for event in thread.subscribe(["updates"], namespaces=[[]], depth=0)]
        named = {"headers": {"X-Leg": "2"}, "params": {"trip": "Poros"}}
        tree = await thread.agent.get_tree(xray=True, **named)
        assert len((await thread.output)["messages"]) == 4
    assert [event["params"]["node"] for event in told] == ["greet", "agent", "tools", "agent"]
    assert {node["id"] for node in tree["nodes"]} >= {"greet", "agent", "tools"}
    about_it = [request for request in seen if thread.thread_id in request.url.path]
    assert about_it
    assert {request.headers["X-Trip"] for request in about_it} == {"Poros"}
    assert [request.url.params["xray"] for request in seen if request.headers.get("X-Leg")] == ["true"]


@pytest.mark.parametrize(
    ("scope", "number", "paths"),
    [
        ({"depth": 0}, 5, {()}),
        ({"depth": 1}, 8, {(), ("middle",)}),
        ({"namespaces": [["middle"]]}, 5, {("middle",), ("middle", "deep")}),
        ({"namespaces": [["middle"]], "depth": 0}, 3, {("middle",)}),
        ({"namespaces": [["middle", "deep"], []], "depth": 0}, 7, {(), ("middle", "deep")}),
        ({"namespaces": [["elsewhere"]]}, 0, set()),
    ],
)
async def test_a_reader_hears_of_the_subgraphs_that_it_asks_for(
    client: LangGraphClient, scope: dict[str, Any], number: int, paths: set[tuple[str, ...]]
) -> None:
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        await until_end(thread.events, "interrupted")
        raw = frames(client, thread.thread_id, {"channels": ["values"], "since": 0, **scope})
        told = await exactly(raw, number)
    assert len(told) == number
    assert {tuple(part.partition(":")[0] for part in event["params"]["namespace"]) for event in told} == paths


async def test_a_run_of_the_older_routes_is_told_as_far_as_it_streams(client: Any, thread: str) -> None:
    async with client.threads.stream(thread, assistant_id="chat") as stream:
        reading = asyncio.create_task(until_end(stream.events))
        modes = ["updates", "custom", "messages", "checkpoints", "tools"]
        _ = [part async for part in client.runs.stream(thread, "chat", input=ASK, stream_mode=modes)]
        events = await reading
    nodes = [event["params"]["node"] for event in events if event["method"] == "updates"]
    assert nodes == ["greet", "agent", "tools", "agent"]
    assert of(events, "custom") == [{"payload": {"looking_at": "Athens"}}]
    assert [place["step"] for place in of(events, "checkpoints")] == [-1, 0, 1, 2, 3, 4]
    assert [each["event"] for each in of(events, "lifecycle")] == ["running", "completed"]
    assert of(events, "tools")[:2] == [
        {"event": "tool-started", "tool_call_id": "call-Athens", "tool_name": "weather", "input": {"city": "Athens"}},
        {"event": "tool-output-delta", "tool_call_id": "call-Athens", "delta": "it is"},
    ]


async def test_how_a_run_fails_is_said(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="slow") as thread:
        await thread.run.start(input={"fail_at": 2})
        events = await until_end(thread.events, "failed")
        with pytest.raises(RuntimeError, match="the mast broke"):
            await thread.output
    assert of(events, "lifecycle")[-1] == {"event": "failed", "graph_name": "slow", "error": "the mast broke"}


async def test_a_run_that_is_cancelled_is_interrupted(client: Any, thread: str) -> None:
    async with client.threads.stream(thread, assistant_id="slow") as stream:
        reading = asyncio.create_task(until_end(stream.events, "interrupted"))
        run = await stream.run.start(input={"steps": 100, "delay": 0.1})
        waiting = await stream.run.start(input={"steps": 1})
        while (await client.runs.get(thread, run["run_id"]))["status"] != "running":
            await asyncio.sleep(0.02)
        await client.runs.cancel(thread, waiting["run_id"])
        await client.runs.cancel(thread, run["run_id"], wait=True)
        await reading
        ended = await until_end(stream.events, "interrupted")
    assert [each["event"] for each in of(ended, "lifecycle")] == ["interrupted"]
    assert ended[0]["event_id"].startswith(waiting["run_id"])


async def test_planner_worker_and_critic_tell_their_talk_and_steps(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="trireme") as thread:
        await thread.run.start(input={"messages": [{"role": "user", "content": "What is 12 * 12?"}]})
        events = await until_end(thread.events)
        answer = (await thread.output)["messages"][-1]["content"]
    assert "144" in answer
    (message,) = written(of(events, "messages"))
    assert "".join(piece["delta"]["text"] for piece in message["content-block-delta"]) == answer
    first, *_, last = of(events, "values")
    assert [len(first["messages"]), len(last["messages"])] == [1, 2]
    nodes = [event["params"]["node"] for event in events if event["method"] == "updates"]
    assert nodes == ["plan", "work", "critic", "answer"]
    assert {"plan_proposed", "step_started", "verdict_given"} <= {each["name"] for each in of(events, "custom")}
    calls = of(events, "tools")
    assert [call["event"] for call in calls] == ["tool-started", "tool-finished"]
    assert calls[0]["tool_call_id"] == calls[1]["tool_call_id"]


async def frames(client: LangGraphClient, thread: str, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Without what the SDK adds of its own."""
    path = f"/threads/{thread}/stream/events"
    async with client.http.client.stream("POST", path, json=asked) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


async def exactly(events: AsyncIterator[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """So many, and then nothing for a while."""
    async with asyncio.timeout(60):
        found = [await anext(events) for _ in range(number)]
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            found.append(await anext(events))
    return found
