"""A worker process: claims runs, stops those it lost or was asked to cancel, hands the rest over when it is told to go.

It holds nothing that a run needs: kill it after any line and another worker goes on from the log and the checkpoint.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Literal

import psycopg
from langgraph.runtime import RunControl

from graph.faults import point
from serving.runs.attempts.children import Children, watch
from serving.runs.attempts.execute import PAUSE, Executor
from serving.runs.attempts.heartbeat import EXIT_START_AGAIN, Heartbeat
from serving.runs.notices import CANCEL_CHANNEL, PAUSE_CHANNEL, QUEUE_CHANNEL, Notices, listen
from serving.runs.queue import ALONE_S, Claim, Queue

# The floor: a lapsed lease and a run that falls due send no notice, and a notice may be lost.
_POLL_S = 0.75
# To the end of its superstep. Of the second that a drain may take, ending processes needs its part.
_WITH_PROCESSES_S, _TO_THE_NEXT_SUPERSTEP_S = 0.3, 0.7
log = logging.getLogger(__name__)

Stop = Literal["cancel", "lost", "drain"]


@dataclass(slots=True, eq=False)
class _Attempt:
    claim: Claim
    control: RunControl
    children: Children = field(default_factory=Children)
    task: asyncio.Task[None] | None = None
    stop: Stop | None = None
    begun: bool = False
    since: float = field(default_factory=time.monotonic)


class Worker:
    def __init__(
        self, dsn: str, queue: Queue, notices: Notices, executor: Executor, heartbeat: Heartbeat, concurrency: int
    ) -> None:
        self._dsn, self._queue, self._notices, self._executor = dsn, queue, notices, executor
        self._heartbeat, self._concurrency = heartbeat, concurrency
        self._attempts: dict[str, _Attempt] = {}
        self._wake = asyncio.Event()
        self._looked = 0.0
        self._draining = False
        self._exit_code = 0

    async def serve(self) -> int:
        """Runs until `drain` is called, then hands its runs over; returns the process's exit code."""
        watch()
        heard = {
            QUEUE_CHANNEL: self._heard_queue,
            CANCEL_CHANNEL: self._heard_cancel,
            PAUSE_CHANNEL: self._heard_pause,
        }
        parts = (self._notices.serve(), listen(self._dsn, heard), self._heartbeat.tick())
        background = [asyncio.create_task(part) for part in parts]
        self._heartbeat.start(self)
        try:
            await self._claim_until_drained()
        finally:
            await self._hand_over()
            await self._heartbeat.stop()
            for task in background:
                task.cancel()
        return self._exit_code

    def going(self) -> None:
        """From any thread: `drain` is about to be called, but the loop may be blocked."""
        self._heartbeat.drain(_TO_THE_NEXT_SUPERSTEP_S)

    def drain(self) -> None:
        """Claims no more; each run stops at its next superstep."""
        self.going()
        self._draining = True
        point("drain.begun")
        for attempt in self._attempts.values():
            attempt.control.request_drain()
        self._wake.set()

    def lose(self, run_id: str, fence: int) -> None:
        self._stop(run_id, "lost", fence)

    def cancel(self, run_id: str, fence: int | None = None) -> None:
        self._stop(run_id, "cancel", fence)

    def pause(self, run_id: str, fence: int | None = None) -> None:
        """The run stops at the end of its superstep."""
        attempt = self._attempts.get(run_id)
        if attempt and fence in (None, attempt.claim.fence):
            attempt.control.request_drain(PAUSE)

    def end_children(self, run_id: str, fence: int) -> None:
        attempt = self._attempts.get(run_id)
        if attempt and attempt.claim.fence == fence:
            attempt.children.end()

    def end(self) -> None:
        """Others have its runs by now: nothing is handed over, and a fresh process takes this one's place."""
        self._exit_code = EXIT_START_AGAIN
        for run_id in self._attempts:
            self._stop(run_id, "lost")
        self.drain()

    async def _claim_until_drained(self) -> None:
        while not self._draining:
            self._wake.clear()
            for claim in await self._next():
                self._start(claim)
            await self._rest()

    async def _next(self) -> tuple[Claim, ...]:
        free = 0 if self._kept_alone() else self._concurrency - len(self._attempts)
        try:
            await self._let_go_of_strays()
            point("claim.ready")
            claims = await self._queue.claim(free, idle=not self._attempts) if free > 0 else ()
            if claims:
                point("claim.committed")
            return claims
        except psycopg.Error as error:
            log.warning("action=claim error=%s retry_s=%s", type(error).__name__, _POLL_S)
            return ()

    def _kept_alone(self) -> bool:
        since = time.monotonic() - ALONE_S
        return any(attempt.claim.alone and attempt.since > since for attempt in self._attempts.values())

    async def _let_go_of_strays(self) -> None:
        """Now and then: a run that this worker has in the database alone would wait for its lease to lapse."""
        if time.monotonic() - self._looked > _POLL_S:
            await self._queue.let_go(self._attempts)
            self._looked = time.monotonic()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(_POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start(self, claim: Claim) -> None:
        log.info("action=claim run=%s fence=%s attempt=%s", claim.run_id, claim.fence, claim.attempts)
        # After a lapse of the lease the worker may claim its own run: the attempt that lost it must not go on.
        self._stop(claim.run_id, "lost")
        attempt = self._attempts[claim.run_id] = _Attempt(claim, RunControl())
        self._heartbeat.hold(claim)
        if self._draining:
            attempt.control.request_drain()
        attempt.task = asyncio.create_task(self._run(attempt))

    async def _run(self, attempt: _Attempt) -> None:
        claim, attempt.begun = attempt.claim, True
        attempt.children.adopt()
        try:
            if attempt.stop:
                raise asyncio.CancelledError
            await self._executor.attempt(claim, attempt.control)
        except asyncio.CancelledError:
            await attempt.children.gone()
            if attempt.stop == "cancel":
                await self._executor.cancelled(claim)
            elif attempt.stop == "drain":
                await self._executor.handed_over(claim)
        finally:
            attempt.children.end()
            self._heartbeat.drop(claim)
            if self._attempts.get(claim.run_id) is attempt:
                del self._attempts[claim.run_id]
            self._wake.set()

    def _stop(self, run_id: str, why: Stop, fence: int | None = None) -> None:
        attempt = self._attempts.get(run_id)
        if not attempt or not attempt.task or attempt.stop or fence not in (None, attempt.claim.fence):
            return
        log.info("action=stop run=%s why=%s", run_id, why)
        attempt.stop = why
        attempt.children.end()
        if attempt.begun:  # a task that is cancelled before its first step would never get to its own end
            attempt.task.cancel()

    def _heard_queue(self, _: str) -> None:
        self._wake.set()

    def _heard_cancel(self, payload: str) -> None:
        point("cancel.heard")
        for run_id in payload.split(","):
            self.cancel(run_id)

    def _heard_pause(self, payload: str) -> None:
        for run_id in payload.split(","):
            self.pause(run_id)

    async def _hand_over(self) -> None:
        """What does not reach the end of its superstep in time is cut, and goes on elsewhere from the one before."""
        await self._ended(_WITH_PROCESSES_S)
        for run_id, attempt in list(self._attempts.items()):
            if attempt.children.live():
                self._stop(run_id, "drain")
        await self._ended(_TO_THE_NEXT_SUPERSTEP_S - _WITH_PROCESSES_S)
        for run_id in list(self._attempts):
            self._stop(run_id, "drain")
        await self._ended(self._queue.lease_s)
        await self._notices.flush()

    async def _ended(self, seconds: float) -> None:
        if tasks := [attempt.task for attempt in self._attempts.values() if attempt.task]:
            await asyncio.wait(tasks, timeout=seconds)
