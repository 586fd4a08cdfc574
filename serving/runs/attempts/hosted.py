"""One attempt at a run of a hosted graph: the user's graph, our saver, fence, log, drain and cancel around it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final
from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, Send

from graph.errors import FenceLost, StorageLost
from graph.events import RunFinished
from serving.auth.callers import Callers
from serving.auth.user import in_graph
from serving.database import Pool
from serving.hosting.cut_off import cut_off
from serving.hosting.event_parts import EventParts
from serving.hosting.factory import Graph, context_of
from serving.hosting.graphs import Graphs
from serving.hosting.next_nodes import require_next
from serving.hosting.part_log import PartLog
from serving.hosting.parts import Part, Parts
from serving.hosting.questions import questions_of
from serving.hosting.saver import hosted_saver
from serving.hosting.unsaved import run_unsaved
from serving.items.stores import Stores
from serving.keys.identity import WORKS_FOR
from serving.runs.attempts.ending import Ending, end, shown_interrupt
from serving.runs.attempts.failure import failed
from serving.runs.group import Fence
from serving.runs.log import FencedLog
from serving.runs.notices import Notices
from serving.runs.queue import CANCELLED, Claim
from serving.runs.requests.launch import Launch, RunCommand

_NOT_THE_GRAPHS: Final = (StorageLost, FenceLost, GraphDrained)
_LANGGRAPHS: Final = ("__pregel", "checkpoint_ns")
# What a graph that this one is a remote part of says when it goes on: the input is what it was, and has been worked on.
_RESUMING: Final = "__pregel_resuming"
_TO_STOP_S: Final = 0.2  # of the second in which a run is cancelled, or handed over
_TO_LOOK_S: Final = 0.3
log = logging.getLogger(__name__)


class HostedRuns:
    """Drives claims of hosted graphs for the executor, which knows what to do with what it raises."""

    def __init__(self, pool: Pool, notices: Notices, graphs: Graphs, key: bytes, stores: Stores) -> None:
        self._pool, self._notices, self._graphs, self._key, self._stores = pool, notices, graphs, key, stores
        self._callers = Callers(key)
        run_unsaved()

    async def attempt(self, claim: Claim, control: RunControl | None) -> None:
        """Raises FenceLost, StorageLost, GraphDrained; what goes wrong in the graph becomes the run's end."""
        ending = await self._cancelled(claim) if claim.cancel_requested else await self._worked(claim, control)
        await self._end(claim, ending)

    async def cancelled(self, claim: Claim) -> None:
        """Writes the end of a run whose attempt was cancelled on request."""
        await self._end(claim, await self._cancelled(claim))

    async def _end(self, claim: Claim, ending: Ending) -> None:
        hosting = self._graphs.hosting
        await end(self._pool, claim, ending, hosting.http.configurable_headers if hosting else None)

    async def _worked(self, claim: Claim, control: RunControl | None) -> Ending:
        """A graph that doesn't stop when it is told to is left to itself: the fence refuses what it still writes."""
        work = asyncio.create_task(self._ended(claim, control))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.cancel()
            work.add_done_callback(_heard)
            if (await asyncio.wait([work], timeout=_TO_STOP_S))[1]:
                log.warning("action=stop run=%s graph=%s outcome=left_to_itself", claim.run_id, claim.graph)
            raise

    async def _ended(self, claim: Claim, control: RunControl | None) -> Ending:
        try:
            claim.check_attempts()
            launch = Launch.model_validate(claim.launch)
            config = self._callers.opened(launch.config, claim.run_id, claim.caller)
            return await self._drive(claim, launch.model_copy(update={"config": dict(config)}), control)
        except _NOT_THE_GRAPHS:
            raise
        except (Exception, SystemExit) as error:
            return Ending(failed(claim, error))

    async def _drive(self, claim: Claim, launch: Launch, control: RunControl | None) -> Ending:
        config, context = _config(claim, launch), launch.context
        WORKS_FOR.set(claim.tenant)
        store = (await self._stores.of(claim.tenant)).under(Fence(claim.run_id, claim.fence))
        opened = self._graphs.opened(claim.graph or "", "threads.create_run", config, store=store, context=context)
        async with opened as found:
            saver = hosted_saver(self._pool, self._key, claim.tenant, claim.run_id, claim.fence, claim.fresh)
            graph: Graph = found.copy({"checkpointer": saver, "store": store})
            start, config = await self._start(graph, config, claim, launch)
            parts = EventParts() if launch.all_channels else Parts(launch.stream_mode, claim.run_id)
            broken = await cut_off(self._pool, claim.run_id) if claim.fence > 1 and launch.all_channels else []
            try:
                await self._stream(claim, _streamed(graph, parts, start, config, launch, control), broken)
            except _NOT_THE_GRAPHS:
                raise
            except (Exception, SystemExit) as error:
                return await _left(graph, claim, failed(claim, error))
            return await _left(graph, claim, RunFinished(status="success"), parts)

    async def _stream(self, claim: Claim, stream: AsyncIterator[Part], broken: Sequence[Part]) -> None:
        """What was given out before the end, whatever that is, is in the log, behind what an attempt before left."""
        lines = PartLog(FencedLog(self._pool, claim.run_id, claim.fence, self._notices))
        try:
            for event, data in broken:
                await lines.put(event, data)
            async with aclosing(stream) as given:  # type: ignore[type-var]
                async for event, data in given:
                    await lines.put(event, data)
        finally:
            await lines.flushed()

    async def _start(
        self, graph: Graph, config: RunnableConfig, claim: Claim, launch: Launch
    ) -> tuple[Any, RunnableConfig]:
        """What the graph is given, and where: an attempt after the first goes on from the run's own checkpoint. Raises
        GraphChanged."""
        saver: Any = graph.checkpointer
        newest: RunnableConfig = {"configurable": {"thread_id": claim.thread_id, "checkpoint_ns": ""}}
        if claim.fence > 1:
            latest = await saver.aget_tuple(newest)
            if latest and latest.metadata.get("run_id") == claim.run_id:
                await require_next(graph, claim.graph or "", newest)
                return None, config
        given = launch.checkpoint.model_dump(exclude_none=True) if launch.checkpoint else {}
        if launch.goes_on:
            await require_next(graph, claim.graph or "", {"configurable": {**newest["configurable"], **given}})
        config = {**config, "configurable": {**config["configurable"], **given}}
        return (_command(launch.command) if launch.command else launch.input), config

    async def _cancelled(self, claim: Claim) -> Ending:
        """With the state as it stands, when that can be had at once."""
        finished, config = CANCELLED, _config(claim, Launch())
        if not claim.hosted:  # the agent's state is told as its talk
            return Ending(finished)
        with suppress(Exception):
            async with asyncio.timeout(_TO_LOOK_S), self._graphs.opened(claim.graph or "", "threads.read") as found:
                saver = hosted_saver(self._pool, self._key, claim.tenant)
                state = await found.copy({"checkpointer": saver}).aget_state(config)
                return Ending(finished, state.values, state.values, _interrupts(state), bool(state.next))
        return Ending(finished)


