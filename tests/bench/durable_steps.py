"""Durable supersteps: how many a second, their CPU and write-ahead log, beside LangGraph's own saver and DBOS."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Annotated, Any, TypeAlias, TypedDict

import psycopg
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from serving.database import new_id, open_pool
from serving.processes.serve import calm_collector
from serving.runs.checkpoints import PostgresSaver
from tests.bench.figure import Figure, table
from tests.bench.running import database

_RUNS, _STEPS, _REPETITIONS = 64, 15, 5
_POOL = 10
_WINDOWS = {10: range(5, 15), 100: range(80, 120), 1_000: range(980, 1_020)}
_ROLES = ("planner", "worker", "critic")
_AT_EACH_STEP: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("at_each_step", default=None)
_LABELS = {
    "engine": "LangGraph without a saver",
    "ours": "our saver",
    "stock": "LangGraph's saver",
    "dbos": "DBOS",
}

Run: TypeAlias = Callable[[], Awaitable[object]]
MakeRun: TypeAlias = Callable[[int], Awaitable[Run]]
System: TypeAlias = Callable[[str], AbstractAsyncContextManager[MakeRun]]


class _State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    step: int
    last: int


@dataclass(frozen=True, slots=True)
class _Pace:
    """Of one step, in seconds."""

    wall: float
    cpu: float


def measure() -> Iterator[Figure]:
    with database() as dsn:
        paces = _paces(dsn)
        yield from _each(paces)
        yield from _compared(paces)
        for name, system in (("ours", _ours), ("stock", _stock)):
            for step, size in asyncio.run(_wal(dsn, system)).items():
                yield Figure(
                    f"write-ahead log of step {step}: {_LABELS[name]}", size / 1024, "KiB", None, "1 kB of news"
                )


def _each(paces: dict[str, list[_Pace]]) -> Iterator[Figure]:
    about = f"{_RUNS} runs x {_STEPS} steps of 1 kB, sync, fsync on, median of {_REPETITIONS}"
    for name, measured in paces.items():
        yield Figure(f"steps: {_LABELS[name]}", 1 / median(pace.wall for pace in measured), "/s", None, about)
        cpu = median(pace.cpu for pace in measured)
        yield Figure(f"CPU a step: {_LABELS[name]}", cpu * 1_000, "ms", None, "this process, without Postgres")


def _compared(paces: dict[str, list[_Pace]]) -> Iterator[Figure]:
    """Ratios are taken within a repetition; the goals say at most which share of the other's time."""
    for name, goal in (("stock", 1 / 3.5), ("dbos", 1 / 2.5)):
        if name in paces:
            share = median(a.wall / b.wall for a, b in zip(paces["ours"], paces[name], strict=True))
            beside = f"{1 / share:.1f} times as many steps a second"
            yield Figure(f"time a step: ours, of that of {_LABELS[name]}", share, "x", goal, beside)
    for name, most in (("ours", 1.6), ("stock", None)):
        share = median(a.cpu / b.cpu for a, b in zip(paces[name], paces["engine"], strict=True))
        yield Figure(f"CPU a step: {_LABELS[name]}, of the engine's", share, "x", most, "durable against not kept")


def _paces(dsn: str) -> dict[str, list[_Pace]]:
    """Interleaved, so that a busy minute of the machine slows all alike; for all the collector is as in our worker."""
    calm_collector()
    systems: dict[str, System] = {"engine": _engine, "ours": _ours, "stock": _stock}
    if find_spec("dbos"):
        systems["dbos"] = _dbos
    else:
        print("DBOS isn't installed here: its figures are left out", file=sys.stderr)
    paces: dict[str, list[_Pace]] = {name: [] for name in systems}
    for _ in range(_REPETITIONS):
        for name, system in systems.items():
            paces[name].append(asyncio.run(_pace(dsn, system)))  # a loop each: DBOS puts its thread pool into it
    return paces


async def _pace(dsn: str, system: System) -> _Pace:
    """The first of two rounds fills pools and statement caches, as they are in a worker that is up for a while."""
    steps = _RUNS * _STEPS
    async with system(dsn) as make:
        for _ in range(2):
            runs = [await make(_STEPS) for _ in range(_RUNS)]
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(run() for run in runs))
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return _Pace(wall / steps, cpu / steps)


