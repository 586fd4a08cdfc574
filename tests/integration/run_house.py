"""One process's back end in a test: the real log, queue, store, executor and worker; only the models are scripted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph.build import RunGraph, build
from graph.events import EventBody, RunEvent
from graph.ports import Deps, Models
from graph.prompt import Prompts, present_prompts
from graph.state import Source
from graph.tools.registry import Arguments, Output, Problem, Registry, Tool, ToolContext
from graph.tools.runner import ToolRunner
from memory.store import MemoryStore
from privacy.detect import Detector
from privacy.redact import Redactor
from serving.database import Pool, new_id, open_pool, open_row_pool
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.documents.tables import Databases
from serving.errors import Conflict, ServingError
from serving.hosting.graphs import Graphs
from serving.items.stores import Stores
from serving.rights import runtime_dsn
from serving.runs.attempts.bundle import Bundle, bundle_of
from serving.runs.attempts.deps import AttemptDeps
from serving.runs.attempts.execute import Executor
from serving.runs.attempts.heartbeat import Heartbeat
from serving.runs.attempts.hosted import HostedRuns
from serving.runs.attempts.in_flight import InFlight
from serving.runs.attempts.terms import Bundles, Terms
from serving.runs.attempts.worker import Worker
from serving.runs.checkpoints.branches import Branches
from serving.runs.control import RunControls
from serving.runs.decisions.approvals import PostgresApprovals
from serving.runs.decisions.store import Decisions
from serving.runs.fork import Forks
from serving.runs.ledger import PostgresLedger
from serving.runs.log import AttemptLog, read_all
from serving.runs.notices import Notices
from serving.runs.queue import Claim, Queue
from serving.runs.requests.request import RunRequest
from serving.runs.store import RunStore
from serving.runs.view import RunView
from serving.settings import Settings
from serving.vault import PostgresVault

KEY = b"k" * 32
GOAL = "Find both parts and their sum"
_DETECTOR = Detector()


class Query(Arguments):
    query: Any = ""


class Lookup:
    """A read tool that finds one passage for every query; `asked` counts what it was really called with."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.asked: list[str] = []
        self._takes_s = takes_s

    def tool(self) -> Tool:
        return Tool(name="lookup", description="Finds a passage", parameters=Query, call=self._call)

    async def _call(self, arguments: Query, context: ToolContext) -> Output | Problem:
        self.asked.append(f"{context.step_id} {arguments.query}")
        await asyncio.sleep(self._takes_s)
        ref = f"notes/{arguments.query}.md#0".replace(" ", "-")
        source = Source(ref=ref, path=ref.partition("#")[0], quote="it is 42")
        return Output(data={"found": [{"ref": ref, "text": "it is 42"}]}, sources=(source,))


@dataclass(frozen=True, slots=True)
class House:
    dsn: str
    pool: Pool
    calls: InFlight
    notices: Notices
    queue: Queue
    store: RunStore
    controls: RunControls
    decisions: Decisions
    forks: Forks
    parts: Callable[[Models], AttemptDeps]
    prompts: Prompts = field(default_factory=present_prompts)
    tools: tuple[Tool, ...] = field(default_factory=lambda: (Lookup().tool(),))
    graph: Callable[[], RunGraph] = build
    routes: str = "scripted"

    @property
    def bundle(self) -> Bundle:
        return bundle_of(self.graph(), self.prompts, Registry(self.tools), self.routes)

    def version(self, **changes: Any) -> "House":
        """The same place, where another version is installed: other `prompts`, `tools`, `graph` or `routes`."""
        other = replace(self, **changes)
        return replace(other, queue=Queue(self.pool, f"test-{new_id()}", 10.0, other.bundle))

    async def create(self, goal: str = GOAL, **options: Any) -> str:
        return (await self.store.create(RunRequest(goal=goal, **options)))[0].run_id

    async def claim(self) -> Claim:
        """What a worker that polls gets: a row that is being written to at this moment is skipped, and comes next."""
        async with asyncio.timeout(60):
            while not (claims := await self.queue.claim()):
                await asyncio.sleep(0.01)
        return claims[0]

    def executor(
        self, models: Models, lookup: Lookup | None = None, log: Callable[[AttemptLog], AttemptLog] = lambda log: log
    ) -> Executor:
        """`log` may put another log in the place of an attempt's own."""
        installed = [lookup.tool() if lookup and tool.name == "lookup" else tool for tool in self.tools]

        async def make_deps(claim: Claim, request: RunRequest, events: AttemptLog, terms: Terms) -> Deps:
            events = log(events)
            deps = await self.parts(models)(claim, request, events, terms)
            run_id, fence = claim.run_id, claim.fence
            tools = Registry(tool for tool in installed if tool.name in terms.tools)
            ledger = PostgresLedger(self.pool, self.calls, run_id, fence)
            runner = ToolRunner(tools, ledger, PostgresApprovals(self.pool, run_id, fence), run_id)
            return replace(deps, tools=runner)

        bundles = Bundles(self.pool, self.bundle, self.prompts)
        hosted = HostedRuns(self.pool, self.notices, Graphs(), KEY, Stores(self.pool))
        return Executor(self.pool, self.queue, self.notices, self.graph(), bundles, make_deps, KEY, hosted)

    async def finish(self, models: Models, lookup: Lookup | None = None, **options: Any) -> RunView:
        """A run from its creation to the end of its first attempt."""
        run_id = await self.create(**options)
        await self.executor(models, lookup).attempt(await self.claim())
        return await self.store.get(run_id)

    @asynccontextmanager
    async def worker(self, models: Models, lookup: Lookup | None = None, concurrency: int = 8) -> AsyncIterator[Worker]:
        """A worker that serves beside the test."""
        executor = self.executor(models, lookup)
        heartbeat = Heartbeat(self.dsn, self.queue.worker, self.queue.lease_s, beat_s=0.5, stall_s=60)
        worker = Worker(self.dsn, self.queue, self.notices, executor, heartbeat, concurrency)
        serving = asyncio.create_task(worker.serve())
        try:
            yield worker
        finally:
            worker.drain()
            await serving

    async def until(self, run_id: str, done: Callable[[RunView], bool], seconds: float = 60.0) -> RunView:
        async with asyncio.timeout(seconds):
            while not done(view := await self.store.get(run_id)):
                await asyncio.sleep(0.01)
        return view

    async def ended(self, run_id: str, seconds: float = 60.0) -> RunView:
        return await self.until(run_id, lambda view: view.finished_at is not None, seconds)

    async def until_one_waits_for_a_lock(self) -> None:
        query = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        await until(lambda: bool(self.execute(query)))

    async def events(self, run_id: str) -> list[RunEvent]:
        return await read_all(self.pool, run_id)

    async def bodies(self, run_id: str, kind: str) -> list[Any]:
        return [event.body for event in await self.events(run_id) if event.body.kind == kind]

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            done = connection.execute(statement.encode(), values)
            return done.fetchall() if done.description else []


