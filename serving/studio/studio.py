"""Stands in for our worker inside `langgraph dev`: gives every node its run's parts."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from langgraph.runtime import ExecutionInfo
from starlette.applications import Starlette

from graph.channels import RunState
from graph.errors import TriremeError
from graph.ports import Deps
from privacy.errors import PrivacyError
from serving.database import new_id
from serving.errors import BadRequest, ServingError
from serving.studio.input import check_request, redacted_start, refuse_clear_text
from serving.studio.log import MemoryLog
from serving.studio.parts import Parts, open_parts
from serving.studio.run import StudioRun

_RUNS_KEPT: Final = 64


class RunFailed(RuntimeError):
    """What a person reads in Studio."""


class Studio:
    """Opens its parts at the first run, so that the graph can be looked at without a database."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._parts: Parts | None = None
        self._opening = asyncio.Lock()
        self._folder: str | None = None
        self._runs: OrderedDict[str, StudioRun] = OrderedDict()

    @asynccontextmanager
    async def serve(self, _: Starlette) -> AsyncIterator[None]:
        """The server's lifespan: what was opened is closed with it."""
        async with self._stack:
            yield

    async def receive(self, state: RunState, at: ExecutionInfo) -> RunState:
        """Takes in what a person typed, redacted. Raises RunFailed for what can't be a goal."""
        with _told():
            check_request(state)
            parts = await self._open()
            await parts.awake()
            run_id = at.run_id or new_id()
            await self._begin(run_id, state, at, carried_by=at.run_id)
            return await redacted_start(state, run_id, parts.private.redact)

    @asynccontextmanager
    async def deps(self, state: Mapping[str, Any], at: ExecutionInfo) -> AsyncIterator[Deps]:
        """One node's parts. Raises RunFailed for an edited state that holds personal data in clear."""
        with _told():
            run = self._known(state, at)
            if run is None:
                run_id = state.get("run_id") or new_id()
                run = await self._begin(run_id, state, at, carried_by=None)
            if run.forked_by(at):
                redact = (await self._open()).private.redact
                await asyncio.to_thread(refuse_clear_text, state, run.texts(), redact)
            with run.task(state, at) as deps:
                yield deps

    def _known(self, state: Mapping[str, Any], at: ExecutionInfo) -> StudioRun | None:
        """The run that the state names; a single step's input names none and belongs to the thread's newest."""
        if "step" not in state:
            return self._runs.get(state.get("run_id", ""))
        of_thread = [run for run in self._runs.values() if run.deps.thread_id == at.thread_id]
        if not of_thread:
            raise BadRequest("this step began before Studio was started again", "go on from an earlier checkpoint")
        return of_thread[-1]

    async def _begin(
        self, run_id: str, state: Mapping[str, Any], at: ExecutionInfo, carried_by: str | None
    ) -> StudioRun:
        parts = await self._open()
        log, collection = MemoryLog(), state.get("collection") or await self._default(parts)
        profile = (await parts.profiles.get(state.get("channel") or "api")).profile
        deps = parts.deps(run_id, at.thread_id or run_id, collection, profile, log)
        run = self._runs[run_id] = StudioRun(deps, log, carried_by)
        while len(self._runs) > _RUNS_KEPT:
            self._runs.popitem(last=False)
        return run

    async def _open(self) -> Parts:
        async with self._opening:
            if self._parts is None:
                self._parts = await self._stack.enter_async_context(open_parts())
            return self._parts

    async def _default(self, parts: Parts) -> str:
        """The collection of runs that name none."""
        async with self._opening:
            if self._folder is None:
                docs = parts.settings.studio_docs
                self._folder = await parts.folder(docs) if docs else ""
            return self._folder


@contextmanager
def _told() -> Iterator[None]:
    """LangGraph's server shows the words of Python's own errors alone. Ours say how to mend it, and hold no content."""
    try:
        yield
    except (ServingError, TriremeError, PrivacyError) as error:
        raise RunFailed(str(error)) from error
