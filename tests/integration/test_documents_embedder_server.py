"""The embedder that asks a server, against a real one on loopback."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest

from serving.documents.embed import OpenAIEmbedder
from serving.errors import SettingsError, Unreachable


class Server(ThreadingHTTPServer):
    """Speaks /v1/embeddings: a vector is (length of the text, 3). `failures` are statuses to answer with first."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures: list[int] = []
        self.reply: bytes | None = None
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers["Authorization"])
        status = self.server.failures.pop(0) if self.server.failures else 200
        if self.path != "/v1/embeddings":
            status = 404
        rows = [
            {"object": "embedding", "index": at, "embedding": [float(len(text)), 3.0]}
            for at, text in enumerate(body["input"])
        ]
        # Out of order, as the format allows.
        reply = self.server.reply or json.dumps({"object": "list", "data": rows[::-1], "model": body["model"]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def embedder(server: Server) -> Iterator[OpenAIEmbedder]:
    embedder = OpenAIEmbedder(server.url, "key-1", "small-model")
    yield embedder
    embedder.close()


def test_texts_become_unit_vectors_in_their_own_order(server: Server, embedder: OpenAIEmbedder) -> None:
    vectors = embedder.embed(["aaaa", ""])
    assert np.allclose(vectors, [[0.8, 0.6], np.array([1, 3]) / np.sqrt(10)])
    assert server.requests == [{"model": "small-model", "input": ["aaaa", " "], "encoding_format": "float"}]
    assert server.keys == ["Bearer key-1"]
    assert (embedder.name, embedder.dimensions, len(server.requests)) == ("openai:small-model", 2, 1)


def test_many_texts_go_in_batches_of_128(server: Server, embedder: OpenAIEmbedder) -> None:
    assert embedder.embed(["x" * at for at in range(300)]).shape == (300, 2)
    assert [len(request["input"]) for request in server.requests] == [128, 128, 44]
    assert embedder.embed([]).shape == (0, 2)


def test_a_server_that_is_busy_is_asked_again(server: Server, embedder: OpenAIEmbedder) -> None:
    server.failures = [503, 429]
    assert embedder.embed(["a"]).shape == (1, 2)
    assert len(server.requests) == 3


def test_a_server_that_stays_busy_is_unreachable(server: Server, embedder: OpenAIEmbedder) -> None:
    server.failures = [503] * 9
    with pytest.raises(Unreachable, match="/v1/embeddings failed with 503"):
        embedder.embed(["a"])
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "message"), [(401, "refuses the API key"), (404, "refuses model small-model")])
def test_a_refusal_is_not_asked_again_and_does_not_show_the_key(
    server: Server, embedder: OpenAIEmbedder, status: int, message: str
) -> None:
    server.failures = [status]
    with pytest.raises(SettingsError, match=message) as caught:
        embedder.embed(["a"])
    assert len(server.requests) == 1
    assert "key-1" not in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": "AAAA"}]}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}]}',
    ],
)
def test_garbage_is_named_as_such(server: Server, embedder: OpenAIEmbedder, reply: bytes) -> None:
    server.reply = reply
    with pytest.raises(Unreachable, match=r"/v1/embeddings gave (no embeddings|vectors of shape)"):
        embedder.embed(["a"])


def test_vectors_that_change_their_length_are_refused(server: Server, embedder: OpenAIEmbedder) -> None:
    embedder.embed(["a"])
    server.reply = b'{"data": [{"index": 0, "embedding": [1, 2, 3]}]}'
    with pytest.raises(Unreachable, match=r"shape \(1, 3\), not \(1, 2\)"):
        embedder.embed(["a"])


def test_a_server_that_is_not_there_is_unreachable(server: Server) -> None:
    url = server.url
    server.server_close()
    embedder = OpenAIEmbedder(url, "", "m", timeout_s=1)
    with pytest.raises(Unreachable, match=r"ConnectError \(check that the server runs\)|Timeout"):
        embedder.embed(["a"])
    embedder.close()
