"""A real OTLP/HTTP receiver on loopback, and the rows of finished runs for it to receive."""

import gzip
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from graph.events import RunEvent
from tests.unit.telemetry_story import BEGAN, RUN_ID, THREAD_ID, TICK, story


class Receiver:
    """Keeps what it took. `answers`: the statuses of the next requests, then 200; `delay_s` is waited before each,
    and `hangs` until it is set."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.delay_s = 0.0
        self.hangs: threading.Event | None = None
        self.asked = 0
        self.refuse_trace = b""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.requests: list[ExportTraceServiceRequest] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self, request: int = -1) -> dict[str, Span]:
        (resource,) = self.requests[request].resource_spans
        (scope,) = resource.scope_spans
        return {span.name: span for span in scope.spans}

    def trace_ids(self) -> list[bytes]:
        return [next(iter(self.spans(n).values())).trace_id for n in range(len(self.requests))]

    def take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        self.asked += 1
        time.sleep(self.delay_s)
        if self.hangs:
            self.hangs.wait(60)
        status = self.answers.pop(0) if self.answers else 200
        request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
        if self.refuse_trace and request.resource_spans[0].scope_spans[0].spans[0].trace_id == self.refuse_trace:
            status = 400
        self.paths.append(path)
        self.headers.append(headers)
        if status == 200:
            self.bodies.append(gzip.decompress(body))
            self.requests.append(request)
        return status


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receiver: Receiver, *connection: Any) -> None:
        self._receiver = receiver
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self._receiver.take(self.path, {key.lower(): value for key, value in self.headers.items()}, body)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keeps the test's output clean."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def write_run(
    dsn: str, run_id: str = RUN_ID, events: Sequence[RunEvent] | None = None, status: str = "success"
) -> None:
    """A run and its log, as plain rows; with an end unless `status` says that it has none yet."""
    events = story() if events is None else events
    finished = None if status in ("pending", "running", "interrupted") else BEGAN + 25 * TICK
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into threads (thread_id) values (%s) on conflict do nothing", (THREAD_ID,))
        connection.execute(
            "insert into runs (run_id, thread_id, status, request, request_digest, created_at, finished_at) "
            """values (%s, %s, %s, '{"goal": "g", "channel": "cli"}', '', %s, %s)""",
            (run_id, THREAD_ID, status, BEGAN, finished),
        )
        rows = [(run_id, event.seq, event.body.kind, event.body.model_dump_json(), event.at) for event in events]
        connection.cursor().executemany(
            "insert into run_events (run_id, seq, kind, body, at, hash) values (%s, %s, %s, %s, %s, '')", rows
        )


def exported(dsn: str) -> list[bool]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute("select exported from runs order by run_id")]
