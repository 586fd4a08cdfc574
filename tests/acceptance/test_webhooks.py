"""A run's end, told to an address: signed, at least once, under one id, and nowhere that it must not go."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.acceptance.conftest import end
from tests.acceptance.keyed import Keyed, serving
from tests.acceptance.processes import wait_until
from tests.acceptance.test_http import MISSING, failed
from tests.conftest import fresh_database

SETTINGS = {
    "TRIREME_CONFIG": str(Path(__file__).parents[1] / "sdk" / "langgraph.json"),
    "TRIREME_WEBHOOK_NETWORKS": "127.0.0.1",
    "TRIREME_WEBHOOK_TIMEOUT_S": "2",
    "TRIREME_WEBHOOK_RETRY_S": "0.2",
}


@dataclass(frozen=True, slots=True)
class Told:
    path: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """Answers by path: /STATUS with that status, /first/STATUS with it the first time; /hold when `go_on` is set."""

    told: list[Told] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def of(self, path: str) -> list[Told]:
        return [one for one in self.told if one.path == path]

    def status(self, path: str) -> int:
        if path.startswith("/hold"):
            self.go_on.wait(20)
            return 200
        _, *rest = path.split("?")[0].split("/")
        if rest[0] == "first":
            return int(rest[1]) if len(self.of(path)) == 1 else 200
        return int(rest[0])


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            receiver.told.append(Told(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status(self.path))
            self.send_header("Location", "/200?redirected")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.go_on.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def keyed(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with (
        fresh_database(template_database) as dsn,
        serving(dsn, tmp_path_factory.mktemp("webhooks"), settings=SETTINGS) as stack,
    ):
        yield stack


@pytest.fixture(scope="module")
def acme(keyed: Keyed) -> Iterator[httpx.Client]:
    with keyed.client(keyed.key("acme")) as client:
        yield client


def ended(client: httpx.Client, url: str) -> str:
    """A run with this webhook, which ends at once: nobody has begun with it when it is cancelled."""
    run = client.post("/runs", json={"goal": "Later", "after_seconds": 3_600, "webhook": url}).json()
    assert client.post(f"/runs/{run['run_id']}/cancel").status_code == 200
    run_id: str = run["run_id"]
    return run_id


def delivery(client: httpx.Client, run_id: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The run's one delivery, once it is as `done` says."""
    deadline = time.monotonic() + 90
    while True:
        found = client.get("/webhooks/deliveries", params={"run_id": run_id}).json()["deliveries"]
        assert len(found) <= 1
        if found and done(found[0]):
            return dict(found[0])
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def is_delivered(found: dict[str, Any]) -> bool:
    return bool(found["status"] == "delivered")


def test_a_runs_end_is_told_with_its_values_signed_as_standard_webhooks_says(
    keyed: Keyed, acme: httpx.Client, receiver: Receiver
) -> None:
    goal = "What is in the documents? Write to ada@acme.example.com"
    url = f"{receiver.url}/200?answered"
    run = acme.post("/runs?wait=true", json={"goal": goal, "webhook": url}).json()
    delivery(acme, run["run_id"], is_delivered)
    (told,) = receiver.of("/200?answered")
    shown = keyed.home.run("webhooks", "secret", "--tenant", "acme")
    secret = shown.stdout.strip()
    body = Webhook(secret).verify(told.body, told.headers)
    assert told.headers["content-type"] == "application/json"
    expected = acme.get(f"/runs/{run['run_id']}").json()
    assert body == {"type": "run.ended", **expected, "values": body["values"]}
    assert body["values"]["answer"] == run["answer"]
    assert body["goal"] == goal
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(told.body.replace("success", "failure"), told.headers)


@pytest.mark.parametrize("assistant", ["trireme", "chat"])
def test_a_run_of_the_sdk_is_told_in_its_words(acme: httpx.Client, receiver: Receiver, assistant: str) -> None:
    message = {"role": "user", "content": "What is in the documents?"}
    url = f"{receiver.url}/200?{assistant}"
    new = {"assistant_id": assistant, "input": {"messages": [message]}, "webhook": url}
    thread_id = acme.post("/threads", json={}).json()["thread_id"]
    run = acme.post(f"/threads/{thread_id}/runs", json=new).json()
    delivery(acme, run["run_id"], is_delivered)
    (told,) = receiver.of(f"/200?{assistant}")
    body = json.loads(told.body)
    shown = acme.get(f"/threads/{thread_id}/runs/{run['run_id']}").json()
    assert {name: body[name] for name in shown} == shown
    assert shown["status"] == "success"
    assert (body["type"], body["error"]) == ("run.ended", None)
    assert told.headers["x-harbour"] == "port of Piraeus", "as langgraph.json says"
    if assistant == "chat":
        assert body["values"] == acme.get(f"/threads/{thread_id}").json()["values"]
        assert body["values"]["messages"]
    failed(acme.post(f"/threads/{thread_id}/runs", json={**new, "webhook": "nowhere"}), 400, "bad_webhook")
    long = {"webhook": f"https://example.com/{'x' * 1_000}"}
    for path, given in ((f"/threads/{thread_id}/runs", new), ("/runs", {"goal": "Tell nobody"})):
        failed(acme.post(path, json={**given, **long}), 400, "webhook_refused")


