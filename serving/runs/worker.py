"""A worker process: claims runs, keeps their leases alive, stops those it lost or was asked to cancel.

It holds nothing that a run needs: kill it after any line and another worker goes on from the log and the checkpoint.
"""

import asyncio
import logging
from dataclasses import dataclass

import psycopg
from psycopg_pool import PoolTimeout

from serving.runs.execute import Executor, cancelled
from serving.runs.notices import CANCEL_CHANNEL, QUEUE_CHANNEL, Notices, listen
from serving.runs.queue import Claim, Queue

_POLL_S = 1.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Attempt:
    claim: Claim
    task: asyncio.Task[None]
    cancel_asked: bool = False


class Worker:
    def __init__(
        self, dsn: str, queue: Queue, notices: Notices, executor: Executor, heartbeat_s: float, concurrency: int
    ) -> None:
        self._dsn, self._queue, self._notices, self._executor = dsn, queue, notices, executor
        self._heartbeat_s, self._concurrency = heartbeat_s, concurrency
        self._attempts: dict[str, _Attempt] = {}
        self._wake = asyncio.Event()
        self._draining = False

    async def serve(self) -> None:
        """Runs until `drain` is called; then hands its runs back and returns."""
        heard = {QUEUE_CHANNEL: self._heard_queue, CANCEL_CHANNEL: self._heard_cancel}
        background = [
            asyncio.create_task(part) for part in (self._notices.serve(), listen(self._dsn, heard), self._keep_leases())
        ]
        try:
            await self._claim_until_drained()
        finally:
            await self._hand_back()
            for task in background:
                task.cancel()

    def drain(self) -> None:
        self._draining = True
        self._wake.set()

    async def _claim_until_drained(self) -> None:
        while not self._draining:
            self._wake.clear()
            claim = await self._next()
            if claim:
                self._start(claim)
            else:
                await self._rest()

    async def _next(self) -> Claim | None:
        if len(self._attempts) >= self._concurrency:
            return None
        try:
            return await self._queue.claim()
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=claim error=%s retry_s=%s", type(error).__name__, _POLL_S)
            return None

    async def _rest(self) -> None:
        # The poll is the floor: a lapsed lease sends no notice, and a notice may be lost.
        try:
            async with asyncio.timeout(_POLL_S):
                await self._wake.wait()
        except TimeoutError:
            return

    def _start(self, claim: Claim) -> None:
        log.info("action=claim run=%s fence=%s attempt=%s", claim.run_id, claim.fence, claim.attempts)
        # After a lapse of the lease the worker may claim its own run: the attempt that lost it must not go on.
        self._stop(claim.run_id, cancel_asked=False)
        self._attempts[claim.run_id] = _Attempt(claim, asyncio.create_task(self._attempt(claim)))

    async def _attempt(self, claim: Claim) -> None:
        try:
            await self._executor.attempt(claim)
        except asyncio.CancelledError:
            if (mine := self._current(claim)) and mine.cancel_asked:
                await cancelled(self._queue, claim, self._notices)
        finally:
            if self._current(claim):
                del self._attempts[claim.run_id]
            self._wake.set()

    def _current(self, claim: Claim) -> _Attempt | None:
        attempt = self._attempts.get(claim.run_id)
        return attempt if attempt and attempt.claim.fence == claim.fence else None

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            mine = {run_id: attempt.claim.fence for run_id, attempt in self._attempts.items()}
            if not mine:
                continue
            try:
                held = await self._queue.beat(list(mine))
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("action=heartbeat error=%s", type(error).__name__)
                continue
            for run_id, fence in mine.items():
                if held.get(run_id, (None, False))[0] != fence:
                    self._stop(run_id, cancel_asked=False)
                elif held[run_id][1]:
                    self._stop(run_id, cancel_asked=True)

    def _stop(self, run_id: str, *, cancel_asked: bool) -> None:
        attempt = self._attempts.get(run_id)
        if attempt and not attempt.task.cancelling():
            log.info("action=stop run=%s cancel=%s", run_id, cancel_asked)
            attempt.cancel_asked = cancel_asked
            attempt.task.cancel()

    def _heard_queue(self, _: str) -> None:
        self._wake.set()

    def _heard_cancel(self, payload: str) -> None:
        for run_id in payload.split(","):
            self._stop(run_id, cancel_asked=True)

    async def _hand_back(self) -> None:
        """Stops every attempt and ends its lease, so that another worker takes the run at once."""
        attempts = list(self._attempts.values())
        for attempt in attempts:
            attempt.task.cancel()
        await asyncio.gather(*(attempt.task for attempt in attempts), return_exceptions=True)
        for attempt in attempts:
            if not attempt.cancel_asked:
                await self._queue.release(attempt.claim)
                log.info("action=hand_back run=%s", attempt.claim.run_id)
