"""The server that LangGraph's users start with: `langgraph dev` on a graph of three nodes that do nothing."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.acceptance.conftest import end

COMMAND = Path(__file__).parents[2] / ".venv-studio" / "bin" / "langgraph"
GRAPH = """
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict, total=False):
    goal: str
    plan: str
    answer: str

builder = StateGraph(State)
builder.add_node("planner", lambda state: {"plan": "one step"})
builder.add_node("worker", lambda state: {"answer": "done"})
builder.add_node("critic", lambda state: {"answer": "done"})
builder.add_edge(START, "planner")
builder.add_edge("planner", "worker")
builder.add_edge("worker", "critic")
builder.add_edge("critic", END)
graph = builder.compile()
"""
_RUNS = 15
_READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Dev:
    url: str
    pid: int


def first_events() -> list[float]:
    """Seconds from the request to the first event, of one run after another; empty where it isn't installed."""
    if not COMMAND.exists():
        return []
    with served() as dev, httpx.Client(base_url=dev.url, timeout=60) as client:
        return [_first_event(client) for _ in range(_RUNS + 1)][1:]


def _first_event(client: httpx.Client) -> float:
    body = {"assistant_id": "agent", "input": {"goal": "anything"}, "stream_mode": "updates"}
    started, first = time.monotonic(), 0.0
    with client.stream("POST", "/runs/stream", json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("event: ") and not first:
                first = time.monotonic() - started
    assert first
    return first


@contextmanager
def project(graph: str = GRAPH) -> Iterator[Path]:
    """The langgraph.json of a folder whose one graph, `agent`, is this source's `graph`."""
    with TemporaryDirectory(prefix="trireme-bench-") as folder:
        (Path(folder) / "agent.py").write_text(graph)
        config = Path(folder) / "langgraph.json"
        config.write_text('{"dependencies": ["."], "graphs": {"agent": "./agent.py:graph"}}')
        yield config


@contextmanager
def served(graph: str = GRAPH) -> Iterator[Dev]:
    """It keeps its runs in memory."""
    with project(graph) as config, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        process = subprocess.Popen(
            [COMMAND, "dev", "--no-browser", "--no-reload", "--port", str(port)],
            cwd=config.parent,
            env=os.environ | {"LANGSMITH_TRACING": "false"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Dev(_ready(f"http://127.0.0.1:{port}", process), process.pid)
        finally:
            end(process)


def _ready(url: str, process: "subprocess.Popen[str]") -> str:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/ok").is_success:
                return url
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError(f"langgraph dev did not start within {_READY_S:g} s")
