"""What the thread-centric protocol doesn't take, and how it says so: in its own shape."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.acceptance.conftest import Server

SUBSCRIBE: dict[str, Any] = {"id": 1, "method": "subscription.subscribe", "params": {"channels": ["lifecycle"]}}
MALFORMED: tuple[Any, ...] = (
    [],
    "run.start",
    {"method": "run.start", "params": {}},
    {"id": "1", "method": "run.start"},
    {"id": -1, "method": "run.start"},
    {"id": True, "method": "run.start"},
    {"id": 1},
    {"id": 1, "method": 2},
    {"id": 1, "method": "run.start", "params": []},
)
WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("run.stop", {}, "unknown_command"),
    ("input.inject", {"namespace": [], "message": {"role": "user", "content": "x"}}, "not_supported"),
    ("run.start", {}, "invalid_argument"),
    ("run.start", {"assistant_id": 7}, "invalid_argument"),
    ("run.start", {"assistant_id": "nobody", "input": {}}, "invalid_argument"),
    ("run.start", {"assistant_id": str(uuid.UUID(int=7)), "input": {}}, "invalid_argument"),
    ("run.start", {"assistant_id": "slow", "config": "x"}, "invalid_argument"),
    ("run.start", {"assistant_id": "slow", "multitask_strategy": "x"}, "invalid_argument"),
    ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_run"),
    ("agent.getTree", {}, "no_such_run"),
    ("state.fork", {"checkpoint_id": "x"}, "no_such_run"),
    ("state.fork", {}, "invalid_argument"),
    ("state.get", {"namespace": "x"}, "invalid_argument"),
    ("state.listCheckpoints", {"limit": 0}, "invalid_argument"),
)
SUBSCRIPTIONS: tuple[Any, ...] = (
    {},
    [],
    {"channels": []},
    {"channels": "values"},
    {"channels": ["valeus"]},
    {"channels": [7]},
    {"channels": ["custom:"]},
    {"channels": ["values"], "namespaces": "x"},
    {"channels": ["values"], "namespaces": ["x"]},
    {"channels": ["values"], "depth": -1},
    {"channels": ["values"], "depth": "1"},
    {"channels": ["values"], "since": -1},
    {"channels": ["values"], "since": 1.5},
)


def is_error(frame: dict[str, Any], code: str, id_: Any) -> bool:
    assert frame["message"]
    return (frame["type"], frame["error"], frame["id"]) == ("error", code, id_)


async def talk(server: Server, thread: str, *sent: Any) -> list[Any]:
    """One answer to each frame, over one WebSocket."""
    async with connect(socket_url(server.url, thread)) as socket, asyncio.timeout(30):
        return [await asked(socket, frame) for frame in sent]


async def asked(socket: ClientConnection, frame: Any) -> Any:
    await socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))
    return json.loads(await socket.recv())


def socket_url(url: str, thread: str) -> str:
    return f"ws{url.removeprefix('http')}/threads/{thread}/stream/events"


@pytest.mark.parametrize("frame", MALFORMED)
async def test_what_is_no_command(client: LangGraphClient, server: Server, thread: str, frame: Any) -> None:
    answer = await client.http.client.post(f"/threads/{thread}/commands", json=frame)
    id_ = frame.get("id") if isinstance(frame, dict) else None
    assert answer.status_code == 400
    assert is_error(answer.json(), "invalid_argument", id_)
    told, then = await talk(server, thread, frame, SUBSCRIBE)
    assert is_error(told, "invalid_argument", id_)
    assert then["type"] == "success"


async def test_what_is_no_json(client: LangGraphClient, server: Server, thread: str) -> None:
    json_: dict[str, Any] = {"headers": {"content-type": "application/json"}}
    for path in (f"/threads/{thread}/commands", f"/threads/{thread}/stream/events"):
        for body in (b"{", b"", b"\xff"):
            answer = await client.http.client.post(path, content=body, **json_)
            assert answer.status_code == 400
    told = await talk(server, thread, "{", "", b"\x00\x01", SUBSCRIBE)
    assert [frame["type"] for frame in told] == ["error", "error", "error", "success"]


async def test_what_postgres_cannot_keep_is_refused_in_a_frame_too(server: Server, thread: str) -> None:
    given = {"assistant_id": "slow", "input": {"steps": 1}, "config": {"configurable": {"x": "a\0b"}}}
    told, then = await talk(server, thread, {"id": 3, "method": "run.start", "params": given}, SUBSCRIBE)
    assert is_error(told, "invalid_argument", 3)
    assert then["type"] == "success"


@pytest.mark.parametrize(("method", "params", "code"), WRONG)
async def test_what_a_command_cannot_ask(
    client: LangGraphClient, server: Server, thread: str, method: str, params: dict[str, Any], code: str
) -> None:
    frame = {"id": 3, "method": method, "params": params}
    answer = await client.http.client.post(f"/threads/{thread}/commands", json=frame)
    assert answer.status_code == 200
    assert is_error(answer.json(), code, 3)
    assert await talk(server, thread, frame) == [answer.json()]


@pytest.mark.parametrize("asked", SUBSCRIPTIONS)
async def test_what_cannot_be_subscribed(client: LangGraphClient, server: Server, thread: str, asked: Any) -> None:
    answer = await client.http.client.post(f"/threads/{thread}/stream/events", json=asked)
    assert answer.status_code == 400
    assert is_error(answer.json(), "invalid_argument", None)
    (told,) = await talk(server, thread, {**SUBSCRIBE, "params": asked})
    assert is_error(told, "invalid_argument", 1)


async def test_a_subscription_ends_when_it_is_asked_to(server: Server, thread: str) -> None:
    async with connect(socket_url(server.url, thread)) as socket, asyncio.timeout(20):
        ids = [(await asked(socket, SUBSCRIBE))["result"]["subscription_id"] for _ in range(2)]
        gone = {"id": 2, "method": "subscription.unsubscribe", "params": {"subscription_id": ids[0]}}
        assert (await asked(socket, gone))["type"] == "success"
        assert is_error(await asked(socket, gone), "no_such_subscription", 2)
        start = {"id": 4, "method": "run.start", "params": {"assistant_id": "slow", "input": {"steps": 1}}}
        assert (await asked(socket, start))["result"]["run_id"]
        told = [json.loads(await socket.recv())["params"]["data"]["event"] for _ in range(2)]
        assert told == ["running", "completed"]


async def test_an_event_that_two_subscriptions_want_comes_once(server: Server, thread: str) -> None:
    both = {**SUBSCRIBE, "params": {"channels": ["lifecycle", "values"]}}
    start = {"id": 4, "method": "run.start", "params": {"assistant_id": "slow", "input": {"steps": 1}}}
    async with connect(socket_url(server.url, thread)) as socket, asyncio.timeout(20):
        for frame in (SUBSCRIBE, both, start):
            assert (await asked(socket, frame))["type"] == "success"
        told = [json.loads(await socket.recv())["method"] for _ in range(4)]
        assert sorted(told) == ["lifecycle", "lifecycle", "values", "values"]
        again = await asked(socket, {**both, "id": 9, "params": {**both["params"], "since": 0}})
        late = [again, *[json.loads(await socket.recv()) for _ in range(4)]]
        assert [frame["method"] for frame in late if "method" in frame] == [
            "lifecycle",
            "values",
            "values",
            "lifecycle",
        ]


async def test_a_thread_id_is_a_uuid(client: LangGraphClient, server: Server) -> None:
    answer = await client.http.client.post("/threads/nobody/stream/events", json={"channels": ["values"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_argument")
    start = {"id": 1, "method": "run.start", "params": {"assistant_id": "slow"}}
    told = (await client.http.client.post("/threads/nobody/commands", json=start)).json()
    assert is_error(told, "invalid_argument", 1)
    async with connect(socket_url(server.url, "nobody")) as socket:
        assert is_error(json.loads(await socket.recv()), "invalid_argument", None)
        with pytest.raises(ConnectionClosedError) as closed:
            await socket.recv()
    assert closed.value.rcvd
    assert closed.value.rcvd.code == 4422


async def test_a_thread_that_is_not_there_yet_can_be_listened_to(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="slow") as thread:
        events: Any = thread.subscribe(["custom"])

        async def heard() -> Any:
            return await anext(events)

        first = asyncio.create_task(heard())
        await asyncio.sleep(0.3)
        await thread.run.start(input={"steps": 1})
        async with asyncio.timeout(30):
            told = await first
        assert told["params"]["data"] == {"payload": {"step": 1}}
        assert ((await client.threads.get(thread.thread_id))["metadata"] or {})["graph_id"] == "slow"


async def test_commands_look_at_a_thread(client: Any) -> None:
    async def ask(method: str, **params: Any) -> Any:
        frame = {"id": 1, "method": method, "params": params}
        return (await client.http.client.post(f"/threads/{id_}/commands", json=frame)).json()["result"]

    id_ = str(uuid.uuid4())
    run = await ask("run.start", assistant_id="nested", input={"path": ["x"]})
    await client.runs.join(id_, run["run_id"])
    tree = (await ask("agent.getTree"))["tree"]
    (middle,) = tree["children"]
    (deep,) = middle["children"]
    assert [(node["graph_name"], node["status"]) for node in (tree, middle, deep)] == [
        ("nested", "interrupted"),
        ("middle", "completed"),
        ("deep", "completed"),
    ]
    state = await ask("state.get", namespace=[], keys=["answers"])
    assert state["values"] == {"answers": []}
    places = (await ask("state.listCheckpoints", limit=2))["checkpoints"]
    assert [place["step"] for place in places] == [2, 1]
    assert places[0]["id"] == state["checkpoint"]["id"]
    (before,) = (await ask("state.listCheckpoints", limit=1, before=places[1]["id"]))["checkpoints"]
    assert before["step"] == 0
    forked = await ask("state.fork", checkpoint_id=places[1]["id"])
    assert forked["thread_id"] == id_
    assert (await client.runs.join(id_, forked["run_id"]))["path"][:2] == ["x", "begin"]
