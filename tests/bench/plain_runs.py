"""Runs of a plain graph of three nodes through our queue, log and saver: what the durable engine itself takes.

Beside it the same graph with LangGraph's own saver and nothing else: no queue, no log, no lease, no fence.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, cast

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.build import RunGraph
from graph.channels import RunState
from graph.events import Noted
from graph.ports import Deps, Events
from graph.prompt import present_prompts
from graph.tools.registry import Registry
from serving.database import Pool, new_id, open_pool, worker_name
from serving.hosting.graphs import Graphs
from serving.items.stores import Stores
from serving.runs.attempts.bundle import bundle_of
from serving.runs.attempts.execute import Executor
from serving.runs.attempts.heartbeat import Heartbeat
from serving.runs.attempts.hosted import HostedRuns
from serving.runs.attempts.terms import Bundles, Terms
from serving.runs.attempts.worker import Worker
from serving.runs.log import AttemptLog
from serving.runs.notices import Notices
from serving.runs.queue import Claim, Queue
from serving.runs.requests.request import RunRequest
from serving.runs.store import RunStore
from serving.settings import Settings
from tests.bench.figure import Figure
from tests.bench.running import database

_RUNS, _CALLERS, _REPETITIONS = 400, 8, 3
_POOL = 12


@dataclass(frozen=True, slots=True)
class _Pace:
    """Of one run, in seconds; `cpu` is this process's, without Postgres."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """All that these nodes want of theirs."""

    claim: Claim
    events: Events


def measure() -> Iterator[Figure]:
    """Worker slots as they are by default, and enough for group commit to show."""
    slots = Settings().worker_concurrency
    with database() as dsn:
        for concurrency in (slots, 8 * slots):
            ours, stock = asyncio.run(_both(dsn, concurrency))
            about = f"three nodes, a line of the log each, {concurrency} at a time, median of {_REPETITIONS}"
            yield Figure("plain runs finished", 1 / ours.wall, "/s", None, about)
            yield Figure("plain runs: our CPU", ours.cpu * 1_000, "ms", None, "queue, log, saver and LangGraph")
            yield Figure("the same graph, LangGraph's saver", 1 / stock.wall, "/s", None, "no queue, log or fence")
            yield Figure("plain runs, ours : LangGraph's saver", stock.wall / ours.wall, "x", None, "")


async def _both(dsn: str, concurrency: int) -> tuple[_Pace, _Pace]:
    """One after the other in turn, so that a noisy moment meets both."""
    ours, stock = [], []
    async with open_pool(dsn, _POOL) as pool:
        for _ in range(_REPETITIONS):
            ours.append(await _ours(dsn, pool, concurrency))
            stock.append(await _stock(pool, concurrency))
    return _median(ours), _median(stock)


async def _ours(dsn: str, pool: Pool, concurrency: int) -> _Pace:
    """From the first enqueued run until the last one's end is written."""
    store = RunStore(pool, Notices(pool))
    async with working(dsn, pool, concurrency, plain_graph()):
        begun = time.monotonic(), time.process_time()
        asked = await asyncio.gather(*(_some(store, _RUNS // _CALLERS) for _ in range(_CALLERS)))
        runs = [run_id for some in asked for run_id in some]
        while await _open(pool, runs):
            await asyncio.sleep(0.02)
        return _pace(*begun)


@asynccontextmanager
async def working(dsn: str, pool: Pool, concurrency: int, graph: RunGraph) -> AsyncIterator[None]:
    """A worker in this process while the block runs."""

    async def make_deps(claim: Claim, request: RunRequest, events: AttemptLog, terms: Terms) -> Deps:
        return cast(Deps, Attempt(claim, events))

    prompts, notices = present_prompts(), Notices(pool)
    bundle = bundle_of(graph, prompts, Registry(()), "bench")
    queue = Queue(pool, worker_name(), 10.0, bundle)
    hosted = HostedRuns(pool, notices, Graphs(), b"k" * 32, Stores(pool))
    executor = Executor(pool, queue, notices, graph, Bundles(pool, bundle, prompts), make_deps, b"k" * 32, hosted)
    worker = Worker(dsn, queue, notices, executor, Heartbeat(dsn, queue.worker, 10.0, 3.0, 60.0), concurrency)
    serving = asyncio.create_task(worker.serve())
    try:
        yield
    finally:
        worker.drain()
        await serving


async def _some(store: RunStore, number: int) -> list[str]:
    return [(await store.create(RunRequest(goal="three nodes")))[0].run_id for _ in range(number)]


async def _open(pool: Pool, run_ids: list[str]) -> bool:
    async with pool.connection() as connection:
        query = "select 1 from runs where run_id = any(%s) and status <> 'success' limit 1"
        return await (await connection.execute(query, (run_ids,))).fetchone() is not None


async def _stock(pool: Pool, concurrency: int) -> _Pace:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    await AsyncPostgresSaver(pool).setup()
    graph, waiting = plain_graph(), iter(range(_RUNS))

    async def one_after_the_other() -> None:
        for _ in waiting:
            compiled = graph.compile(checkpointer=AsyncPostgresSaver(pool))
            given: Any = {"goal": "three nodes", "run_id": new_id(), "messages": [HumanMessage("three nodes")]}
            config: Any = {"configurable": {"thread_id": new_id()}}
            await compiled.ainvoke(given, config, durability="sync")

    begun = time.monotonic(), time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(concurrency)))
    return _pace(*begun)


async def act(state: RunState, runtime: Runtime[Any]) -> RunState:
    if runtime.context:
        await runtime.context.events.append(Noted(code="acted", message="a node was here"))
    return {"round": state.get("round", 0) + 1}


def plain_graph(first: Any = act) -> RunGraph:
    graph: RunGraph = StateGraph(RunState, context_schema=Any)
    for name, node in (("first", first), ("second", act), ("third", act)):
        graph.add_node(name, node)
    for source, target in ((START, "first"), ("first", "second"), ("second", "third"), ("third", END)):
        graph.add_edge(source, target)
    return graph


def _pace(wall: float, cpu: float) -> _Pace:
    return _Pace((time.monotonic() - wall) / _RUNS, (time.process_time() - cpu) / _RUNS)


def _median(paces: list[_Pace]) -> _Pace:
    return _Pace(median(pace.wall for pace in paces), median(pace.cpu for pace in paces))
