"""How long an event is on its way to a thousand who joined its run on one API process, beside `langgraph dev`."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import httpx

from tests.bench import langgraph_dev
from tests.bench.figure import Figure, percentile, table
from tests.bench.running import running_graph

_STREAMS, _EVENTS = 1_000, 20
_Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_GRAPH = f"""
import asyncio
import os
import time
from typing import TypedDict
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph

class State(TypedDict, total=False):
    go: str

async def tell(state: State) -> State:
    while not os.path.exists(state["go"]):
        await asyncio.sleep(0.1)
    for _ in range({_EVENTS}):
        get_stream_writer()({{"at": time.time()}})
        await asyncio.sleep(0.5)
    return {{}}

graph = StateGraph(State).add_node(tell).add_edge(START, "tell").compile()
"""


def measure() -> Iterator[Figure]:
    about = f"{_EVENTS} events to each, all read by one client process"
    with running_graph(_GRAPH) as stack:
        yield _figure("ours", asyncio.run(_measured(stack.url)), 150, f"{about}; committed before it is sent")
    if langgraph_dev.COMMAND.exists():
        with langgraph_dev.served(_GRAPH) as dev:
            yield _figure("langgraph dev", asyncio.run(_measured(dev.url)), None, f"{about}; from memory")


def _figure(whose: str, seconds: list[float], goal: float | None, about: str) -> Figure:
    median, most = (percentile(seconds, percent) * 1_000 for percent in (50, 99))
    name = f"event to {_STREAMS:,} joined streams, p99: {whose}"
    return Figure(name, most, "ms", goal, f"p50 {median:.0f} ms; {about}")


async def _measured(url: str) -> list[float]:
    """Seconds from the node that tells an event to each stream that got it."""
    seconds: list[float] = []
    with TemporaryDirectory(prefix="trireme-bench-") as folder:
        go = Path(folder) / "go"
        body = {"assistant_id": "agent", "input": {"go": str(go)}, "stream_mode": ["custom"], "stream_resumable": True}
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            thread = (await client.post("/threads", json={})).raise_for_status().json()["thread_id"]
            run = (await client.post(f"/threads/{thread}/runs", json=body)).raise_for_status().json()["run_id"]
        streams = [await _joined(url, f"/threads/{thread}/runs/{run}/stream") for _ in range(_STREAMS)]
        await asyncio.sleep(1)
        go.touch()
        async with asyncio.timeout(_EVENTS * 5):
            await asyncio.gather(*(_read(stream, seconds) for stream in streams))
    assert len(seconds) == _STREAMS * _EVENTS, len(seconds)
    return seconds


async def _joined(url: str, path: str) -> _Stream:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    status = await reader.readline()
    assert b" 200 " in status, status
    return reader, writer


async def _read(stream: _Stream, seconds: list[float]) -> None:
    reader, writer = stream
    while line := await reader.readline():
        if line.startswith(b'data: {"at":'):
            seconds.append(time.time() - float(line[12:].strip(b" }\r\n")))
    writer.close()


if __name__ == "__main__":
    print(table(measure()))
