"""A model provider on a real socket: chat completions as JSON and SSE, and what goes wrong with them, on request."""

import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 20,
    "total_tokens": 1020,
    "prompt_tokens_details": {"cached_tokens": 600},
}


@dataclass(frozen=True)
class Answer:
    """One scripted answer. `raw` replaces the body; `cut` ends a stream early, `dropped` breaks its connection too.

    A stream comes in two pieces; with a `pace` (seconds) in pieces of three characters, that long apart.
    """

    text: str = "fine"
    calls: tuple[tuple[str, str], ...] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    delay: float = 0.0
    pace: float = 0.0
    cut: bool = False
    dropped: bool = False
    finish: str = ""
    usage: dict[str, Any] | None = field(default_factory=lambda: dict(USAGE))


@dataclass(frozen=True)
class Seen:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float


class ModelServer:
    """`http://127.0.0.1:PORT/NAME/v1` is a provider of its own per NAME: its script is used up first to last.

    A request with a text in it that is the name of a script is answered from that one, whatever provider it asks.
    """

    def __init__(self) -> None:
        self.scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self.seen: dict[str, list[Seen]] = defaultdict(list)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    def base(self, name: str) -> str:
        return f"{self.address}/{name}/v1"

    def will(self, name: str, *answers: Answer) -> list[Seen]:
        """Sets the script of a provider and returns the list that its requests will be in."""
        self.scripts[name] = deque(answers)
        self.seen[name] = []
        return self.seen[name]

    def answer_to(self, path: str, headers: dict[str, str], asked: bytes) -> Answer:
        """Notes the request, and takes the next answer of its script."""
        name = path.split("/")[1]
        self.seen[name].append(Seen(path, headers, json.loads(asked), time.monotonic()))
        script = next((each for key, each in self.scripts.items() if key.encode() in asked), None)
        script = self.scripts[name] if script is None else script
        return script.popleft() if script else Answer()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, models: ModelServer, *connection: Any) -> None:
        self._models = models
        super().__init__(*connection)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        answer = self._models.answer_to(self.path, {key.lower(): value for key, value in self.headers.items()}, asked)
        time.sleep(answer.delay)
        body = json.loads(asked)
        if answer.pace and body.get("stream"):
            self._stream(answer, body)
        else:
            self._reply(answer, *_payload(answer, body, self.path.endswith("/messages")))

    def _reply(self, answer: Answer, kind: str, payload: bytes) -> None:
        self.send_response(answer.status)
        size = len(payload) + (64 if answer.dropped else 0)
        for key, value in {"content-type": kind, "content-length": str(size), **answer.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(payload)
        self.close_connection = answer.dropped

    def _stream(self, answer: Answer, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            for event in _events(answer, body):
                self.wfile.write(event)
                time.sleep(answer.pace)

    def log_message(self, *_: Any) -> None:
        pass


def _payload(answer: Answer, body: dict[str, Any], claude: bool) -> tuple[str, bytes]:
    if answer.raw is not None:
        return "application/json", answer.raw
    if answer.status != 200:
        # What real providers do: quote the request, and the key's first letters.
        echo = f"bad request: {json.dumps(body.get('messages'))}, key sk-test-..."
        return "application/json", json.dumps({"error": {"message": echo, "type": "invalid"}}).encode()
    if claude:
        return "application/json", json.dumps(_claude(answer)).encode()
    if body.get("stream"):
        return "text/event-stream", b"".join(_events(answer, body))
    return "application/json", json.dumps(_completion(answer)).encode()


def _completion(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if answer.calls:
        message["tool_calls"] = [_call(index, name, arguments) for index, (name, arguments) in enumerate(answer.calls)]
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer)}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": answer.usage,
    }


def _events(answer: Answer, body: dict[str, Any]) -> Iterator[bytes]:
    first, *rest = _pieces(answer.text, answer)
    yield _event({"role": "assistant", "content": first})
    if answer.cut or answer.dropped:
        return
    for piece in rest:
        yield _event({"content": piece})
    for index, (name, arguments) in enumerate(answer.calls):
        first, *rest = _pieces(arguments, answer)
        yield _event({"tool_calls": [{**_call(index, name, first), "index": index}]})
        for piece in rest:
            yield _event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _event({}, _finish(answer))
    if answer.usage and body.get("stream_options", {}).get("include_usage"):
        yield _event({}, None, answer.usage)
    yield b"data: [DONE]\n\n"


def _pieces(text: str, answer: Answer) -> list[str]:
    if answer.pace and text:
        return [text[at : at + 3] for at in range(0, len(text), 3)]
    half = len(text) // 2
    return [text[:half], text[half:]]


def _event(delta: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
    choices = [] if usage else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps({**chunk, "usage": usage} if usage else chunk).encode() + b"\n\n"


def _call(index: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _finish(answer: Answer) -> str:
    return answer.finish or ("tool_calls" if answer.calls else "stop")


def _claude(answer: Answer) -> dict[str, Any]:
    usage = {
        "input_tokens": 100,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 300,
        "output_tokens": 20,
    }
    content = [{"type": "text", "text": answer.text}]
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "m", "content": content}
    return {**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
