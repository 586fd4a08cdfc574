"""Runs of a user's own graph of three nodes, asked for over HTTP as its clients do, beside `langgraph dev`."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from tests.bench import langgraph_dev
from tests.bench.figure import Figure, table
from tests.bench.processes import cpu_seconds
from tests.bench.running import running_graph

_CONCURRENCY, _RUNS = 8, 240
_BODY = {"assistant_id": "agent", "input": {"goal": "anything"}}


def measure() -> Iterator[Figure]:
    seconds, cpu_ms = _ours()
    yield Figure("finished runs of a hosted graph", 1 / seconds, "/s", None, f"three nodes, {_CONCURRENCY} at a time")
    yield Figure("finished run of a hosted graph: CPU", cpu_ms, "ms", None, "API, worker and Postgres together")
    if not langgraph_dev.COMMAND.exists():
        return
    theirs, cpu_ms = _dev()
    yield Figure("the same graph in langgraph dev", 1 / theirs, "/s", None, "in memory: nothing is durable")
    yield Figure("the same graph in langgraph dev: CPU", cpu_ms, "ms", None, "one process")
    yield Figure("runs of a hosted graph: ours, of langgraph dev's", theirs / seconds, "x", least=8)


def _ours() -> tuple[float, float]:
    with running_graph(langgraph_dev.GRAPH) as stack:
        return asyncio.run(_measured(stack.url, lambda: cpu_seconds(stack.pid, stack.home.path)))


def _dev() -> tuple[float, float]:
    with langgraph_dev.served() as dev:
        return asyncio.run(_measured(dev.url, lambda: cpu_seconds(dev.pid, Path("/nonexistent"))))


async def _measured(url: str, cpu: Callable[[], float]) -> tuple[float, float]:
    """(seconds, milliseconds of CPU) a run."""
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:
        await _finish(client, _RUNS // 4)  # everything is loaded by then
        spent, started = cpu(), time.monotonic()
        await _finish(client, _RUNS)
        return (time.monotonic() - started) / _RUNS, (cpu() - spent) / _RUNS * 1_000


async def _finish(client: httpx.AsyncClient, runs: int) -> None:
    waiting = iter(range(runs))

    async def one_after_the_other() -> None:
        for _ in waiting:
            answer = await client.post("/runs/wait", json=_BODY)
            assert answer.raise_for_status().json()["answer"] == "done", answer.text

    await asyncio.gather(*(one_after_the_other() for _ in range(_CONCURRENCY)))


if __name__ == "__main__":
    print(table(measure()))
