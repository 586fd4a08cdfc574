"""Every stream of events says that nothing on its way may hold it back or keep it."""

from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Server

SAYS: Any = {"messages": [{"role": "user", "content": "What is 12 * 12?"}]}
RUN: Any = {"assistant_id": "trireme", "input": SAYS}
CHAT: Any = {"model": "trireme", "stream": True, **SAYS}
EVENTS: Any = {"channels": ["lifecycle"]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/runs", {"goal": "What is 12 * 12?"}),
        ("GET", "/runs/{run}/events", None),
        ("POST", "/runs/stream", RUN),
        ("POST", "/threads/{thread}/runs/stream", RUN),
        ("GET", "/threads/{thread}/runs/{run}/stream", None),
        ("GET", "/threads/{thread}/stream", None),
        ("POST", "/threads/{thread}/stream/events", EVENTS),
        ("POST", "/v1/chat/completions", CHAT),
        ("POST", "/v1/responses", {"model": "trireme", "stream": True, "input": "What is 12 * 12?"}),
        ("POST", "/agent-protocol/threads/{thread}/stream", EVENTS),
        ("POST", "/agent-protocol/runs/stream", {"agent_id": "trireme", "input": SAYS}),
        ("GET", "/agent-protocol/runs/{run}/stream", None),
    ],
)
def test_no_proxy_holds_a_stream_back(server: Server, method: str, path: str, body: Any) -> None:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        run = client.post("/runs/wait", json={**RUN, "on_completion": "keep"})
        place = {"run": run.headers["Content-Location"].rpartition("/")[2], "thread": ""}
        place["thread"] = client.get(f"/runs/{place['run']}").json()["thread_id"]
        with client.stream(method, path.format(**place), json=body, headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status_code == 200, answer.read()
            told = {name: answer.headers[name] for name in ("content-type", "cache-control", "x-accel-buffering")}
    assert told["content-type"].startswith("text/event-stream")
    assert (told["cache-control"], told["x-accel-buffering"]) == ("no-store", "no")
