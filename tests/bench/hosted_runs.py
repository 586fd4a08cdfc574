"""Runs of a user's own graph of three nodes, asked for over HTTP as its clients do, beside `langgraph dev`."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.bench import langgraph_dev
from tests.bench.figure import Figure, table
from tests.bench.processes import cpu_seconds
from tests.bench.running import running_graph

_BODY = {"assistant_id": "agent", "input": {"goal": "anything"}}
_RUNS = {1: 10, 8: 240, 16: 240}  # by how many at a time


@dataclass(frozen=True, slots=True)
class _Pace:
    """Of one run: seconds, and CPU of all processes of the server in milliseconds."""

    seconds: float
    cpu_ms: float


def measure() -> Iterator[Figure]:
    with running_graph(langgraph_dev.GRAPH) as stack:
        ours = asyncio.run(_paces(stack.url, lambda: cpu_seconds(stack.pid, stack.home.path)))
    yield from _figures("runs of a hosted graph", ours, "three nodes; CPU of API, worker and Postgres together")
    if not langgraph_dev.COMMAND.exists():
        return
    with langgraph_dev.served() as dev:
        theirs = asyncio.run(_paces(dev.url, lambda: cpu_seconds(dev.pid, Path("/nonexistent"))))
    yield from _figures("the same in langgraph dev", theirs, "one process, in memory: nothing is durable")
    for together, pace in ours.items():
        share = theirs[together].seconds / pace.seconds
        yield Figure(f"runs of a hosted graph, {together} at a time: of langgraph dev's", share, "x", least=8)


def _figures(name: str, paces: dict[int, _Pace], about: str) -> Iterator[Figure]:
    for together, pace in paces.items():
        beside = f"{pace.cpu_ms:.1f} ms of CPU a run; {about}"
        yield Figure(f"{name}, {together} at a time", 1 / pace.seconds, "/s", None, beside)


async def _paces(url: str, cpu: Callable[[], float]) -> dict[int, _Pace]:
    paces: dict[int, _Pace] = {}
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        await _finish(client, 60, 8)  # everything is loaded by then
        for together, runs in _RUNS.items():
            spent, started = cpu(), time.monotonic()
            await _finish(client, runs, together)
            paces[together] = _Pace((time.monotonic() - started) / runs, (cpu() - spent) / runs * 1_000)
    return paces


async def _finish(client: httpx.AsyncClient, runs: int, together: int) -> None:
    waiting = iter(range(runs))

    async def one_after_the_other() -> None:
        for _ in waiting:
            answer = await client.post("/runs/wait", json=_BODY)
            assert answer.raise_for_status().json()["answer"] == "done", answer.text

    await asyncio.gather(*(one_after_the_other() for _ in range(together)))


if __name__ == "__main__":
    print(table(measure()))
