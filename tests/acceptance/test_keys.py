"""API keys: who may use the server, as what, and from when on not any more; on every process."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.acceptance.conftest import Home
from tests.acceptance.keyed import Keyed, serving
from tests.acceptance.processes import wait_until
from tests.acceptance.test_http import failed
from tests.conftest import fresh_database

REVOKED_WITHIN_S = 5.5
STREAM_ENDS_WITHIN_S = 2 * REVOKED_WITHIN_S + 9  # with a machine that does other things
GOAL = {"goal": "What is in the documents?"}


@pytest.fixture(scope="module")
def keyed(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with (
        fresh_database(template_database) as dsn,
        serving(dsn, tmp_path_factory.mktemp("keyed"), apis=2, worker=False) as stack,
    ):
        yield stack


def test_a_server_without_keys_is_open_to_this_machine_and_to_no_page_from_elsewhere(keyed: Keyed) -> None:
    """The first test here: from the next one on there are keys."""
    with keyed.client() as here:
        assert here.get("/runs").status_code == 200
        text = {"Content-Type": "text/plain"}
        evil = {**text, "Origin": "https://evil.example.com"}
        failed(here.post("/runs", content=orjson.dumps(GOAL), headers=evil), 403, "origin_not_allowed")
        failed(here.get("/runs", headers={"Host": "rebound.example.com"}), 403, "host_not_allowed")
        studio = {**text, "Origin": "https://smith.langchain.com"}
        assert here.post("/runs", content=orjson.dumps(GOAL), headers=studio).status_code == 202


def test_from_the_first_key_on_everybody_needs_one(keyed: Keyed) -> None:
    made = keyed.home.run("keys", "create", "--name", "first", "--expires", "30d")
    (key,) = made.stdout.splitlines()
    assert "shown only now" in made.stderr
    with keyed.client() as anyone, keyed.client(key) as owner:
        assert wait_until(lambda: anyone.get("/runs").status_code != 200)
        answer = anyone.get("/runs")
        assert "missing" in failed(answer, 401, "unauthorized")["message"]
        assert answer.headers["www-authenticate"] == "Bearer"
        assert anyone.get("/ok").status_code == 200
        assert owner.get("/runs").status_code == 200


def test_a_key_is_taken_in_both_headers_and_only_its_hash_is_kept(keyed: Keyed) -> None:
    key = keyed.key("acme", name="web app")
    for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer {key}"}, {"X-Api-Key": key}):
        for url in keyed.urls:
            assert httpx.get(f"{url}/runs", headers=headers).status_code == 200
    for wrong in (key[:-1], key + "x", "trm_", "ü"):
        failed(httpx.get(f"{keyed.urls[0]}/runs", headers={b"X-Api-Key": wrong.encode()}), 401, "unauthorized")
    with psycopg.connect(keyed.dsn) as connection:
        row = connection.execute("select digest, api_keys::text from api_keys where name = 'web app'").fetchone()
    assert row is not None
    assert row[0] == hashlib.sha256(key.encode()).digest()
    assert key not in row[1]
    (shown,) = [
        one for one in orjson.loads(keyed.home.run("keys", "list", "--json").stdout) if one["name"] == "web app"
    ]
    assert (shown["tenant"], shown["prefix"], shown["scopes"]) == ("acme", key[:12], ["read", "write"])
    assert shown["used_at"]


def test_a_key_may_do_what_its_scopes_say(keyed: Keyed) -> None:
    reader, scraper = keyed.key("acme", "read"), keyed.key("acme", "metrics")
    with keyed.client(reader) as client:
        assert client.get("/runs").status_code == 200
        assert client.post("/collections/x/missing", json={"digests": {}}).status_code == 200
        for refused in (client.post("/runs", json=GOAL), client.delete("/memory"), client.get("/metrics")):
            assert "create --scope" in failed(refused, 403, "scope_missing")["hint"]
        for refused in (client.put("/profiles/search", json={}), client.delete("/profiles/history")):
            assert "create --scope" in failed(refused, 403, "scope_missing")["hint"]
    with keyed.client(scraper) as client:
        assert client.get("/metrics").status_code == 200
        failed(client.get("/runs"), 403, "scope_missing")


def test_a_runs_log_names_the_key_that_paused_and_cancelled_it(keyed: Keyed) -> None:
    key = keyed.key("acme")
    with keyed.client(key) as owner:
        run = owner.post("/runs", json={**GOAL, "after_seconds": 3600}).json()["run_id"]
        for said in ("pause", "cancel"):
            assert owner.post(f"/runs/{run}/{said}").status_code == 200
        told = owner.get(f"/runs/{run}/events").text.splitlines()
    lines = [orjson.loads(line.removeprefix("data: ")) for line in told if line.startswith("data: ")]
    assert {line["kind"]: line["by"] for line in lines if "by" in line} == {
        "run_paused": key[:12],
        "cancel_requested": key[:12],
    }


def test_a_runs_log_names_the_key_that_cancelled_it_with_a_client_of_langgraphs(keyed: Keyed) -> None:
    key = keyed.key("acme")
    with keyed.client(key) as owner:
        asked = {"assistant_id": "trireme", "input": GOAL, "after_seconds": 3600, "if_not_exists": "create"}
        for many in (False, True):
            thread = str(uuid.uuid4())
            run = owner.post(f"/threads/{thread}/runs", json=asked).json()["run_id"]
            path = "/runs/cancel" if many else f"/threads/{thread}/runs/{run}/cancel"
            assert owner.post(path, json={"run_ids": [run]} if many else None).status_code in (202, 204)
            told = owner.get(f"/runs/{run}/events").text.splitlines()
            lines = [orjson.loads(line.removeprefix("data: ")) for line in told if line.startswith("data: ")]
            assert [line["by"] for line in lines if line["kind"] == "cancel_requested"] == [key[:12]]


def test_a_websocket_needs_a_key_too(keyed: Keyed) -> None:
    url = f"ws{keyed.urls[0].removeprefix('http')}/threads/{uuid.uuid4()}/stream/events"
    reading, writing = keyed.key("acme", "read"), keyed.key("acme", "read", "write")
    for key, status in (("", 401), ("wrong", 401), (keyed.key("acme", "metrics"), 403)):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers={"X-Api-Key": key} if key else {})
        assert refused.value.response.status_code == status
        assert set(orjson.loads(refused.value.response.body or b"")) == {"code", "message", "hint", "request_id"}
    for key, begun in ((reading, "permission_denied"), (writing, "success")):
        with connect(url, additional_headers={"X-Api-Key": key}) as socket:
            socket.send('{"id": 1, "method": "subscription.subscribe", "params": {"channels": ["values"]}}')
            assert orjson.loads(socket.recv())["type"] == "success"
            start = {"assistant_id": "trireme", "input": {"messages": "Hello"}}
            socket.send(orjson.dumps({"id": 2, "method": "run.start", "params": start}).decode())
            told = orjson.loads(socket.recv())
            assert begun in (told["type"], told.get("error"))


def test_a_revoked_key_is_refused_by_every_process_within_seconds(keyed: Keyed) -> None:
    for _ in range(3):  # other work on the machine may hold up one
        key = keyed.key("acme")
        with keyed.client(key, at=0) as first, keyed.client(key, at=1) as second:
            assert (first.get("/runs").status_code, second.get("/runs").status_code) == (200, 200)
            done = keyed.home.run("keys", "revoke", key[:12])
            revoked_at = time.monotonic()
            assert done.returncode == 0, done.stderr
            for client in (first, second):
                assert wait_until(lambda client=client: client.get("/runs").status_code == 401)  # type: ignore[misc]
                failed(client.get("/runs"), 401, "unauthorized")
            if (took := time.monotonic() - revoked_at) < REVOKED_WITHIN_S:
                break
    assert took < REVOKED_WITHIN_S
    again = keyed.home.run("keys", "revoke", key[:12])
    assert again.returncode == 2
    assert "was revoked at" in again.stderr


def test_a_stream_ends_with_the_key_that_opened_it(keyed: Keyed) -> None:
    """No worker is here, so the run says nothing more, and a stream of it goes on for ever."""
    key, other = keyed.key("acme"), keyed.key("acme")
    with keyed.client(key) as client, keyed.client(other) as stays:
        run = client.post("/runs", json=GOAL).json()
        events, thread = f"/runs/{run['run_id']}/events", f"/threads/{run['thread_id']}/stream/events"
        ask: Any = {"method": "POST", "url": thread, "json": {"channels": ["lifecycle"]}}
        socket = f"{keyed.urls[0].replace('http', 'ws')}{thread}"
        with (
            client.stream("GET", events) as log,
            client.stream(**ask) as protocol,
            stays.stream("GET", events) as staying,
            connect(socket, additional_headers={"X-Api-Key": key}) as conversation,
        ):
            ends: list[float] = []
            for stream in (log, protocol, staying):
                Thread(target=_read, args=(stream, ends), daemon=True).start()
            assert keyed.home.run("keys", "revoke", key[:12]).returncode == 0
            revoked_at = time.monotonic()
            while len(ends) < 2:
                assert time.monotonic() - revoked_at < STREAM_ENDS_WITHIN_S
                time.sleep(0.1)
            conversation.send(orjson.dumps({"id": 1, "method": "agent.getTree"}))
            with pytest.raises(ConnectionClosed) as closed:
                conversation.recv(30)
            assert closed.value.rcvd
            assert closed.value.rcvd.code == 1008
            assert len(ends) == 2


def _read(stream: httpx.Response, ends: list[float]) -> None:
    with suppress(httpx.StreamError, httpx.TransportError):  # the test is over
        for _ in stream.iter_raw():
            pass
        ends.append(time.monotonic())


def test_a_key_that_has_expired_is_refused(keyed: Keyed) -> None:
    key = keyed.key("acme")
    with psycopg.connect(keyed.dsn) as connection:
        connection.execute("update api_keys set expires_at = now() where prefix = %s", (key[:12],))
    with keyed.client(key) as client:
        failed(client.get("/runs"), 401, "unauthorized")


def test_many_requests_of_a_key_are_one_write(keyed: Keyed) -> None:
    key = keyed.key("acme")
    query = "select xmin::text, used_at from api_keys where prefix = %s"
    with keyed.client(key) as client, psycopg.connect(keyed.dsn, autocommit=True) as database:
        client.get("/runs")
        first = database.execute(query, (key[:12],)).fetchone()
        for _ in range(50):
            assert client.get("/runs").status_code == 200
        assert database.execute(query, (key[:12],)).fetchone() == first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--tenant", "a b"), "a tenant is 1 to 100 letters"),
        (("create", "--scope", "root"), "no scope 'root'"),
        (("create", "--expires", "soon"), "--expires takes days"),
        (("revoke", "trm_nothing"), "no API key 'trm_nothing'"),
    ],
)
def test_what_cant_be_done_with_a_key_is_said_in_one_line(keyed: Keyed, arguments: tuple[str, ...], said: str) -> None:
    done = keyed.home.run("keys", *arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith(f"trireme: {said}")


def test_a_server_beyond_loopback_starts_once_there_is_a_key(template_database: str, tmp_path: Path) -> None:
    with fresh_database(template_database) as dsn:
        home = Home(tmp_path, {"DATABASE_URL": dsn, "TRIREME_HOST": "0.0.0.0"})
        refused = home.run("serve", "--port", "0")
        assert refused.returncode == 2
        (line,) = refused.stderr.splitlines()
        assert line.startswith("trireme: refusing to listen on 0.0.0.0 without an API key")
        assert home.run("keys", "create").returncode == 0
        with serving(dsn, tmp_path, worker=False, settings={"TRIREME_HOST": "0.0.0.0"}) as stack:
            failed(httpx.get(f"{stack.urls[0]}/runs"), 401, "unauthorized")
            with stack.client(stack.key("acme"), Host="public.example.com") as client:
                assert client.get("/runs").status_code == 200