def test_each_run_is_told_with_what_it_left_and_not_what_the_next_made_of_it(
    acme: httpx.Client, receiver: Receiver
) -> None:
    thread_id = acme.post("/threads", json={}).json()["thread_id"]
    inputs = ({"steps": 1}, {"steps": 2}, {"steps": 3, "fail_at": 3}, {"steps": 4, "fail_at": 0})
    runs = []
    for number, given in enumerate(inputs):
        new = {"assistant_id": "slow", "input": given, "webhook": f"{receiver.url}/200?in-a-row={number}"}
        runs.append(acme.post(f"/threads/{thread_id}/runs", json=new).json()["run_id"])
    for run_id in runs:
        delivery(acme, run_id, is_delivered)
    told = [json.loads(receiver.of(f"/200?in-a-row={number}")[0].body) for number in range(len(inputs))]
    assert [(body["status"], body["values"]["done"]) for body in told] == [
        ("success", 1),
        ("success", 2),
        ("error", 2),
        ("success", 4),
    ]
    assert [body["error"] for body in told] == [
        None,
        None,
        {"error": "ValueError", "message": "the mast broke"},
        None,
    ]


def test_a_receiver_that_fails_is_told_again_the_same_under_the_same_id(acme: httpx.Client, receiver: Receiver) -> None:
    run_id = ended(acme, f"{receiver.url}/first/500")
    found = delivery(acme, run_id, is_delivered)
    first, second = receiver.of("/first/500")
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_" + found["delivery_id"].replace("-", "")
    assert first.body == second.body
    assert json.loads(first.body)["status"] == "cancelled"
    assert (found["attempts"], found["answer"], found["error"]) == (2, 200, "")


def test_a_redirect_is_not_followed(acme: httpx.Client, receiver: Receiver) -> None:
    found = delivery(acme, ended(acme, f"{receiver.url}/302"), lambda one: one["attempts"] >= 2)
    assert (found["status"], found["error"]) == ("pending", "answered 302")
    assert receiver.of("/200?redirected") == []


def test_a_receiver_that_is_gone_is_left_alone_until_somebody_sends_again(
    keyed: Keyed, acme: httpx.Client, receiver: Receiver
) -> None:
    run_id = ended(acme, f"{receiver.url}/410")
    found = delivery(acme, run_id, lambda one: one["status"] == "failed")
    assert (found["attempts"], found["error"], found["due_at"]) == (1, "answered 410", None)
    answer = acme.post(f"/webhooks/deliveries/{found['delivery_id']}/replay")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    delivery(acme, run_id, lambda one: one["status"] == "failed" and one["attempts"] == 2)
    first, second = receiver.of("/410")
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


def test_an_address_that_is_not_public_is_never_connected_to(acme: httpx.Client, receiver: Receiver) -> None:
    port = receiver.url.rpartition(":")[2]
    for host in ("127.0.0.2", "[::ffff:127.0.0.2]"):
        run_id = ended(acme, f"http://{host}:{port}/200?private")
        found = delivery(acme, run_id, lambda one: one["status"] == "failed")
        assert (found["attempts"], found["answer"]) == (1, None)
        assert found["error"] == "the webhook's host is an address that isn't public"
    assert receiver.of("/200?private") == []


def test_what_is_no_address_is_refused_before_there_is_a_run(acme: httpx.Client) -> None:
    for url in ("nowhere", "ftp://example.com/", "https://user:secret@example.com/"):
        answer = acme.post("/runs", json={"goal": "x", "webhook": url})
        assert "secret" not in answer.text
        failed(answer, 400, "bad_webhook")


def test_deliveries_are_their_own_tenants(keyed: Keyed, acme: httpx.Client, receiver: Receiver) -> None:
    runs = [ended(acme, f"{receiver.url}/200?own") for _ in range(4)]
    found = delivery(acme, runs[-1], is_delivered)
    with keyed.client(keyed.key("globex")) as globex:
        assert globex.get("/webhooks/deliveries").json() == {"deliveries": [], "next": None}
        replay = globex.post(f"/webhooks/deliveries/{found['delivery_id']}/replay")
        failed(replay, 404, "delivery_not_found")
    failed(acme.post(f"/webhooks/deliveries/{MISSING}/replay"), 404, "delivery_not_found")
    failed(acme.get("/webhooks/deliveries", params={"after": "x"}), 400, "bad_cursor")
    page = acme.get("/webhooks/deliveries", params={"limit": 2}).json()
    behind = acme.get("/webhooks/deliveries", params={"limit": 2, "after": page["next"]}).json()
    ids = [one["delivery_id"] for one in page["deliveries"] + behind["deliveries"]]
    assert len(set(ids)) == len(ids) == 4
    assert page["deliveries"][0]["run_id"] == runs[-1]


def test_a_worker_killed_in_the_middle_of_a_delivery_leaves_it_to_another(
    keyed: Keyed, acme: httpx.Client, receiver: Receiver
) -> None:
    """The last test here: from then on there is no worker."""
    run_id = ended(acme, f"{receiver.url}/hold")
    assert wait_until(lambda: bool(receiver.of("/hold")))
    keyed.processes[-1].kill()
    keyed.processes[-1].wait()
    assert delivery(acme, run_id, lambda _: True)["status"] == "pending"
    receiver.go_on.set()
    other = keyed.home.start("worker")
    try:
        found = delivery(acme, run_id, is_delivered)
    finally:
        end(other)
    first, *more = receiver.of("/hold")
    assert found["attempts"] == 1 + len(more) >= 2
    assert {(one.headers["webhook-id"], one.body) for one in more} == {(first.headers["webhook-id"], first.body)}
