"""`runs.stream`: every mode alone and in lists gives what LangGraph's own server gives."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient
from langgraph_sdk.schema import StreamPart

from tests.acceptance.conftest import Server
from tests.sdk.watching import until_answered

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
MAIL: dict[str, Any] = {"messages": [{"role": "user", "content": "send a mail to ann@example.com"}]}
APPROVE: Any = {"resume": {"decisions": [{"type": "approve"}]}}
FOUND = {"found": ["land ahoy"]}
ANSWER = "Aye: it is sunny in Athens"


async def parts_of(stream: AsyncIterator[Any]) -> list[StreamPart]:
    return [part async for part in stream]


async def streamed(
    client: LangGraphClient, mode: Any, graph: str = "chat", given: Any = ASK, **options: Any
) -> list[StreamPart]:
    """All but the first part, which says which run it is."""
    first, *rest = await parts_of(client.runs.stream(None, graph, input=given, stream_mode=mode, **options))
    assert (first.event, first.data["attempt"]) == ("metadata", 1)
    return rest


def contents(messages: list[Any]) -> list[str]:
    return [message["content"] for message in messages]


async def test_values_are_the_state_after_each_step(client: LangGraphClient) -> None:
    parts = await streamed(client, "values")
    assert [part.event for part in parts] == ["values"] * 5
    assert [len(part.data["messages"]) for part in parts] == [1, 1, 2, 3, 4]
    assert parts[1].data["greeting"] == "Ahoy, nobody"
    assert contents(parts[-1].data["messages"])[2:] == ["it is sunny in Athens", ANSWER]


async def test_updates_are_what_each_node_gave(client: LangGraphClient) -> None:
    parts = await streamed(client, "updates")
    assert [(part.event, *part.data) for part in parts] == [
        ("updates", "greet"),
        ("updates", "agent"),
        ("updates", "tools"),
        ("updates", "agent"),
    ]
    assert contents(parts[-1].data["agent"]["messages"]) == [ANSWER]


async def test_message_tuples_are_chunks_with_their_metadata(client: LangGraphClient) -> None:
    parts = await streamed(client, "messages-tuple")
    assert {part.event for part in parts} == {"messages"}
    assert "".join(chunk["content"] for chunk, _ in (part.data for part in parts[3:])) == ANSWER
    assert [metadata["langgraph_node"] for _, metadata in (part.data for part in parts[:3])] == [
        "agent",
        "agent",
        "tools",
    ]
    assert parts[0].data[0]["tool_calls"][0]["args"] == {"city": "Athens"}


async def test_a_tools_arguments_come_in_pieces_and_are_json_as_far_as_they_are_known(client: LangGraphClient) -> None:
    city = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
    asked: Any = {"messages": [{"role": "user", "content": f"what is the weather in {city}"}]}
    parts = await streamed(client, ["messages-tuple", "messages"], "chat", asked)
    pieces = [chunk for part in parts if part.event == "messages" for chunk in part.data[0].get("tool_call_chunks", ())]
    assert [piece["name"] for piece in pieces] == ["weather", None, None]
    assert json.loads("".join(piece["args"] for piece in pieces)) == {"city": city}
    partial = [part.data[0]["tool_calls"] for part in parts if part.event == "messages/partial"]
    cities = [calls[0]["args"]["city"] for calls in partial if calls]
    assert cities[-1] == city
    assert all(city.startswith(each) for each in cities)


async def test_messages_are_told_as_far_as_they_are_known(client: LangGraphClient) -> None:
    parts = await streamed(client, "messages")
    last: dict[str, Any] = {}
    for part in parts:
        if part.event in ("messages/partial", "messages/complete"):
            (message,) = part.data
            before = last.get(message["id"], {"content": ""})
            assert message["content"].startswith(before["content"])
            last[message["id"]] = message
    assert [message["type"] for message in last.values()] == ["ai", "tool", "ai"]
    assert contents(list(last.values()))[1:] == ["it is sunny in Athens", ANSWER]
    told = [id_ for part in parts if part.event == "messages/metadata" for id_ in part.data]
    assert told == list(last)


async def test_messages_of_a_subgraph_have_the_names_that_clients_know(client: LangGraphClient) -> None:
    parts = await streamed(client, ["messages", "messages-tuple"], "crew", ASK, stream_subgraphs=True)
    names = [part.event.partition(":")[0] for part in parts]
    assert set(names) == {"messages/metadata", "messages/partial", "messages/complete", "messages|sailor"}
    assert [part.data[0]["content"] for part in parts if part.event == "messages/partial"][-1] == ANSWER


async def test_events_leave_out_what_langgraph_hides(client: LangGraphClient) -> None:
    parts = await streamed(client, "events", "crew")
    nodes = {part.data["metadata"].get("langgraph_node") for part in parts if part.event == "events"}
    assert nodes == {None, "sailor", "greet", "agent", "tools"}


async def test_custom_is_what_the_graph_writes(client: LangGraphClient) -> None:
    assert [(part.event, part.data) for part in await streamed(client, "custom")] == [
        ("custom", {"looking_at": "Athens"})
    ]


async def test_tools_tell_of_their_calls(client: LangGraphClient) -> None:
    parts = await streamed(client, ["tools"])
    assert {part.event for part in parts} == {"tools"}
    events = [part.data for part in parts]
    assert [event["event"] for event in events] == ["on_tool_start", "on_tool_event", "on_tool_end"]
    assert {(event["name"], event["toolCallId"]) for event in events} == {("weather", "call-Athens")}
    assert (events[0]["input"]["city"], events[1]["data"]) == ("Athens", "it is")
    assert events[2]["output"]["content"] == "it is sunny in Athens"


async def test_a_tool_that_waits_for_a_person_ends_when_it_has_its_answer(client: LangGraphClient, thread: str) -> None:
    asked: Any = {"input": MAIL, "stream_mode": "tools"}
    parts = await parts_of(client.runs.stream(thread, "chat", **asked))
    assert [part.data["event"] for part in parts[1:]] == ["on_tool_start"]
    parts = await parts_of(client.runs.stream(thread, "chat", command=APPROVE, stream_mode="tools"))
    assert [part.data["event"] for part in parts[1:]] == ["on_tool_start", "on_tool_end"]


async def test_tasks_begin_and_end(client: LangGraphClient) -> None:
    parts = await streamed(client, "tasks", "slow", {"steps": 1})
    begun, ended = (part.data for part in parts)
    assert (begun["name"], begun["input"]) == ("step", {"steps": 1, "done": 0})
    assert (ended["id"], ended["result"], ended["error"]) == (begun["id"], {"done": 1}, None)


async def test_checkpoints_are_states_with_their_places(client: LangGraphClient) -> None:
    parts = await streamed(client, "checkpoints", "slow", {"steps": 1})
    assert [part.data["next"] for part in parts] == [["__start__"], ["step"], []]
    assert parts[-1].data["values"] == {"steps": 1, "done": 1}
    parent = parts[-1].data["parent_config"]["configurable"]["checkpoint_id"]
    assert parent == parts[-2].data["config"]["configurable"]["checkpoint_id"]


async def test_debug_is_checkpoints_and_tasks(client: LangGraphClient) -> None:
    parts = await streamed(client, "debug", "slow", {"steps": 1})
    assert [part.data["type"] for part in parts] == ["checkpoint", "checkpoint", "task", "task_result", "checkpoint"]
    first, second, *_ = (part.data["payload"] for part in parts)
    assert first["checkpoint"] == {**second["parent_checkpoint"], "checkpoint_ns": ""}
    assert second["checkpoint"]["checkpoint_id"] == second["config"]["configurable"]["checkpoint_id"]
    assert first["parent_checkpoint"] is None


async def test_who_asks_for_no_mode_gets_the_values(client: LangGraphClient) -> None:
    assert [part.event for part in await streamed(client, [], "slow", {"steps": 1})] == ["values"] * 2


async def test_events_are_those_of_langchain(client: LangGraphClient) -> None:
    parts = await streamed(client, ["events", "updates"])
    events = [part.data for part in parts if part.event == "events"]
    assert events[0]["event"] == "on_chain_start"
    assert events[0]["data"]["input"] == ASK
    spoken = [each for each in events if each["event"] == "on_chat_model_stream"]
    assert "".join(each["data"]["chunk"]["content"] for each in spoken) == ANSWER
    assert {each["metadata"]["checkpoint_ns"].partition(":")[0] for each in spoken} == {"agent"}
    assert [each["name"] for each in events if each["event"] == "on_tool_end"] == ["weather"]
    assert [next(iter(part.data)) for part in parts if part.event == "updates"] == ["greet", "agent", "tools", "agent"]


async def test_a_list_gives_each_mode_and_no_other(client: LangGraphClient) -> None:
    parts = await streamed(client, ["values", "custom", "messages-tuple"])
    assert {part.event for part in parts} == {"values", "custom", "messages"}
    whole = [part.data["messages"][-1]["content"] for part in parts if part.event == "values"][-1]
    assert whole == ANSWER


async def test_subgraphs_are_named_behind_the_mode(client: LangGraphClient) -> None:
    parts = await streamed(client, "updates", "nested", {"path": ["x"]}, stream_subgraphs=True)
    places = [[name.partition(":")[0] for name in part.event.split("|")] for part in parts]
    assert places[:5] == [
        ["updates"],
        ["updates", "middle"],
        ["updates", "middle", "deep"],
        ["updates", "middle"],
        ["updates"],
    ]
    plain = await streamed(client, "updates", "nested", {"path": ["x"]})
    assert {part.event for part in plain} == {"updates"}


async def test_the_second_version_of_the_client_reads_it_too(client: LangGraphClient) -> None:
    stream: Any = client.runs.stream(None, "nested", input={"path": []}, stream_mode=["values"], version="v2")
    parts = [part async for part in stream]
    assert [part["type"] for part in parts[:2]] == ["metadata", "values"]
    assert parts[-1]["interrupts"][0]["value"] == {"question": "go right?"}


async def test_what_a_graphs_output_schema_does_not_name_is_not_given_out(client: LangGraphClient) -> None:
    parts = await streamed(client, ["values", "updates"], "notes", {"shelf": str(uuid.uuid4()), "text": "land ahoy"})
    told = [(part.event, part.data) for part in parts]
    assert told == [("updates", {"keep": None}), ("updates", {"look": FOUND}), ("values", FOUND)]


async def test_context_and_config_reach_the_graph(client: LangGraphClient) -> None:
    said: Any = {"context": {"captain": "Ann"}, "config": {"configurable": {"rank": "mate"}, "tags": ["t1"]}}
    parts = await streamed(client, ["values", "events"], **said)
    state = [part.data for part in parts if part.event == "values"][-1]
    assert (state["greeting"], state["rank"]) == ("Ahoy, Ann", "mate")
    assert next(part.data["tags"] for part in parts if part.event == "events") == ["t1"]


async def test_a_runs_context_goes_before_the_assistants_config_for_graphs_that_know_no_context(
    client: LangGraphClient,
) -> None:
    mate = await client.assistants.create("chat", config={"configurable": {"rank": "mate"}})
    for said, rank in (
        ({}, "mate"),
        ({"context": {"rank": "captain", "thread_id": "none of its business"}}, "captain"),
    ):
        parts = await streamed(client, "values", mate["assistant_id"], **said)
        assert parts[-1].data["rank"] == rank


async def test_a_factory_makes_its_graph_of_config_and_context(client: LangGraphClient) -> None:
    (state,) = (
        await streamed(client, "values", "factory", {"words": ["row"]}, config={"configurable": {"suffix": "?"}})
    )[-1:]
    assert state.data == {"words": ["row", "row?", "Argo", "3", "7"], "knot": {"speed": 7}}
    named = await streamed(
        client, "values", "factory", {"words": []}, context={"name": "Olympias", "unknown": "to its type"}
    )
    assert named[-1].data["words"] == ["Olympias", "1", "7"]


@pytest.mark.parametrize(
    ("given", "options", "error"),
    [
        ({"steps": 2, "fail_at": 2}, {}, {"error": "ValueError", "message": "the mast broke"}),
        ({"steps": 2, "fail_at": 2, "garbled": 1}, {}, {"error": "ValueError", "message": "the mast broke"}),
        ({"steps": 9}, {"config": {"recursion_limit": 2}}, {"error": "GraphRecursionError"}),
    ],
)
async def test_a_graph_that_fails_ends_the_stream_with_its_error(
    client: LangGraphClient, given: Any, options: Any, error: dict[str, str]
) -> None:
    *parts, last = await streamed(client, "custom", "slow", given, **options)
    assert [part.data for part in parts] == [{"step": 1}, {"step": 2}]
    assert last.event == "error"
    assert error.items() <= last.data.items()


async def test_a_graph_that_cannot_be_imported_is_named(client: LangGraphClient) -> None:
    (error,) = await streamed(client, "values", "broken", {})
    assert error.event == "error"
    assert error.data["error"] == "graph_failed"
    assert "RuntimeError: the charts are not aboard" in error.data["message"]


def test_the_sync_client_streams_the_same(sync_client: SyncLangGraphClient) -> None:
    parts = list(sync_client.runs.stream(None, "slow", input={"steps": 2}, stream_mode=["updates", "custom"]))
    assert [(part.event, part.data) for part in parts[1:]] == [
        ("custom", {"step": 1}),
        ("updates", {"step": {"done": 1}}),
        ("custom", {"step": 2}),
        ("updates", {"step": {"done": 1}}),
    ]


async def test_a_stream_is_joined_from_its_start_or_behind_an_event(client: LangGraphClient, thread: str) -> None:
    run = await client.runs.create(thread, "slow", input={"steps": 3}, stream_mode=["custom", "updates"])
    whole = await parts_of(client.runs.join_stream(thread, run["run_id"], last_event_id="-1"))
    assert [part.data for part in whole if part.event == "custom"] == [{"step": 1}, {"step": 2}, {"step": 3}]
    rest = await parts_of(client.runs.join_stream(thread, run["run_id"], last_event_id=whole[3].id))
    assert rest == whole[4:]
    some = await parts_of(client.runs.join_stream(thread, run["run_id"], stream_mode="updates", last_event_id="-1"))
    assert [part.event for part in some] == ["metadata", "updates", "updates", "updates"]


@pytest.mark.parametrize("resumable", [False, True])
async def test_a_stream_is_joined_from_now_on(
    client: LangGraphClient, thread: str, tmp_path: Path, resumable: bool
) -> None:
    """As the SDK says of it, and LangGraph's own server does, `stream_resumable` or not."""
    given: Any = {"steps": 20, "delay": 0.05, "hold": str(tmp_path / "joined")}
    run = await client.runs.create(thread, "slow", input=given, stream_resumable=resumable)
    next_ = await client.runs.create(thread, "slow", input={"steps": 1}, stream_resumable=resumable)
    async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
        if part.event == "values" and part.data["done"] == 3:
            break
    readers = []
    for each in (run, next_):
        async with until_answered(client):
            readers.append(asyncio.create_task(parts_of(client.runs.join_stream(thread, each["run_id"]))))
    (tmp_path / "joined").touch()
    rest, (first, *_) = await asyncio.gather(*readers)
    assert rest[0].data["done"] > 3
    assert [part.data["done"] for part in rest] == list(range(rest[0].data["done"], 21))
    assert await parts_of(client.runs.join_stream(thread, run["run_id"])) == []
    assert first.event == "metadata"


