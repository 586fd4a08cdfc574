"""HTTP as an app or a curl user has it: every route, every way to get a request wrong, one shape of error."""

import socket
import subprocess
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Home, Up, end
from tests.acceptance.processes import wait_until
from tests.ports import free_port

GOAL = "What is in the documents?"
SECRET = "zanzibar-77"
MISSING = "00000000-0000-7000-8000-000000000000"
Sent = dict[str, Any]


@pytest.fixture(scope="module")
def finished(up: Up) -> dict[str, Any]:
    """A run that has ended, as `wait=true` gives it."""
    answer = httpx.post(f"{up.url}/runs", params={"wait": True}, json={"goal": GOAL}, timeout=60)
    assert answer.status_code == 200
    view: dict[str, Any] = answer.json()
    assert view["status"] == "success"
    return view


@pytest.fixture
def parked(api: httpx.Client) -> Iterator[str]:
    """A run that waits for its plan to be approved; it is cancelled at the end."""
    view = api.post("/runs", params={"wait": True}, json={"goal": GOAL, "review_plan": True}).json()
    assert view["status"] == "interrupted"
    yield view["run_id"]
    api.post(f"/runs/{view['run_id']}/cancel")


def failed(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Checks the one shape of errors, and that nothing of the request's content comes back."""
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert set(body) == {"code", "message", "hint", "request_id"}
    assert body["code"] == code
    assert body["message"]
    assert SECRET not in answer.text
    assert body["request_id"] == answer.headers.get("x-request-id", body["request_id"])
    return body


def events_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The messages of a server-sent stream (HTML standard, 9.2), each checked against its own data."""
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith(":"))
        if fields:
            event = orjson.loads(fields["data"])
            seq, _, mark = fields["id"].partition("-")
            assert (seq, fields["event"], len(mark)) == (str(event["seq"]), event["kind"], 12)
            found.append(event)
    return found


def test_a_run_is_accepted_at_once_and_found_at_its_location(api: httpx.Client) -> None:
    answer = api.post("/runs", json={"goal": GOAL})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/runs/{answer.json()['run_id']}"
    found = api.get(answer.headers["location"])
    assert found.status_code == 200
    assert found.json()["goal"] == GOAL


def test_the_same_idempotency_key_gives_the_same_run_and_another_request_a_conflict(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = api.post("/runs", json={"goal": GOAL}, headers=headers)
    again = api.post("/runs", json={"goal": GOAL}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["run_id"] == again.json()["run_id"]
    failed(api.post("/runs", json={"goal": f"{GOAL} {SECRET}"}, headers=headers), 409, "idempotency_mismatch")
    for bad in ("", "a b", "x" * 256):
        failed(api.post("/runs", json={"goal": GOAL}, headers={"Idempotency-Key": bad}), 400, "bad_request")


def test_an_event_stream_of_a_new_run_goes_to_its_end(api: httpx.Client) -> None:
    answer = api.post("/runs", json={"goal": GOAL}, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("run_created", "run_finished")
    assert events[-1]["status"] == "success"


def test_a_stream_goes_on_behind_every_event_of_a_finished_run(api: httpx.Client, finished: dict[str, Any]) -> None:
    route = f"/runs/{finished['run_id']}/events"
    whole = events_of(api.get(route))
    assert len(whole) == finished["last_seq"]
    for seen in range(1, len(whole)):
        assert events_of(api.get(route, headers={"Last-Event-ID": str(seen)})) == whole[seen:]
        assert events_of(api.get(route, params={"after": seen})) == whole[seen:]
    nothing_left = api.get(route, headers={"Last-Event-ID": str(len(whole))}, timeout=60)
    assert (nothing_left.status_code, nothing_left.content) == (204, b"")


@pytest.mark.parametrize("bad", ["x", "-2", "1.5", "1-000000000000", "999999", "9" * 400, "٣"])
def test_a_last_event_id_that_no_run_gave_is_refused(api: httpx.Client, finished: dict[str, Any], bad: str) -> None:
    headers = {b"Last-Event-ID": bad.encode()}
    failed(api.get(f"/runs/{finished['run_id']}/events", headers=headers), 400, "bad_last_event_id")


def test_a_run_is_cancelled_once_and_resumed_after(api: httpx.Client, parked: str) -> None:
    assert api.post(f"/runs/{parked}/cancel").json()["status"] == "cancelled"
    failed(api.post(f"/runs/{parked}/cancel"), 409, "run_ended")
    failed(api.post(f"/runs/{parked}/approve", json={}), 409, "no_decision_pending")
    assert api.post(f"/runs/{parked}/resume").json()["status"] in ("pending", "running", "interrupted")
    assert wait_until(lambda: api.get(f"/runs/{parked}").json()["status"] == "interrupted")


def test_a_decision_counts_once(api: httpx.Client, parked: str) -> None:
    (waiting,) = api.get(f"/runs/{parked}").json()["approvals"]
    decision = {"approval_id": waiting["approval_id"], "decision": "approve"}
    failed(api.post(f"/runs/{parked}/resume"), 409, "needs_decision")
    assert api.post(f"/runs/{parked}/approve", json=decision).status_code == 200
    late = api.post(f"/runs/{parked}/approve", json=decision)
    assert late.status_code == 409
    assert late.json()["code"] in ("approval_already_decided", "no_decision_pending")
    assert wait_until(lambda: api.get(f"/runs/{parked}").json()["status"] == "success")


def test_a_decision_that_does_not_fit_is_refused_and_the_run_still_waits(api: httpx.Client, parked: str) -> None:
    route = f"/runs/{parked}/approve"
    failed(api.post(route, json={"decision": "edit"}), 400, "edit_without_arguments")
    failed(api.post(route, json={"decision": "edit", "arguments": {"steps": []}}), 400, "bad_plan")
    failed(api.post(route, json={"decision": SECRET}), 422, "invalid_request")
    unknown = api.post(route, json={"approval_id": "plan-99"})
    assert unknown.status_code in (404, 409), unknown.text
    assert api.get(f"/runs/{parked}").json()["status"] == "interrupted"


@pytest.mark.parametrize("run_id", ["nope", MISSING, "a" * 3000, "%00", "%ff", "..%2f..%2fok"])
def test_a_run_that_does_not_exist_is_404_on_every_route(api: httpx.Client, run_id: str) -> None:
    answers = [api.get(f"/runs/{run_id}{rest}") for rest in ("", "/events", "/artifacts/x.md")]
    answers += [api.post(f"/runs/{run_id}/{verb}", json={}) for verb in ("cancel", "resume", "approve")]
    for answer in answers:
        body = failed(answer, 404, "not_found" if run_id.startswith("..") else "run_not_found")
        assert len(body["message"]) < 200


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"json": {"goal": ""}}, 400, "goal_empty"),
        ({"json": {"goal": " \n\t"}}, 400, "goal_empty"),
        ({"json": {"goal": SECRET * 20_000}}, 413, "goal_too_long"),
        ({"json": {"goal": 5}}, 422, "invalid_request"),
        ({"json": {}}, 422, "invalid_request"),
        ({"json": [SECRET]}, 422, "invalid_request"),
        ({"json": {"goal": SECRET, "unknown": SECRET}}, 422, "invalid_request"),
        ({"json": {"goal": SECRET, "bounds": {"cost_usd": -1}}}, 422, "invalid_request"),
        ({"json": {"goal": SECRET, "bounds": {"seconds": 0}}}, 422, "invalid_request"),
        ({"json": {"goal": SECRET, "channel": "fax"}}, 400, "unknown_channel"),
        ({"json": {"goal": SECRET, "collection": "../etc"}}, 422, "invalid_request"),
        ({"json": {"goal": SECRET, "collection": "not-there"}}, 404, "collection_not_found"),
        ({"json": {"goal": SECRET, "thread_id": "nope"}}, 404, "thread_not_found"),
        ({"content": b'{"goal": "' + SECRET.encode()}, 422, "invalid_request"),
        ({"content": b'{"goal": NaN}'}, 400, "invalid_request"),
        ({"content": b"\xff\xfe"}, 422, "invalid_request"),
        ({"content": b'{"goal": ' + b"[" * 200_000}, 400, "invalid_request"),
        ({"content": b'{"goal": "x", "bounds": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001}, 400, "invalid_request"),
        ({"content": b""}, 422, "invalid_request"),
        ({"json": {"goal": ""}, "headers": {"Content-Type": "text/plain;charset=UTF-8"}}, 400, "goal_empty"),
        ({"json": {"goal": ""}, "headers": {"Content-Type": ""}}, 400, "goal_empty"),
        ({"json": {"goal": SECRET}, "headers": {"Content-Type": "application/xml"}}, 422, "invalid_request"),
        ({"data": {"goal": SECRET}}, 422, "invalid_request"),
    ],
)
def test_a_request_that_is_wrong_says_so_in_one_shape(api: httpx.Client, sent: Sent, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"} | sent.get("headers", {})
    if "data" in sent:
        del headers["Content-Type"]
    failed(api.post("/runs", **{**sent, "headers": headers}), status, code)


def test_a_body_over_the_limit_is_refused_with_and_without_its_length_said(api: httpx.Client) -> None:
    large = b'{"goal": "' + SECRET.encode() * 3_200_000 + b'"}'
    json = {"Content-Type": "application/json"}
    failed(api.post("/runs", content=large, headers=json), 413, "body_too_large")
    parts = (large[at : at + 1_000_000] for at in range(0, len(large), 1_000_000))
    failed(api.post("/runs", content=parts, headers=json), 413, "body_too_large")


def test_unknown_routes_and_methods_have_the_same_shape(api: httpx.Client) -> None:
    failed(api.get("/nothing"), 404, "not_found")
    for path, allowed in (
        ("/runs", "GET, POST"),
        ("/agent-protocol/threads", "POST"),
        ("/threads/x", "GET, PATCH, DELETE"),
    ):
        refused = api.put(path)
        failed(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == allowed
    failed(api.get("/runs", params={"limit": 0}), 422, "invalid_request")
    failed(api.delete(f"/memory/{MISSING}"), 404, "memory_not_found")


def test_metrics_and_openapi_are_what_their_readers_expect(api: httpx.Client, finished: dict[str, Any]) -> None:
    metrics = {family.name: family for family in text_string_to_metric_families(api.get("/metrics").text)}
    ended = [
        sample for family in metrics.values() for sample in family.samples if sample.labels.get("status") == "success"
    ]
    assert any(sample.value >= 1 for sample in ended), sorted(metrics)
    paths = api.get("/openapi.json").json()["paths"]
    for route in ("/runs", "/runs/{run_id}", "/runs/{run_id}/events", "/runs/{run_id}/approve", "/ok", "/metrics"):
        assert route in paths
    assert api.get("/ok").json() == {"ok": True}
    assert api.get("/").json() == {"ok": True}
    assert [(api.head(path).status_code, api.head(path).content) for path in ("/ok", "/")] == [(200, b"")] * 2
    assert "MCP" in api.post("/mcp", json={}).json()["hint"]
    assert api.get("/info").json()["name"] == "trireme"
    assert api.get("/docs").status_code == 200


def test_curl_gets_an_answer_in_one_request(up: Up) -> None:
    command = ["curl", "-sS", "--fail-with-body", f"{up.url}/runs?wait=true", "--json", f'{{"goal": "{GOAL}"}}']
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert orjson.loads(done.stdout)["status"] == "success"


def test_a_client_that_goes_away_in_the_middle_of_a_stream_harms_nobody(up: Up, api: httpx.Client, parked: str) -> None:
    host, port = up.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"GET /runs/{parked}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            connection.recv(64)
    assert api.get("/ok").status_code == 200
    assert api.get(f"/runs/{parked}").json()["status"] == "interrupted"


@pytest.fixture(scope="module")
def guarded(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An API process of its own over the same database, which wants a key; its address."""
    key = b64encode((up.home.path / "server-vault.key").read_bytes()).decode()
    settings = {"DATABASE_URL": up.home.dsn, "TRIREME_API_KEY": SECRET, "TRIREME_VAULT_KEY": key}
    home = Home(tmp_path_factory.mktemp("guarded"), settings)
    port = free_port()
    process = home.start("serve", "--port", str(port))
    address = f"http://127.0.0.1:{port}"
    assert wait_until(lambda: _answers(address))
    yield address
    end(process)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/ok").status_code == 200
    except httpx.TransportError:
        time.sleep(0.1)
        return False


def test_with_an_api_key_set_every_route_but_ok_wants_it(guarded: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": "wrong"},
        {"Authorization": f"Basic {SECRET}x"},
    ):
        for route in ("/runs", "/metrics", "/openapi.json", "/docs", "/info", "/nothing", "/memory"):
            failed(httpx.get(guarded + route, headers=headers), 401, "unauthorized")
    for headers in ({"Authorization": f"Bearer {SECRET}"}, {"X-API-Key": SECRET}):
        assert httpx.get(f"{guarded}/runs", headers=headers).status_code == 200


def test_a_process_with_another_vault_key_ends_and_says_what_to_set(up: Up, tmp_path: Path) -> None:
    other = Home(tmp_path, {"DATABASE_URL": up.home.dsn, "TRIREME_PORT": "0"})
    serve, worker = other.run("serve", timeout=90), other.run("worker", timeout=90)
    assert serve.returncode != 0
    assert "TRIREME_VAULT_KEY" in serve.stderr
    (line,) = worker.stderr.splitlines()
    assert worker.returncode == 2
    assert "TRIREME_VAULT_KEY" in line


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost.example.com"])
def test_nothing_listens_beyond_loopback_without_a_key(up: Up, tmp_path: Path, host: str) -> None:
    home = Home(tmp_path, {"TRIREME_PORT": "0", "TRIREME_HOST": host})
    for command, settings in (("up", {}), ("serve", {"DATABASE_URL": up.home.dsn})):
        done = home.run(command, timeout=90, **settings)
        (line,) = done.stderr.splitlines()
        assert line.startswith("trireme: refusing to listen on" if host == "0.0.0.0" else "trireme: can't listen on")
        assert done.returncode in (1, 2)
