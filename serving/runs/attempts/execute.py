"""One attempt at one run: load its log and checkpoint, go on, and leave it in a stated way."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from typing import Any

import psycopg
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from graph.catch_up import catch_up, newest_edit
from graph.errors import FenceLost, StorageLost
from graph.events import ApprovalRequested, EffectUnknown, EventBody, RunFinished, RunInterrupted
from graph.faults import point
from graph.ports import ApprovalRequest, Deps
from graph.transcript import own_lines
from serving.database import TROUBLE, Pool
from serving.errors import ServingError
from serving.runs.attempts.failure import failed
from serving.runs.attempts.hosted import HostedRuns
from serving.runs.attempts.terms import Bundles, Terms
from serving.runs.attempts.tracebacks import cut_tracebacks
from serving.runs.checkpoints import PostgresSaver
from serving.runs.decisions import approvals, effects
from serving.runs.log import AttemptLog
from serving.runs.notices import QUEUE_CHANNEL, Notices
from serving.runs.queue import CANCELLED, Claim, Queue
from serving.runs.requests.launch import goal_id
from serving.runs.requests.request import RunRequest

PAUSE = "pause"
_MOST_SUPERSTEPS = 1_000  # 20 critic rounds over 12 steps in a row take some 550
_NEVER = "9999-12-31T00:00:00+00:00"
log = logging.getLogger(__name__)

MakeDeps = Callable[[Claim, RunRequest, AttemptLog, Terms], Awaitable[Deps]]


class Executor:
    """Runs claims on one graph, compiled once; each attempt has a saver of its own on the shared pool.

    `key` is the server's: checkpoints are sealed with one derived from it.
    """

    def __init__(
        self,
        pool: Pool,
        queue: Queue,
        notices: Notices,
        graph: Any,
        bundles: Bundles,
        make_deps: MakeDeps,
        key: bytes,
        hosted: HostedRuns,
    ) -> None:
        cut_tracebacks()
        self._pool, self._queue, self._notices, self._hosted = pool, queue, notices, hosted
        self._graph, self._bundles, self._make_deps, self._key = graph.compile(), bundles, make_deps, key

    async def attempt(self, claim: Claim, control: RunControl | None = None) -> None:
        """Never raises but for cancellation: what goes wrong becomes the run's status, or waits for another attempt.

        `control` may ask it to stop at the end of the superstep: then the run is handed over, or paused.
        """
        self._notices.touched(claim.thread_id)  # for those who follow the thread: a run of it has begun
        try:
            await self._run(claim, control)
        except GraphDrained as drained:
            await (self._paused(claim) if drained.reason == PAUSE else self.handed_over(claim))
        except FenceLost:
            log.warning("action=attempt run=%s fence=%s outcome=fence_lost", claim.run_id, claim.fence)
        except (psycopg.Error, StorageLost) as error:
            # The log in the database is the truth: whoever claims the run next reads how far it came.
            log.warning("action=attempt run=%s error=%s outcome=left_for_retry", claim.run_id, type(error).__name__)
            if isinstance(error, (*TROUBLE, StorageLost)):
                return  # the worker lets go of it as soon as the database is back
            with suppress(psycopg.Error):
                point("release.ready")
                await self._queue.release(claim)
                point("release.committed")
        finally:
            self._notices.touched(claim.run_id)

    async def cancelled(self, claim: Claim) -> None:
        """Writes the end of a run whose attempt was cancelled on request."""
        leave = self._hosted.cancelled if claim.graph else self._leave_cancelled
        await self._stopped(claim, leave(claim))

    async def handed_over(self, claim: Claim) -> None:
        """Puts the run of a stopped attempt back into the queue."""
        point("hand_over.ready")
        await self._stopped(claim, self._queue.hand_over(claim))
        point("hand_over.committed")
        self._notices.touched(claim.run_id, QUEUE_CHANNEL)

    async def _paused(self, claim: Claim) -> None:
        point("paused.ready")
        await self._stopped(claim, self._queue.pause(claim))
        point("paused.committed")

    async def _stopped(self, claim: Claim, written: Awaitable[None]) -> None:
        try:
            await written
            log.info("action=stopped run=%s fence=%s", claim.run_id, claim.fence)
        except (FenceLost, psycopg.Error) as error:
            # Whoever claims the run when its lease has lapsed sees in its row what was asked for.
            log.warning("action=stopped run=%s error=%s", claim.run_id, type(error).__name__)
        self._notices.touched(claim.run_id)

    async def _run(self, claim: Claim, control: RunControl | None) -> None:
        if claim.pause_requested and not claim.cancel_requested:
            await self._paused(claim)  # its last attempt hadn't come to it
            return
        if claim.hosted or (claim.graph and claim.cancel_requested):
            await self._hosted.attempt(claim, control)
            return
        events = AttemptLog(self._pool, claim.run_id, claim.fence, self._notices)
        try:
            await events.load()
            point("attempt.loaded")
            ending = (CANCELLED,) if claim.cancel_requested else await self._go_on(claim, events, control)
        except (psycopg.Error, StorageLost, FenceLost, GraphDrained):
            raise
        except Exception as error:
            ending = (failed(claim, error),)
        if isinstance(ending[-1], RunInterrupted):
            due = await self._due(claim, ending[-1])
            point("park.ready")
            await self._queue.leave(claim, "interrupted", *ending, due=due)
            point("park.committed")
        else:
            assert isinstance(ending[-1], RunFinished)
            point("finish.ready")
            await self._queue.leave(claim, ending[-1].status, *ending)
            point("finish.committed")

    async def _leave_cancelled(self, claim: Claim) -> None:
        await self._queue.leave(claim, CANCELLED.status, CANCELLED)

    async def _due(self, claim: Claim, parked: RunInterrupted) -> str | None:
        """When the first question expires; what became of an effect is waited for without an end."""
        expiries = [request.expires_at for request in await approvals.waiting(self._pool, claim.run_id)]
        return min(expiries, default=_NEVER if parked.effects else None)

    async def _go_on(self, claim: Claim, events: AttemptLog, control: RunControl | None) -> tuple[EventBody, ...]:
        claim.check_attempts()
        request = RunRequest.model_validate(claim.request)
        terms = await self._bundles.terms(claim, events)
        return await self._drive(claim, request, await self._make_deps(claim, request, events, terms), control)

    async def _drive(
        self, claim: Claim, request: RunRequest, deps: Deps, control: RunControl | None
    ) -> tuple[EventBody, ...]:
        whose: Any = {"key": self._key, "tenant": claim.tenant, "fresh": claim.fresh}
        saver = PostgresSaver(self._pool, claim.run_id, claim.fence, **whose)
        graph: CompiledStateGraph[Any, Any, Any, Any] = copy(self._graph)
        graph.checkpointer = saver
        config: Any = {"configurable": {"thread_id": claim.thread_id}, "recursion_limit": _MOST_SUPERSTEPS}
        (start, config), parked = await self._where_to_start(graph, config, claim, request, deps), False
        how: Any = {"durability": "sync", "stream_mode": "updates", "control": control}
        point("attempt.placed")
        async for update in graph.astream(start, config, context=deps, **how):
            parked = parked or INTERRUPT in update
        if not parked:
            return (RunFinished(status="success"),)
        return await self._parked(claim.run_id, deps)

    async def _where_to_start(
        self, graph: Any, config: Any, claim: Claim, request: RunRequest, deps: Deps
    ) -> tuple[Any, Any]:
        """(input, config). Fresh input for a run without a checkpoint, else on from there."""
        found = await graph.checkpointer.aget_tuple(config)
        if found is None or found.checkpoint["channel_values"].get("run_id") != claim.run_id:
            return await _begin(graph, config, claim, request, found)
        return await self._go_on_from(graph, config, claim, deps), config

    async def _go_on_from(self, graph: Any, config: Any, claim: Claim, deps: Deps) -> Command[Any] | None:
        """With what people have decided and edited."""
        state, history = await graph.aget_state(config), deps.events.history
        asked = state.interrupts or newest_edit(history)
        decided = await approvals.decisions(self._pool, claim.run_id) if asked else {}
        if change := catch_up(state.values, state.next, history, decided):
            values, node = change
            async with graph.checkpointer.updating() as saver:
                await graph.copy({"checkpointer": saver}).aupdate_state(config, values, as_node=node)
            return None
        answers = {pause.id: decided[pause.value["id"]] for pause in state.interrupts if pause.value["id"] in decided}
        return Command(resume=answers) if answers else None

    async def _parked(self, run_id: str, deps: Deps) -> tuple[EventBody, ...]:
        history = [event.body for event in own_lines(deps.events.history)]
        waiting = await approvals.waiting(self._pool, run_id)
        asked = {body.approval_id for body in history if isinstance(body, ApprovalRequested)}
        unknown = await effects.unknown(self._pool, run_id)
        told = {(body.key, body.round) for body in history if isinstance(body, EffectUnknown)}
        return (
            *(_asked(request) for request in waiting if request.id not in asked),
            *(effect for effect in unknown if (effect.key, effect.round) not in told),
            RunInterrupted(
                approvals=tuple(request.id for request in waiting), effects=tuple(effect.key for effect in unknown)
            ),
        )


async def _begin(graph: Any, config: Any, claim: Claim, request: RunRequest, latest: Any) -> tuple[Any, Any]:
    """Behind the thread's `latest` checkpoint, or the one that the run names. Raises ServingError (no_checkpoint)."""
    if named := (claim.launch or {}).get("checkpoint"):
        config = {**config, "configurable": {**config["configurable"], "checkpoint_id": named["checkpoint_id"]}}
        latest = await graph.checkpointer.aget_tuple(config)
        if latest is None:
            hint = f"POST /threads/{claim.thread_id}/history lists those that are there"
            raise ServingError("the checkpoint that it begins with is no more", hint, "no_checkpoint")
    said = latest.checkpoint["channel_values"].get("messages") if latest else None
    begun = [] if said else _brought(request)
    message = HumanMessage(request.goal, id=goal_id(claim.run_id, claim.launch))
    options = request.model_dump(include={"goal", "channel", "review_plan", "collection"})
    return {**options, "run_id": claim.run_id, "messages": [*begun, message]}, config


def _brought(request: RunRequest) -> list[AnyMessage]:
    """What was said elsewhere before a new thread began."""
    return [message for goal, answer in request.turns for message in (HumanMessage(goal), AIMessage(answer))]


def _asked(request: ApprovalRequest) -> ApprovalRequested:
    return ApprovalRequested(
        approval_id=request.id,
        approval_kind=request.kind,
        name=request.name,
        arguments=request.arguments,
        description=request.description,
        expires_at=request.expires_at,
    )
