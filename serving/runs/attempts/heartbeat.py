"""Keeps the leases of a process's attempts, from a thread with a connection of its own.

So a loop that is busy for long keeps its runs. The loop proves its life by ticking: while it is stuck nothing is
renewed, and once its leases are gone the process ends, since nothing can run in it; whoever watches it starts it again.
A lease that has ended is never renewed: its attempt has lost. What a blocked loop can't do for a run at once, cancel it
or hand it over when the process is to go, this thread does, and the fence refuses what the attempt writes later.
"""

import asyncio
import logging
import os
import threading
import time
from typing import Any, LiteralString, Protocol

import psycopg
from psycopg.rows import DictRow, dict_row

from graph.events import RunHandedOver
from graph.faults import point
from serving.runs.log import encoded
from serving.runs.notices import QUEUE_CHANNEL, SEND
from serving.runs.queue import CANCELLED, HAND_OVER, LEAVE, Claim

EXIT_START_AGAIN = os.EX_TEMPFAIL
_LOOK_S = 0.5
_TICK_S = 0.2
_BLOCKED_S = 3 * _TICK_S
_TO_COME_BACK_S = 3.0  # a loop that stands still for so long, and whose runs were handed over, ends with its process
_MINE: LiteralString = """
    from runs run join unnest(%(run_ids)s::uuid[], %(fences)s::bigint[]) held (run_id, fence)
        on run.run_id = held.run_id and run.fence = held.fence
    where run.worker = %(worker)s and run.status = 'running'
        and run.lease_until > now() and run.lease_until <= now() + interval '2 minutes'
"""
_STANDING: LiteralString = "select run.run_id, run.cancel_requested, run.paused_by"
_LOOK: LiteralString = _STANDING + ", false as renewed" + _MINE
# It waits for no row: what is being written to just now is renewed the next time, and holds up no other's lease.
_RENEWED: LiteralString = """ for update of run skip locked
), renewed as (
    update runs set lease_until = now() + %(lease)s * interval '1 second' where run_id in (select run_id from free)
    returning run_id
)
select mine.*, renewed.run_id is not null as renewed from mine left join renewed using (run_id)
"""
_BEAT: LiteralString = "with mine as (" + _STANDING + _MINE + "), free as (" + _STANDING + _MINE + _RENEWED
log = logging.getLogger(__name__)


class Attempts(Protocol):
    """Who holds the leases; called on its event loop, `end_children` from the heartbeat's own thread."""

    def lose(self, run_id: str, fence: int) -> None: ...

    def cancel(self, run_id: str, fence: int) -> None: ...

    def pause(self, run_id: str, fence: int) -> None: ...

    def end_children(self, run_id: str, fence: int) -> None:
        """The processes that it started: it may be for one of them that the loop waits."""

    def end(self) -> None:
        """The whole process stood still for longer than a lease: it must not go on with anything."""


