"""A process whose memory is measured: `python -m tests.bench.memory_worker KIND RUNS`, on DATABASE_URL's database.

It prints `ready` before its first run, and `held` once so many runs stand still inside a node.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from graph.approval import decide
from graph.channels import RunState
from graph.ports import ApprovalRequest, ModelCall, ModelReply, Models, OnPiece, Usage
from graph.state import Plan
from privacy.redact import from_record
from serving.database import new_id, open_pool
from serving.processes.serve import calm_collector
from serving.settings import Settings, load_settings
from tests.bench.plain_runs import act, plain_graph, working

ASK = "ask a person"
SPARE = 100  # slots beside those of the runs that stand still
_POOL = 36
_PLAN = {"steps": [{"id": "s1", "goal": "Find part 1", "depends_on": [], "done_when": "part 1 is found"}]}


class _Door:
    """What comes here waits for good."""

    def __init__(self, runs: int) -> None:
        self._runs, self._open = runs, asyncio.Event()

    async def wait(self) -> None:
        self._runs -= 1
        if self._runs == 0:
            print("held", flush=True)
        await self._open.wait()


async def _agents(runs: int) -> None:
    """`trireme worker` as it is, but for its models: they plan for a run that asks a person, and wait in any other."""
    from serving import wiring

    @asynccontextmanager
    async def open_models(settings: Settings) -> AsyncIterator[Models]:
        yield _Waiting(_Door(runs))

    wiring.open_models = open_models
    async with wiring.open_worker(load_settings()) as worker:
        _ready()
        await worker.serve()


class _Waiting:
    def __init__(self, door: _Door) -> None:
        self._door = door

    def estimate(self, call: ModelCall) -> float:
        return 0.0

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        if call.task.role == "planner" and call.task.goal != ASK:
            await self._door.wait()
        return ModelReply(from_record(""), "scripted", Usage(), (), Plan.model_validate(_PLAN))


async def _plain(runs: int) -> None:
    """Our queue, log and saver over a graph of three nodes."""
    from serving.runs.decisions.approvals import PostgresApprovals

    door, dsn = _Door(runs), load_settings().database_url
    async with open_pool(dsn, _POOL) as pool:

        async def first(state: RunState, runtime: Runtime[Any]) -> RunState:
            claim = runtime.context.claim
            if state["goal"] == ASK:
                await decide(PostgresApprovals(pool, claim.run_id, claim.fence), _request())
            else:
                await door.wait()
            return await act(state, runtime)

        async with working(dsn, pool, runs + SPARE, plain_graph(first)):
            _ready()
            await asyncio.Event().wait()


def _request() -> ApprovalRequest:
    return ApprovalRequest(
        id="a1", kind="plan", name="go_on", arguments={}, description="", digest="", expires_at="2100-01-01T00:00:00Z"
    )


async def _stock(runs: int) -> None:
    """The same graph, compiled once, with LangGraph's own saver: no queue, no log, no lease. A line begins it."""
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    door = _Door(runs)

    async def first(state: RunState) -> RunState:
        await door.wait()
        return {}

    async with open_pool(load_settings().database_url, _POOL) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        compiled: Any = plain_graph(first).compile(checkpointer=saver)
        _ready()
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(compiled.ainvoke(_given(), _config(), durability="sync") for _ in range(runs)))


def _ready() -> None:
    """For all the collector is as in our worker."""
    calm_collector()
    print("ready", flush=True)


def _given() -> dict[str, Any]:
    return {"goal": "wait", "run_id": new_id(), "messages": [HumanMessage("wait")]}


def _config() -> dict[str, Any]:
    return {"configurable": {"thread_id": new_id()}}


_KINDS: dict[str, Callable[[int], Awaitable[None]]] = {"plain": _plain, "agents": _agents, "stock": _stock}


async def _main() -> None:
    await _KINDS[sys.argv[1]](int(sys.argv[2]))


if __name__ == "__main__":
    asyncio.run(_main())