async def test_feedback_keys_stay_with_the_run_and_disturb_no_stream(client: LangGraphClient, thread: str) -> None:
    """LangGraph's own server, too, has links only where LangSmith makes them."""
    stream = client.runs.stream(thread, "slow", input={"steps": 1}, feedback_keys=["score"])
    assert [part.event for part in await parts_of(stream)] == ["metadata", "values", "values"]
    runs: Any = await client.runs.list(thread)
    assert [run["kwargs"]["feedback_keys"] for run in runs] == [["score"]]


async def test_who_is_cut_off_before_the_first_event_finds_it_where_he_was_told(server: Server, thread: str) -> None:
    new = {"assistant_id": "slow", "input": {"steps": 2}, "stream_mode": ["updates", "custom"]}
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        whole = await http.post(f"/threads/{thread}/runs/stream", json=new)
        assert (await http.get(whole.headers["location"])).text == whole.text
        run = whole.headers["location"].partition("?")[0]
        updates = await http.get(run, params={"stream_mode": "updates"}, headers={"Last-Event-ID": "-1"})
        assert (await http.get(updates.headers["location"])).text == updates.text != whole.text


async def test_a_run_is_told_where_it_is_before_its_stream_begins(client: LangGraphClient, thread: str) -> None:
    told: list[Any] = []
    stream = client.runs.stream(thread, "slow", input={"steps": 1}, on_run_created=told.append)
    (first, *_) = await parts_of(stream)
    assert told == [{"run_id": first.data["run_id"], "thread_id": thread}]


async def test_a_last_event_id_from_the_future_or_of_another_run_is_refused(
    client: LangGraphClient, server: Server
) -> None:
    thread = (await client.threads.create())["thread_id"]
    run, other = [(await client.runs.create(thread, "chat", input=ASK))["run_id"] for _ in range(2)]
    await client.runs.join(thread, other)
    joined = [await parts_of(client.runs.join_stream(thread, id_, last_event_id="-1")) for id_ in (run, other)]
    mine, of_another = [parts[0].id or "" for parts in joined]
    assert mine.partition("-")[0] == of_another.partition("-")[0] == "1"
    async with httpx.AsyncClient(base_url=server.url) as http:
        for at, status in ((f"/threads/{thread}/runs", 400), ("/runs", 400), ("/agent-protocol/runs", 422)):
            for bad in ("9999", of_another):
                answer = await http.get(f"{at}/{run}/stream", headers={"Last-Event-ID": bad})
                assert (answer.status_code, answer.json()["code"]) == (status, "bad_last_event_id")
            rests = [await http.get(f"{at}/{run}/stream", headers={"Last-Event-ID": id_}) for id_ in ("1", mine)]
            assert rests[0].text == rests[1].text != ""