class Heartbeat:
    def __init__(self, dsn: str, worker: str, lease_s: float, beat_s: float, stall_s: float) -> None:
        self._dsn, self._worker = dsn, worker
        self._lease_s, self._beat_s, self._stall_s = lease_s, beat_s, stall_s
        self._held: dict[str, Claim] = {}
        self._connection: psycopg.Connection[DictRow] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)
        self._beaten = self._ticked = self._looked = time.monotonic()
        self._silence = 0.0
        self._holding = False
        self._ends_at: float | None = None

    def start(self, attempts: Attempts) -> None:
        self._attempts, self._loop = attempts, asyncio.get_running_loop()
        self._ticked = self._looked = time.monotonic()
        self._thread.start()

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.to_thread(self._thread.join, self._lease_s)

    def hold(self, claim: Claim) -> None:
        self._held[claim.run_id] = claim

    def drop(self, claim: Claim) -> None:
        if self._held.get(claim.run_id) is claim:
            del self._held[claim.run_id]

    def drain(self, within_s: float) -> None:
        """From any thread: the process is to go. What a blocked loop still holds after that time is handed over."""
        self._ends_at = self._ends_at or time.monotonic() + within_s

    async def tick(self) -> None:
        """For ever; on the loop whose life it proves."""
        while True:
            now = time.monotonic()
            self._silence, self._ticked = max(self._silence, now - self._ticked), now
            await asyncio.sleep(_TICK_S)

    def _beat_until_stopped(self) -> None:
        while not self._stopping.wait(self._rest_s()):
            try:
                self._turn(dict(self._held), time.monotonic())
            except psycopg.Error as error:
                log.warning("action=heartbeat error=%s", type(error).__name__)
                self._disconnect()
        self._disconnect()

    def _rest_s(self) -> float:
        rest_s = _LOOK_S if self._ends_at is None else self._ends_at - time.monotonic()
        return min(_LOOK_S, max(rest_s, _TICK_S / 2))

    def _turn(self, held: dict[str, Claim], now: float) -> None:
        still = self._stood_still(now)
        # Its attempts may have woken before it, and have been refused what they wrote.
        if (held or self._holding) and still > self._lease_s:
            log.error("action=heartbeat outcome=stood_still seconds=%.1f", still)
            self._tell(self._attempts.end)
        self._holding = bool(held)
        if self._ends_at is not None and now >= self._ends_at and now - self._ticked > _BLOCKED_S:
            self._hand_over(held, now)
            return
        if now - self._ticked > self._stall_s:
            self._let_go(held, now)
            return
        for run_id, claim in held.items():
            if claim.lease.until <= now:
                self._tell(self._attempts.lose, run_id, claim.fence)
        if held:
            self._ask(held, now)

    def _stood_still(self, now: float) -> float:
        """For how long neither this thread nor the loop ran; a slow database or a busy node holds up one of them."""
        still = min(now - self._looked, max(self._silence, now - self._ticked))
        if still > _BLOCKED_S:
            self._ticked = now  # the loop could not tick, and is given time to
        self._looked, self._silence = now, 0.0
        return still

    def _let_go(self, held: dict[str, Claim], now: float) -> None:
        if all(claim.lease.until <= now for claim in held.values()):
            log.critical("action=heartbeat outcome=loop_stuck seconds=%.0f: the process ends", now - self._ticked)
            logging.shutdown()
            os._exit(EXIT_START_AGAIN)

    def _ask(self, held: dict[str, Claim], now: float) -> None:
        beat = now - self._beaten >= self._beat_s
        values = {"run_ids": list(held), "fences": [claim.fence for claim in held.values()], "worker": self._worker}
        asked_at = time.monotonic()
        point("heartbeat.ready")
        rows = self._execute(_BEAT if beat else _LOOK, values | {"lease": self._lease_s})
        point("heartbeat.committed")
        mine = {str(row["run_id"]): row for row in rows}
        for run_id, claim in held.items():
            row = mine.get(run_id)
            if row is None:
                self._tell(self._attempts.lose, run_id, claim.fence)
                continue
            if row["renewed"]:
                claim.lease.until = asked_at + self._lease_s
            if row["cancel_requested"]:
                self._cancel(run_id, claim.fence)
            elif row["paused_by"] is not None:
                self._tell(self._attempts.pause, run_id, claim.fence)
        if beat and all(row["renewed"] for row in rows):
            self._beaten = asked_at

    def _cancel(self, run_id: str, fence: int) -> None:
        """A blocked loop can't end the run, so this thread does: what the attempt writes later is refused."""
        self._tell(self._attempts.cancel, run_id, fence)
        if time.monotonic() - self._ticked > _BLOCKED_S:
            log.warning("action=cancel run=%s outcome=ended_beside_a_blocked_loop", run_id)
            self._attempts.end_children(run_id, fence)
            values = {"run_id": run_id, "fence": fence, "status": "cancelled", "due": None}
            self._execute(LEAVE, {**values, "bodies": encoded((CANCELLED,))})

    def _hand_over(self, held: dict[str, Claim], now: float) -> None:
        """Written first: freed by the end of its processes, a node must find that its attempt has lost."""
        for run_id, claim in held.items():
            claim.lease.until = now  # no effect goes out any more
            line = encoded((RunHandedOver(worker=self._worker, fence=claim.fence),))
            self._execute(HAND_OVER, {"run_id": run_id, "fence": claim.fence, "bodies": line})
            log.warning("action=drain run=%s outcome=handed_over_beside_a_blocked_loop", run_id)
            self._attempts.end_children(run_id, claim.fence)
            self.drop(claim)
        if held:
            self._connected().execute(SEND, ([QUEUE_CHANNEL] * len(held), list(held)))
        elif now - self._ticked > _TO_COME_BACK_S:
            log.warning("action=drain outcome=ended_beside_a_blocked_loop")
            logging.shutdown()
            os._exit(os.EX_OK)

    def _execute(self, statement: LiteralString, values: dict[str, Any]) -> list[DictRow]:
        """A connection that was cut while it rested is made again at once."""
        if self._connection:
            try:
                return self._connection.execute(statement, values).fetchall()
            except psycopg.OperationalError:
                self._disconnect()
        return self._connected().execute(statement, values).fetchall()

    def _connected(self) -> psycopg.Connection[DictRow]:
        if self._connection is None:
            patience: dict[str, Any] = {"connect_timeout": 5, "tcp_user_timeout": round(self._lease_s * 1_000)}
            self._connection = psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row, **patience)
            self._connection.execute("select set_config('statement_timeout', %s, false)", (f"{self._lease_s / 2}s",))
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _tell(self, what: Any, *about: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *about)