async def _wal(dsn: str, system: System) -> dict[int, float]:
    """Bytes a step in a run's early, middle and late steps, one run alone."""
    last = max(_WINDOWS)
    places: list[int] = []
    async with system(dsn) as make, await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:

        async def note_place() -> None:
            cursor = await connection.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn")
            row = await cursor.fetchone()
            assert row is not None
            places.append(int(row[0]))

        run = await make(_WINDOWS[last].stop + 1)
        token = _AT_EACH_STEP.set(note_place)
        await run()
        _AT_EACH_STEP.reset(token)
    return {step: (places[at.stop] - places[at.start]) / len(at) for step, at in _WINDOWS.items()}


def _graph() -> Any:
    async def act(state: _State) -> _State:
        if note := _AT_EACH_STEP.get():
            await note()
        step = state.get("step", 0)
        return {"messages": [AIMessage(_text(step))], "step": step + 1}

    async def going_on(state: _State) -> str:
        return END if state["step"] >= state["last"] else _ROLES[state["step"] % len(_ROLES)]

    graph = StateGraph(_State)
    for role in _ROLES:
        graph.add_node(role, act)
        graph.add_conditional_edges(role, going_on, [*_ROLES, END])
    graph.add_edge(START, "planner")
    return graph


@cache
def _text(step: int) -> str:
    """1,000 bytes that compress about as well as prose."""
    words = random.Random(step)
    return " ".join(f"{words.randrange(2_000):04d}{'s' * words.randrange(3)}" for _ in range(170))[:1_000]


def _run(compiled: Any, steps: int) -> Run:
    config = {"configurable": {"thread_id": new_id()}, "recursion_limit": steps + 5}
    return lambda: compiled.ainvoke({"step": 0, "last": steps}, config, durability="sync")


@asynccontextmanager
async def _engine(_: str) -> AsyncIterator[MakeRun]:
    async def make(steps: int) -> Run:
        compiled, config = _graph().compile(), {"recursion_limit": steps + 5}
        return lambda: compiled.ainvoke({"step": 0, "last": steps}, config)

    yield make


@asynccontextmanager
async def _ours(dsn: str) -> AsyncIterator[MakeRun]:
    """As our worker does: a saver for each attempt, fenced to its run, whose thread the claim told to be new."""
    async with open_pool(dsn, largest=_POOL) as pool:

        async def make(steps: int) -> Run:
            run_id = await _claimed(pool)
            saver = PostgresSaver(pool, run_id, 1, key=b"k" * 32, fresh=True)
            return _run(_graph().compile(checkpointer=saver), steps)

        yield make


async def _claimed(pool: Any) -> str:
    run_id, thread_id = new_id(), new_id()
    async with pool.connection() as connection:
        await connection.execute("insert into threads (thread_id) values (%s)", (thread_id,))
        await connection.execute(
            "insert into runs (run_id, thread_id, status, request, request_digest, fence) "
            "values (%s, %s, 'running', '{}', '', 1)",
            (run_id, thread_id),
        )
    return run_id


@asynccontextmanager
async def _stock(dsn: str) -> AsyncIterator[MakeRun]:
    """As well as it goes: strict, and a saver for each run, since one holds a lock for all."""
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    async with open_pool(dsn, largest=_POOL) as pool:
        await AsyncPostgresSaver(pool).setup()

        async def make(steps: int) -> Run:
            saver = AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            return _run(_graph().compile(checkpointer=saver), steps)

        yield make


@asynccontextmanager
async def _dbos(dsn: str) -> AsyncIterator[MakeRun]:
    """A workflow with the same steps; what a step returns is what it keeps."""
    dbos: Any = import_module("dbos")
    host = dsn.partition("host=")[2].partition("&")[0]
    url = f"postgresql://trireme@/dbos?host={host}"
    system = dbos.DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "run_admin_server": False,
            "log_level": "ERROR",
            "sys_db_pool_size": _POOL,
        }
    )

    @dbos.DBOS.step()  # type: ignore[untyped-decorator]
    async def step(at: int) -> str:
        return _text(at)

    @dbos.DBOS.workflow()  # type: ignore[untyped-decorator]
    async def flow(steps: int) -> None:
        for at in range(steps):
            await step(at)

    async def make(steps: int) -> Run:
        async def run() -> None:
            handle = await dbos.DBOS.start_workflow_async(flow, steps)
            await handle.get_result()

        return run

    dbos.DBOS.launch()
    try:
        yield make
    finally:
        dbos.DBOS.destroy()
        del system


if __name__ == "__main__":
    print(table(measure()))
