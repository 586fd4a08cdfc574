"""Event streams over real sockets, from two API processes over one database."""

import asyncio
import base64
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import orjson
import psycopg
import pytest
from websockets.sync.client import connect

from serving.cli.client import Client
from serving.errors import ServingError
from tests.acceptance.processes import wait_until
from tests.conftest import fresh_database
from tests.ports import free_port

_ID = re.compile(rb"^id: (\d+)-[0-9a-f]{12}$", re.MULTILINE)
_LINE_BYTES, _LINES = 20_000, 2_500
_HANG_UPS = 10_000
_END = '[{"kind": "run_finished", "status": "success"}]'


@dataclass(frozen=True, slots=True)
class Api:
    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rss(self) -> int:
        """Bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def sockets_of(self, peer: socket.socket) -> int:
        """How many connections the process has with it."""
        local, remote = peer.getsockname()[1], peer.getpeername()[1]
        table = Path(f"/proc/{self.process.pid}/net/tcp").read_text().splitlines()[1:]
        ends = [line.split()[1:4] for line in table]
        return sum((_port(mine), _port(its)) == (remote, local) and state == "01" for mine, its, state in ends)

    def asked(self, run_id: str, after: int = 0) -> socket.socket:
        """A connection that has asked for the run's events and hasn't read any."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        request = f"GET /runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nLast-Event-ID: {after}\r\n\r\n"
        connection.sendall(request.encode())
        return connection

    def seqs(self, run_id: str, after: int = 0) -> list[int]:
        """The ids of a stream that ends."""
        headers = {"Last-Event-ID": str(after)}
        answer = httpx.get(f"{self.url}/runs/{run_id}/events", headers=headers, timeout=60).raise_for_status()
        return [int(found) for found in _ID.findall(answer.content)]


def _port(end: str) -> int:
    return int(end.partition(":")[2], 16)


@pytest.fixture(scope="module")
def dsn(template_database: str) -> Iterator[str]:
    with fresh_database(template_database) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def apis(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Api]]:
    started = [_start(dsn, free_port(), tmp_path_factory.mktemp("api")) for _ in range(2)]
    for api in started:
        assert wait_until(partial(_answers, api), 120)
    yield started[0], started[1]
    for api in started:
        api.process.send_signal(signal.SIGTERM)
        api.process.wait(60)


def _start(dsn: str, port: int, home: Path) -> Api:
    settings = {
        "DATABASE_URL": dsn,
        "TRIREME_HOME": str(home),
        "TRIREME_VAULT_KEY": base64.b64encode(b"k" * 32).decode(),
        "TRIREME_SLOW_READER_S": "1",
        "TRIREME_API_CONCURRENCY": "1000",
    }
    command = [sys.executable, "-m", "serving", "serve", "--port", str(port)]
    return Api(subprocess.Popen(command, env=os.environ | settings, cwd=home), port)


def _answers(api: Api) -> bool:
    try:
        return httpx.get(f"{api.url}/ok").status_code == 200
    except httpx.TransportError:
        return False


