"""How long a caller waits for the first sign of life: `POST /runs` answered as server-sent events."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from statistics import median

import httpx

from tests.acceptance.conftest import DEMO
from tests.bench.figure import Figure, percentile, table
from tests.bench.langgraph_dev import first_events
from tests.bench.running import Stack, ingest, running_stack

_RUNS = 50
_GOALS = (
    "How many vacation days can I carry over, and until when must they be used?",
    "Which supplier has the longest warranty on rowing machines?",
    "What is the total of the paid invoices by country?",
    "Sum the travel and hotel costs in the Piraeus trip report.",
)
_FIRST = "run_created"
_CLAIMED = "run_claimed"
_PLAN = "plan_proposed"


def measure() -> Iterator[Figure]:
    with running_stack() as stack:
        first, *waits = asyncio.run(_waits(stack))
    yield Figure("submit to first plan event, first run", first[_PLAN], "s", 1.0, "the stack has just been started")
    theirs = first_events()
    for name, kind, goal in (
        ("submit to first event", _FIRST, 0.01),
        ("submit to claimed by a worker", _CLAIMED, None),
        ("submit to first plan event", _PLAN, 1.0),
    ):
        times = [wait[kind] for wait in waits]
        yield Figure(f"{name}, p50", median(times), "s", goal, f"{_RUNS} runs, offline model")
        yield Figure(f"{name}, p95", percentile(times, 95), "s", None)
    if not theirs:
        print("langgraph dev isn't installed here (make test does it): its figures are left out", file=sys.stderr)
        return
    yield Figure("submit to first event, p50: langgraph dev", median(theirs), "s", None, "in memory, 3 nodes")
    share = median(theirs) / median(wait[_FIRST] for wait in waits)
    yield Figure("submit to first event: langgraph dev's, of ours", share, "x", least=20)


async def _waits(stack: Stack) -> list[dict[str, float]]:
    """A run each: seconds from the request to the first event of each kind."""
    collection = await ingest(stack, DEMO / "documents")
    async with httpx.AsyncClient(base_url=stack.url, timeout=60) as client:
        bodies = [{"goal": _GOALS[at % len(_GOALS)], "collection": collection} for at in range(_RUNS + 1)]
        return [await _wait(client, body) for body in bodies]


async def _wait(client: httpx.AsyncClient, body: dict[str, str]) -> dict[str, float]:
    started, seen = time.monotonic(), dict[str, float]()
    async for kind in _kinds(client, body):
        seen.setdefault(kind, time.monotonic() - started)
    assert {_FIRST, _CLAIMED, _PLAN, "run_finished"} <= seen.keys(), seen
    return seen


async def _kinds(client: httpx.AsyncClient, body: dict[str, str]) -> AsyncIterator[str]:
    async with client.stream("POST", "/runs", json=body, headers={"Accept": "text/event-stream"}) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("event: "):
                yield line.removeprefix("event: ")


if __name__ == "__main__":
    print(table(measure()))