@asynccontextmanager
async def open_house(dsn: str, home: Path, memory: MemoryStore, lease_s: float = 10.0) -> AsyncIterator[House]:
    settings = Settings(home=home, DATABASE_URL=dsn)
    runtime = runtime_dsn(dsn)
    pool, rows = open_pool(runtime, largest=20), open_row_pool(runtime)
    vault = PostgresVault(runtime, KEY)
    await pool.open()
    await rows.open()
    notices, calls = Notices(pool), InFlight(runtime, "test")

    def parts(models: Models) -> AttemptDeps:
        return AttemptDeps(
            pool=pool,
            calls=calls,
            models_of=lambda _: models,
            documents=DocumentStore(rows, HashingEmbedder()),
            databases=Databases(),
            memory=memory,
            vault=vault,
            redactor=Redactor(_DETECTOR, vault),
            settings=settings,
        )

    try:
        store = RunStore(pool, notices)
        forks = Forks(pool, notices, store, lambda tenant: Branches(pool, KEY, tenant))
        house = House(
            dsn=dsn,
            pool=pool,
            calls=calls,
            notices=notices,
            queue=Queue(pool, "", lease_s),
            store=store,
            controls=RunControls(pool, notices, store),
            decisions=Decisions(pool, store),
            forks=forks,
            parts=parts,
        )
        await Bundles(pool, house.bundle, house.prompts).publish()
        yield replace(house, queue=Queue(pool, f"test-{new_id()}", lease_s, house.bundle))
    finally:
        vault.close()
        await calls.close()
        await pool.close()
        await rows.close()


async def until(happened: Callable[[], bool]) -> None:
    """For as long as a machine that is busy may need."""
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.01)


async def code_of(call: Awaitable[Any], error: type[ServingError] = Conflict) -> str:
    """With which a call is refused."""
    with pytest.raises(error) as raised:
        await call
    return raised.value.code


def gapless(events: Sequence[RunEvent]) -> bool:
    return [event.seq for event in events] == list(range(1, len(events) + 1))


def kinds(events: Sequence[RunEvent]) -> list[str]:
    return [event.body.kind for event in events]


class PausedLog(AttemptLog):
    """The attempt's own log, which stands still right behind its `pause`th append, as a stopped process would."""

    def __init__(self, log: AttemptLog, pause: int) -> None:
        self.__dict__.update(log.__dict__)
        self._pause, self._appends = pause, 0
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def append(self, *bodies: EventBody) -> None:
        await super().append(*bodies)
        self._appends += 1
        if self._appends == self._pause:
            self.reached.set()
            await self.go_on.wait()


class CutLog(AttemptLog):
    """The attempt's own log, which cancels the attempt right behind its `cut`th append, as a kill would end it."""

    def __init__(self, log: AttemptLog, cut: int, attempt: "asyncio.Task[None]") -> None:
        self.__dict__.update(log.__dict__)
        self._cut, self._attempt = cut, attempt
        self.appends = 0

    async def append(self, *bodies: EventBody) -> None:
        await super().append(*bodies)
        self.appends += 1
        if self.appends == self._cut:
            self._attempt.cancel()
        if self.appends >= self._cut:
            await asyncio.sleep(60)
