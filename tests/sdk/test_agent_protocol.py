"""The Agent Protocol under `/agent-protocol`: its operations, as its document has them, by a client of plain HTTP."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from websockets.sync.client import connect

from tests.acceptance.conftest import Up
from tests.sdk.protocol import OPERATIONS, RUN_STATUSES, SCHEMAS, THREAD_STATUSES

NOBODY = "11111111-1111-1111-1111-111111111111"
LONG: dict[str, Any] = {"steps": 400, "delay": 0.05}


@pytest.fixture(scope="module")
def api(server: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/agent-protocol", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def document(api: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/openapi.json").json()
    return found


@pytest.fixture
def thread(api: httpx.Client) -> str:
    return str(api.post("/threads", json={}).json()["thread_id"])


def said(role: str, text: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text}]}


def refused(answer: httpx.Response, status: int) -> str:
    body = answer.json()
    assert (answer.status_code, set(body)) == (status, {"code", "message", "hint", "request_id"}), answer.text
    return str(body["code"])


def test_the_document_has_the_protocols_operations_and_no_other(document: dict[str, Any]) -> None:
    here = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert here == set(OPERATIONS)
    assert len(here) == 27


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_takes_and_answers_what_the_protocol_says(document: dict[str, Any], name: str) -> None:
    method, path = name.split()
    here, wanted = document["paths"][path][method.lower()], OPERATIONS[name]
    assert {str(wanted.answers), *wanted.refuses.split()} <= set(here["responses"])
    body = _resolved(document, here.get("requestBody", {}).get("content", {}).get("application/json", {}))
    assert set(body.get("required", ())) == set(wanted.needs.split())
    assert {*wanted.needs.split(), *wanted.takes.split()} <= set(body.get("properties", ()))
    if wanted.schema:
        assert _name(here["responses"]["200"]["content"]["application/json"]["schema"]) == wanted.schema


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_promises_at_least_what_the_protocol_asks(document: dict[str, Any], name: str) -> None:
    here = document["components"]["schemas"][name]
    needs, may = (set(fields.split()) for fields in SCHEMAS[name])
    assert needs <= set(here["required"])
    assert needs | may <= set(here["properties"])
    if status := here["properties"].get("status"):
        assert set(status["enum"]) == (RUN_STATUSES if name == "Run" else THREAD_STATUSES)


def test_agents_are_found_looked_at_and_described(api: httpx.Client, server: Up) -> None:
    found = api.post("/agents/search", json={"name": "CHA"}).json()
    assert [(each["name"], each["capabilities"]) for each in found] == [
        ("chat", {"ap.io.messages": True, "ap.io.streaming": True})
    ]
    chat = found[0]["agent_id"]
    assert api.get(f"/agents/{chat}").json() == api.get("/agents/chat").json() == found[0]
    assert httpx.get(f"{server.url}/agents/chat").json() == found[0]  # no other vocabulary has this path
    schemas = api.get(f"/agents/{chat}/schemas").json()
    assert schemas["agent_id"] == chat
    assert "messages" in schemas["input_schema"]["properties"]
    assert not api.get("/agents/slow").json()["capabilities"]["ap.io.messages"]
    page = api.post("/agents/search", json={"limit": 2})
    assert (len(page.json()), page.headers["x-pagination-next"]) == (2, "2")


def test_an_agent_that_is_none_or_broken_is_named(api: httpx.Client) -> None:
    assert refused(api.get("/agents/nobody"), 404) == "agent_not_found"
    assert refused(api.get(f"/agents/{NOBODY}"), 404) == "assistant_not_found"
    assert refused(api.get("/agents/broken/schemas"), 422) == "graph_failed"
    assert refused(api.post("/runs", json={"agent_id": NOBODY}), 404) == "assistant_not_found"


def test_an_agent_of_a_graph_that_is_hosted_no_more_is_found_beside_the_others(api: httpx.Client, server: Up) -> None:
    new = {"graph_id": "slow", "name": "Left over"}
    id_ = httpx.post(f"{server.url}/assistants", json=new).json()["assistant_id"]
    with psycopg.connect(server.home.dsn) as connection:
        connection.execute("update assistant_versions set graph_id = 'gone' where assistant_id = %s", (id_,))
    (found,) = api.post("/agents/search", json={"name": "left over"}).json()
    assert (found["agent_id"], found["capabilities"]["ap.io.messages"]) == (id_, False)
    assert refused(api.get(f"/agents/{id_}/schemas"), 404) == "graph_not_found"
    assert refused(api.post("/runs", json={"agent_id": id_}), 404) == "graph_not_found"
    assert httpx.delete(f"{server.url}/assistants/{id_}").status_code == 204


def test_a_thread_is_made_changed_copied_found_and_forgotten(api: httpx.Client) -> None:
    made = api.post("/threads", json={"metadata": {"boat": "Argo"}}).json()
    id_ = made["thread_id"]
    assert (made["status"], made["values"], made["metadata"]) == ("idle", {}, {"boat": "Argo"})
    assert refused(api.post("/threads", json={"thread_id": id_}), 409) == "thread_exists"
    again = api.post("/threads", json={"thread_id": id_, "if_exists": "do_nothing"})
    assert again.json() == made
    patched = api.patch(f"/threads/{id_}", json={"metadata": {"crew": 3}}).json()
    assert patched["metadata"] == {"boat": "Argo", "crew": 3}
    copy = api.post(f"/threads/{id_}/copy").json()
    assert copy["thread_id"] != id_
    found = api.post("/threads/search", json={"metadata": {"boat": "Argo"}, "status": "idle"}).json()
    assert {each["thread_id"] for each in found} == {id_, copy["thread_id"]}
    assert api.delete(f"/threads/{id_}").status_code == 204
    assert refused(api.get(f"/threads/{id_}"), 404) == "thread_not_found"
    assert refused(api.delete("/threads/x"), 422) == "invalid_request"


def test_messages_stand_beside_the_values(api: httpx.Client, thread: str) -> None:
    asked = {"thread_id": thread, "agent_id": "chat", **said("user", "what is the weather in Poros?")}
    done = api.post("/runs/wait", json=asked).json()
    assert (done["run"]["status"], done["run"]["thread_id"]) == ("success", thread)
    assert done["values"] == {"greeting": "Ahoy, nobody", "rank": "none"}
    assert [each["role"] for each in done["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert done["messages"][1]["tool_calls"][0]["args"] == {"city": "Poros"}
    kept = api.get(f"/threads/{thread}").json()
    assert (kept["values"], kept["messages"]) == (done["values"], done["messages"])
    history = api.get(f"/threads/{thread}/history", params={"limit": 2}).json()
    assert [len(each["messages"]) for each in history] == [4, 3]
    before = api.get(f"/threads/{thread}/history", params={"before": history[0]["checkpoint"]["checkpoint_id"]})
    assert before.json()[0] == history[1]


def test_a_patch_is_made_whole_or_not_at_all(api: httpx.Client, thread: str) -> None:
    both = {"values": {"steps": 1, "nonsense": 2}, "metadata": {"graph_id": "slow", "by": "hand"}}
    assert refused(api.patch(f"/threads/{thread}", json=both), 422)
    assert api.get(f"/threads/{thread}").json()["metadata"] == {}
    made = api.patch(f"/threads/{thread}", json={**both, "values": {"steps": 7}}).json()
    assert (made["values"]["steps"], made["metadata"]) == (7, {"graph_id": "slow", "by": "hand"})
    assert refused(api.patch(f"/threads/{thread}", json={"values": {"nonsense": 2}, "metadata": {"by": "me"}}), 422)
    assert api.get(f"/threads/{thread}").json()["metadata"]["by"] == "hand"


def test_a_patch_of_the_state_is_a_new_revision(api: httpx.Client, thread: str) -> None:
    assert refused(api.patch(f"/threads/{thread}", json={"values": {"steps": 1}}), 422) == "thread_without_graph"
    api.post("/runs/wait", json={"thread_id": thread, "agent_id": "slow", "input": {"steps": 2}})
    first = api.get(f"/threads/{thread}/history").json()
    changed = api.patch(f"/threads/{thread}", json={"values": {"steps": 7}, "metadata": {"by": "hand"}}).json()
    assert (changed["values"], changed["metadata"]["by"]) == ({"steps": 7, "done": 2}, "hand")
    assert len(api.get(f"/threads/{thread}/history").json()) == len(first) + 1
    back = {"checkpoint": {"checkpoint_id": first[1]["checkpoint"]["checkpoint_id"]}, "values": {"steps": 9}}
    assert api.patch(f"/threads/{thread}", json=back).json()["values"] == {"steps": 9, "done": 1}


def test_a_run_goes_on_in_the_background_and_is_waited_for(api: httpx.Client, thread: str) -> None:
    new = {"thread_id": thread, "agent_id": "slow", "input": {"steps": 2}, "metadata": {"trip": "Poros"}}
    run = api.post("/runs", json=new).json()
    assert (run["status"], run["input"], run["metadata"]["trip"]) == ("pending", {"steps": 2}, "Poros")
    done = api.get(f"/runs/{run['run_id']}/wait").json()
    assert done["values"] == {"steps": 2, "done": 2}
    assert done["run"] == api.get(f"/runs/{run['run_id']}").json()
    assert done["run"]["status"] == "success"
    found = {"thread_id": thread, "agent_id": "slow", "status": "success", "metadata": {"trip": "Poros"}}
    assert [each["run_id"] for each in api.post("/runs/search", json=found).json()] == [run["run_id"]]
    assert api.post("/runs/search", json={**found, "status": "error"}).json() == []
    assert api.delete(f"/runs/{run['run_id']}").status_code == 204
    assert refused(api.get(f"/runs/{run['run_id']}"), 404) == "run_not_found"


def test_a_run_without_a_thread_is_planner_worker_and_critics(api: httpx.Client) -> None:
    done = api.post("/runs/wait", json=said("user", "What is 17 times 23?")).json()
    assert done["run"]["status"] == "success"
    assert [each["role"] for each in done["messages"]] == ["user", "assistant"]
    assert "391" in done["messages"][1]["content"]
    assert refused(api.post("/runs/wait", json={}), 422) == "goal_empty"


def test_a_stream_tells_of_the_run_and_goes_on_behind_a_cut(api: httpx.Client) -> None:
    new = {"agent_id": "slow", "input": {"steps": 2}, "stream_mode": ["values", "updates"], "on_completion": "keep"}
    whole = api.post("/runs/stream", json=new)
    assert whole.headers["content-type"].startswith("text/event-stream")
    frames = [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in whole.text.split("\n\n") if frame]
    assert [frame["event"] for frame in frames] == ["metadata", *["values"], *["updates", "values"] * 2]
    where = whole.headers["location"].removeprefix("/agent-protocol")
    rest = api.get(where, headers={"Last-Event-ID": frames[-2]["id"]}).text
    assert rest.split("\n\n") == whole.text.split("\n\n")[-2:]
    assert api.get(where).text == ""  # only what comes from now on


def test_a_thread_is_streamed_and_takes_commands(api: httpx.Client, thread: str) -> None:
    start = {"assistant_id": "slow", "input": {"steps": 1}}
    begun = api.post(f"/threads/{thread}/commands", json={"id": 7, "method": "run.start", "params": start}).json()
    assert (begun["type"], begun["id"]) == ("success", 7)
    wanted = {"channels": ["values", "lifecycle"]}
    with api.stream("POST", f"/threads/{thread}/stream", json=wanted) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = (orjson.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        done = next(event["params"]["data"] for event in told if event["params"]["data"].get("done") == 1)
    assert done == {"steps": 1, "done": 1}
    unknown = api.post(f"/threads/{thread}/commands", json={"id": 8, "method": "sail"}).json()
    assert (unknown["type"], unknown["id"], unknown["error"]) == ("error", 8, "unknown_command")
    assert refused(api.post(f"/threads/{thread}/stream", json={"channels": ["sails"]}), 422) == "invalid_request"
    assert refused(api.post(f"/threads/{NOBODY}/stream", json=wanted), 404) == "thread_not_found"
    assert refused(api.get(f"/threads/{thread}/stream"), 422) == "upgrade_needed"


def test_a_thread_is_streamed_over_a_websocket(server: Up, thread: str) -> None:
    url = f"{server.url.replace('http', 'ws', 1)}/agent-protocol/threads/{thread}/stream"
    with connect(url) as socket:
        socket.send(orjson.dumps({"id": 1, "method": "subscription.subscribe", "params": {"channels": ["values"]}}))
        assert orjson.loads(socket.recv())["type"] == "success"
        start = {"assistant_id": "slow", "input": {"steps": 1}}
        socket.send(orjson.dumps({"id": 2, "method": "run.start", "params": start}))
        frames = [orjson.loads(frame) for frame in (socket.recv(timeout=30) for _ in range(3))]
    assert {frame["type"] for frame in frames} == {"success", "event"}


def test_a_run_is_cancelled_once_and_its_thread_takes_the_next(api: httpx.Client, thread: str) -> None:
    run = api.post("/runs", json={"thread_id": thread, "agent_id": "slow", "input": LONG}).json()
    busy = api.patch(f"/threads/{thread}", json={"values": {"steps": 1}})
    assert refused(busy, 422) == "thread_busy"
    assert api.post(f"/runs/{run['run_id']}/cancel", params={"wait": True}).status_code == 204
    assert api.get(f"/runs/{run['run_id']}").json()["status"] == "interrupted"
    assert refused(api.post(f"/runs/{run['run_id']}/cancel"), 404) == "run_ended"
    rolled = api.post("/runs", json={"thread_id": thread, "agent_id": "slow", "input": LONG}).json()
    gone = api.post(f"/runs/{rolled['run_id']}/cancel", params={"wait": True, "action": "rollback"})
    assert gone.status_code == 204
    assert refused(api.get(f"/runs/{rolled['run_id']}"), 404) == "run_not_found"


def test_a_thread_is_made_with_the_run_only_where_that_is_asked(api: httpx.Client) -> None:
    new = {"thread_id": NOBODY.replace("1", "2"), "agent_id": "slow", "input": {"steps": 1}}
    assert refused(api.post("/runs/wait", json=new), 404) == "thread_not_found"
    assert api.post("/runs/wait", json={**new, "if_not_exists": "create"}).json()["values"]["done"] == 1
    assert api.delete(f"/threads/{new['thread_id']}").status_code == 204


def test_a_thread_may_go_with_its_run(api: httpx.Client, server: Up, thread: str) -> None:
    new = {"thread_id": thread, "agent_id": "slow", "input": {"steps": 1}, "on_completion": "delete"}
    assert api.post("/runs/wait", json=new).json()["values"]["done"] == 1
    kept = httpx.get(f"{server.url}/threads/{thread}", params={"include": "ttl"}).json()
    assert (kept["ttl"]["strategy"], kept["ttl"]["ttl_minutes"]) == ("delete", 0.5)


def test_the_store_keeps_finds_and_forgets(api: httpx.Client) -> None:
    item = {"namespace": ["protocol", "users"], "key": "u-1", "value": {"name": "Despina"}}
    assert api.put("/store/items", json=item).status_code == 204
    where = {"namespace": ["protocol", "users"], "key": "u-1"}
    kept = api.get("/store/items", params=where).json()
    assert {name: kept[name] for name in item} == item
    search = {"namespace_prefix": ["protocol"], "filter": {"name": "Despina"}}
    assert [each["key"] for each in api.post("/store/items/search", json=search).json()["items"]] == ["u-1"]
    assert api.post("/store/namespaces", json={"prefix": ["protocol"]}).json() == [["protocol", "users"]]
    assert api.request("DELETE", "/store/items", json=where).status_code == 204
    assert refused(api.get("/store/items", params=where), 404) == "item_not_found"
    assert refused(api.get("/store/items", params={"key": "u-1"}), 422) == "bad_namespace"


@pytest.mark.parametrize(
    "body",
    [b'{"metadata": {"a": "\\u0000"}}', b'{"metadata": {"a": NaN}}', b'{"metadata": ' + b"[" * 200, b"\xff", b"[]"],
)
def test_a_body_that_cannot_be_kept_is_refused_in_the_protocols_own_way(api: httpx.Client, body: bytes) -> None:
    answer = api.post("/threads", content=body, headers={"content-type": "application/json"})
    assert refused(answer, 422) == "invalid_request"


def _name(schema: dict[str, Any]) -> str:
    if "items" in schema:
        return f"[{_name(schema['items'])}]"
    return str(schema["$ref"].rpartition("/")[2] if "$ref" in schema else schema["type"])


def _resolved(document: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = body.get("schema", {})
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