async def _streamed(
    graph: Graph,
    parts: Parts | EventParts,
    start: Any,
    config: RunnableConfig,
    launch: Launch,
    control: RunControl | None,
) -> AsyncIterator[Part]:
    how: Any = {
        "context": context_of(graph, launch.context, launch.configurable),
        "interrupt_before": launch.interrupt_before,
        "interrupt_after": launch.interrupt_after,
        "durability": launch.durability,
        "control": control,
    }
    if isinstance(parts, EventParts):
        async for part in parts.stream(graph, start, config, how):
            yield part
        return
    how |= {"stream_mode": parts.modes, "subgraphs": launch.subgraphs}
    if parts.with_events:
        async for event in graph.astream_events(start, config, version="v2", **how):
            for part in parts.of_event(event):  # type: ignore[arg-type]
                yield part
    else:  # as `ainvoke`: what the graph's output schema doesn't name is its own
        async for chunk in graph.astream(start, config, output_keys=graph.output_channels, **how):
            for part in parts.of(chunk):
                yield part


async def _left(graph: Graph, claim: Claim, finished: RunFinished, parts: Parts | EventParts | None = None) -> Ending:
    """How the graph left the thread: read anew, for the last checkpoint is what a next run begins with."""
    config: RunnableConfig = {"configurable": {"thread_id": claim.thread_id, "checkpoint_ns": ""}}
    state = await graph.aget_state(config)
    result, questions = None, []
    if parts:
        result = _given_out(graph, state.values) if parts.values is None else parts.values
        if state.interrupts and isinstance(result, dict):
            result = {**result, "__interrupt__": [shown_interrupt(each) for each in state.interrupts]}
    if state.interrupts and isinstance(parts, EventParts):
        questions = questions_of(await graph.aget_state(config, subgraphs=True))
    return Ending(finished, state.values, result, _interrupts(state), bool(state.next), questions)


def _given_out(graph: Graph, values: Any) -> Any:
    """Of a state, where nothing was streamed."""
    if isinstance(values, dict) and not isinstance(graph.output_channels, str):
        return {name: values[name] for name in graph.output_channels if name in values}
    return values


def _heard(work: "asyncio.Task[Ending]") -> None:
    """Nobody waits for it any more, and its end isn't told as one that nobody looked at."""
    if not work.cancelled():
        work.exception()


def _interrupts(state: Any) -> dict[str, Any]:
    return {task.id: task.interrupts for task in state.tasks}


def _config(claim: Claim, launch: Launch) -> RunnableConfig:
    own = {"run_id": claim.run_id, "thread_id": claim.thread_id}
    named = {"graph_id": claim.graph, "assistant_id": claim.assistant_id}
    named_by_caller = launch.configurable.items()  # where it begins is said by `launch.checkpoint` alone
    given = in_graph({name: value for name, value in named_by_caller if not name.startswith(_LANGGRAPHS)})
    if launch.configurable.get(_RESUMING):
        given[_RESUMING] = True
    if launch.strict_resume:
        given["__pregel_strict_resume"] = True
    metadata = {**(launch.config.get("metadata") or {}), **claim.metadata, **named, "run_id": claim.run_id}
    config: dict[str, Any] = {
        "run_name": claim.graph,
        **launch.config,
        "configurable": {**given, **own, **named},
        "metadata": {**metadata, "run_attempt": claim.attempts},
        "run_id": UUID(claim.run_id),
    }
    return config  # type: ignore[return-value]


def _command(asked: RunCommand) -> Command[Any]:
    goto = asked.goto if isinstance(asked.goto, list) else [] if asked.goto is None else [asked.goto]
    update = [tuple(pair) for pair in asked.update] if isinstance(asked.update, list) else asked.update
    return Command(resume=asked.resume, update=update, goto=[_next(each) for each in goto])


def _next(asked: Any) -> Any:
    return Send(asked["node"], asked.get("input")) if isinstance(asked, dict) else asked