def _write(dsn: str, run_id: str, bodies: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select append_events(%s, null, %s)", (run_id, bodies))


def _end(dsn: str, run_id: str, bodies: str = _END) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update runs set status = 'success', finished_at = now() where run_id = %s", (run_id,))
        connection.execute("select append_events(%s, null, %s)", (run_id, bodies))


def _new(api: Api) -> str:
    return str(httpx.post(f"{api.url}/runs", json={"goal": "Wait"}).raise_for_status().json()["run_id"])


def _rest(connection: socket.socket) -> bytes:
    """All that still comes, to the end of the connection, however it ends."""
    got = bytearray()
    connection.settimeout(60)
    try:
        while piece := connection.recv(1 << 20):
            got += piece
    except ConnectionResetError:
        pass
    connection.close()
    return bytes(got)


def test_a_reader_that_takes_nothing_is_cut_and_goes_on_at_another_process(apis: tuple[Api, Api], dsn: str) -> None:
    """50 MB come while it doesn't read: the process keeps next to none of them for it."""
    first, second = apis
    run_id = _new(first)
    slow = first.asked(run_id)
    assert slow.recv(100).startswith(b"HTTP/1.1 200 OK")
    before, most = first.rss, 0
    for _ in range(50):
        bodies = [{"kind": "noted", "code": "n", "message": random.randbytes(_LINE_BYTES // 2).hex()}] * (_LINES // 50)
        _write(dsn, run_id, orjson.dumps(bodies).decode())
        most = max(most, first.rss)
    _end(dsn, run_id)
    assert wait_until(lambda: first.sockets_of(slow) == 0)  # its patience is 1 s, the poll's step another
    most = max(most, first.rss)
    assert most - before < 20 * 2**20
    got = _rest(slow)
    assert len(got) < 8 * 2**20, "what kernel and transport had taken, no more"
    whole = got[: got.rfind(b"\n\n")]
    had = [int(found) for found in _ID.findall(whole)]
    assert had == list(range(1, len(had) + 1))
    assert had + second.seqs(run_id, had[-1]) == list(range(1, _LINES + 3))


def test_a_web_socket_that_is_not_read_is_cut_at_the_same_bound_and_goes_on(apis: tuple[Api, Api], dsn: str) -> None:
    """25 MB come while it doesn't read."""
    first, second = apis
    run_id = _new(first)
    thread = httpx.get(f"{first.url}/runs/{run_id}").json()["thread_id"]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update runs set started_at = now() where run_id = %s", (run_id,))
    slow = _listening(first, thread)
    before, most = first.rss, 0
    for _ in range(25):
        bodies = [{"kind": "noted", "code": "n", "message": random.randbytes(_LINE_BYTES // 2).hex()}] * (_LINES // 50)
        _write(dsn, run_id, orjson.dumps(bodies).decode())
        most = max(most, first.rss)
    _end(dsn, run_id)
    assert wait_until(lambda: first.sockets_of(slow) == 0)  # its patience is 1 s
    assert max(most, first.rss) - before < 12 * 2**20
    got = _rest(slow)
    assert len(got) < 8 * 2**20, "what kernel and transport had taken, no more"
    had = [orjson.loads(text) for text in _texts(got)]
    with connect(f"ws://127.0.0.1:{second.port}/threads/{thread}/stream/events", max_size=None) as again:
        asked = {"channels": ["custom", "lifecycle"], "since": had[-1]["seq"]}
        again.send(orjson.dumps({"id": 2, "method": "subscription.subscribe", "params": asked}).decode())
        assert orjson.loads(again.recv(60))["type"] == "success"
        while had[-1]["method"] != "lifecycle":
            had.append(orjson.loads(again.recv(60)))
    noted = [int(each["event_id"].split(":")[1].split(".")[0]) for each in had if each["method"] == "custom"]
    assert noted == list(range(1, _LINES // 2 + 3))


def _listening(api: Api, thread: str) -> socket.socket:
    """A WebSocket that has subscribed, and reads nothing more than that it has."""
    connection = socket.create_connection(("127.0.0.1", api.port))
    key = base64.b64encode(os.urandom(16)).decode()
    wants = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13"
    connection.sendall(f"GET /threads/{thread}/stream/events HTTP/1.1\r\nHost: x\r\n{wants}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    params = {"channels": ["custom", "lifecycle"], "since": 0}
    text = orjson.dumps({"id": 1, "method": "subscription.subscribe", "params": params})
    connection.sendall(bytes([0x81, 0x80 | len(text)]) + bytes(4) + text)  # masked with zeros
    return connection


def _texts(got: bytes) -> Iterator[bytes]:
    """The events in the frames (RFC 6455, 5.2) that came whole."""
    at = 0
    while at + 10 <= len(got):
        size, head = got[at + 1] & 127, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, head = int.from_bytes(got[at + 2 : at + 2 + wide]), 2 + wide
        text = got[at + head : at + head + size]
        at += head + size
        if at <= len(got) and text.startswith(b'{"type":"event"'):
            yield text


def test_a_line_behind_the_end_reaches_its_readers_and_holds_none_of_them(apis: tuple[Api, Api], dsn: str) -> None:
    """An effect may be decided when its run is long over."""
    first, second = apis
    run_id = _new(first)
    early = first.asked(run_id)
    assert early.recv(100).startswith(b"HTTP/1.1 200 OK")
    _end(dsn, run_id)
    assert _rest(early).endswith(b"\n\n\r\n0\r\n\r\n"), "ended, not cut"
    _write(dsn, run_id, '[{"kind": "noted", "code": "effect_decided", "message": "happened"}]')
    for api in apis:
        assert api.seqs(run_id) == [1, 2, 3]
        assert api.seqs(run_id, 2) == [3]
    assert httpx.get(f"{second.url}/runs/{run_id}/events", headers={"Last-Event-ID": "3"}).status_code == 204


async def test_the_command_line_follows_to_a_line_behind_the_end_and_returns(apis: tuple[Api, Api], dsn: str) -> None:
    run_id = _new(apis[0])
    _end(dsn, run_id)
    _write(dsn, run_id, '[{"kind": "noted", "code": "effect_decided", "message": "happened"}]')
    async with Client(apis[1].url) as client:
        assert [event["seq"] async for event in client.events(run_id)] == [1, 2, 3]
        assert [event["seq"] async for event in client.events(run_id, 3)] == []


@pytest.mark.parametrize(("ended", "left"), [(True, 2), (False, 2), (False, 0)])
async def test_a_log_whose_last_lines_were_cut_off_ends_with_that(
    apis: tuple[Api, Api], dsn: str, ended: bool, left: int
) -> None:
    run_id, noted = _new(apis[0]), '{"kind": "noted", "code": "n", "message": ""}'
    _write(dsn, run_id, f"[{noted}, {noted}]")
    if ended:
        _end(dsn, run_id)
    with psycopg.connect(dsn) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("delete from run_events where run_id = %s and seq > %s", (run_id, left))
    seen: list[int] = []

    async def follow(client: Client) -> None:
        async for event in client.events(run_id):
            seen.append(event["seq"])  # noqa: PERF401  the last one raises

    async with Client(apis[1].url) as client, asyncio.timeout(60):
        with pytest.raises(ServingError, match=f"ends at line {left}, but {4 if ended else 3} were written") as cut:
            await follow(client)
    assert cut.value.code == "log_damaged"
    assert seen == list(range(1, left + 1))


def test_a_stream_without_a_connection_to_lend_brings_the_same_events(apis: tuple[Api, Api], dsn: str) -> None:
    """A second request that waits on the same connection keeps it with the server."""
    run_id = _new(apis[0])
    _end(dsn, run_id)
    with socket.create_connection(("127.0.0.1", apis[0].port)) as connection:
        ask = f"GET /runs/{run_id}/events HTTP/1.1\r\nHost: x\r\n\r\nGET /info HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(ask.encode())
        got = b""
        while b'"version"' not in got:
            got += connection.recv(1 << 16)
    assert [int(found) for found in _ID.findall(got)] == [1, 2]


def test_readers_at_many_places_of_a_run_each_get_what_they_lack(apis: tuple[Api, Api], dsn: str) -> None:
    run_id = _new(apis[0])
    _write(dsn, run_id, orjson.dumps([{"kind": "noted", "code": "n", "message": str(n)} for n in range(50)]).decode())
    with ThreadPoolExecutor(20) as pool:
        readings = [(after, pool.submit(apis[after % 2].seqs, run_id, after)) for after in range(0, 51, 3)]
        time.sleep(0.3)
        _write(dsn, run_id, '[{"kind": "noted", "code": "n", "message": "live"}]')
        _end(dsn, run_id)
        for after, reading in readings:
            assert reading.result() == list(range(after + 1, 54))


@pytest.mark.parametrize(
    "given", ["3", "999999999999999999999", "-2", "1-", "1-000000000000", "x", "1.0", "1 2", "٣", "9" * 10_000]
)
def test_a_last_event_id_that_is_not_in_the_log_is_refused(apis: tuple[Api, Api], given: str) -> None:
    run_id = _new(apis[0])
    answer = httpx.get(f"{apis[0].url}/runs/{run_id}/events", headers={b"Last-Event-ID": given.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_last_event_id")
    assert answer.json()["hint"]


@pytest.mark.parametrize("bad", ["%00", "a%00b", "x" * 10_000, "%F0%9F%98%80", "..%2F..", "-1", "%20"])
def test_no_id_makes_an_error_of_ours(apis: tuple[Api, Api], bad: str) -> None:
    run_id, plain = _new(apis[0]), bad.replace("%00", "\x00")
    body = {"approval_id": plain[:200], "decision": "approve"}
    with httpx.Client(base_url=apis[0].url) as client:
        answers = [
            *(client.get(path.format(bad)) for path in ("/runs/{}", "/runs/{}/events", "/runs/{}/audit")),
            *(client.get(path.format(run_id, bad)) for path in ("/runs/{}/artifacts/{}", "/runs/{}/audit?head={}")),
            *(client.post(f"/runs/{bad}/{verb}", json={}) for verb in ("cancel", "resume", "approve")),
            client.post(f"/runs/{run_id}/approve", json=body),
            client.post("/runs", json={"goal": "g", "thread_id": plain}),
            client.post("/runs", json={"goal": "g", "collection": plain}),
            client.get(f"/collections/{bad}%00"),
            client.delete(f"/memory/{bad}"),
            client.get(f"/runs?limit={bad}"),
            client.get(f"/runs/{run_id}/events?after={bad}x"),
            client.post("/runs", json={"goal": "g"}, headers={"Idempotency-Key": f"{bad} x"}),
        ]
    for answer in answers:
        assert 400 <= answer.status_code < 500, f"{answer.request.method} {answer.request.url.path[:60]}: {answer.text}"
        assert answer.json()["code"]


def test_a_header_with_a_nul_is_refused(apis: tuple[Api, Api]) -> None:
    for header in (b"Last-Event-ID: 1\x002", b"Idempotency-Key: a\x00b"):
        with socket.create_connection(("127.0.0.1", apis[0].port)) as connection:
            connection.sendall(b"GET /runs HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_ten_thousand_requests_that_hang_up_leave_the_pool_whole(apis: tuple[Api, Api], dsn: str) -> None:
    api, chance = apis[0], random.Random(7)
    run_id, body = _new(api), b'{"goal": "Hang up"}'
    head = b"POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b"
    gets = [f"GET /runs/{run_id}{rest} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for rest in ("", "/events")]
    posts = [head % (len(body), accept, body) for accept in (b"", b"Accept: text/event-stream\r\n")]
    requests = [*gets * 4, *posts]

    def hang_up(number: int) -> None:
        with socket.create_connection(("127.0.0.1", api.port)) as connection:
            connection.sendall(requests[number % len(requests)])
            time.sleep(chance.random() * 0.02)
            if number % 3:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(hang_up, range(_HANG_UPS)))
    # Those that it could not take it has turned away with 503; what the others asked for is soon worked off.
    asked = "select count(*) from pg_stat_activity where datname = current_database() and state <> 'idle'"

    def whole() -> bool:
        with ThreadPoolExecutor(30) as pool, httpx.Client(base_url=api.url, timeout=120) as client:
            answers = set(pool.map(lambda _: client.get(f"/runs/{run_id}").status_code, range(60)))
        assert answers <= {200, 503}, answers
        return answers == {200}

    assert wait_until(whole, 120)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert wait_until(lambda: connection.execute(asked).fetchone() == (1,))
