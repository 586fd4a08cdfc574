"""The queue is the run row: claim, park, hand over and finish are one statement each, together with their log line.

Every time in it is the database's. A lease counts while it ends within the next two minutes (settings allow no longer
one): when that clock jumps, forward or back, all leases lapse, and none lasts for an hour.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from graph.events import EventBody, RunFinished, RunHandedOver
from serving.database import Pool, Row
from serving.errors import ServingError
from serving.hosting.config import is_hosted
from serving.runs.attempts.bundle import Bundle
from serving.runs.fence import fence_lost
from serving.runs.log import AND_LINES, encoded

_MOST_ATTEMPTS: Final = 10
# A run whose process died as often may be what kills it, and what runs beside it with it: it waits for a worker that
# holds nothing, though no longer than ALONE_S, and has it to itself for as long.
_ALONE_FROM: Final = 7
ALONE_S: Final = 60.0
CANCELLED = RunFinished(status="cancelled", code="cancelled", message="on request")

# Each part reads its own partial index and stops at the limit; what another worker holds just now is skipped.
_LAPSED_OR: LiteralString = """
with lapsed as (
    select run_id, attempts + 1 >= %(alone_from)s as alone, priority, created_at as since from runs run
    where status = 'running' and (lease_until <= now() or lease_until > now() + interval '2 minutes')
        and (attempts + 1 < %(alone_from)s or %(idle)s
            or lease_until not between now() - %(alone)s * interval '1 second' and now())
    order by alone desc, priority desc, since, run_id for update of run skip locked limit %(limit)s
), """
_DUE_OR: LiteralString = """due as (
    select run_id, false as alone, priority, greatest(created_at, run_at) as since from runs run
    where (status = 'interrupted' or (status = 'pending' and run_at is not null)) and run_at <= now() """
_READY: LiteralString = """ready as (
    select run_id, false as alone, priority, created_at as since from runs run
    where status = 'pending' and run_at is null """
# A parked run keeps its thread, whose checkpoint holds the pause; one that is to start later does not. First comes who
# has begun, the last one before the others: no clock of who made them, and no wish to start later, puts one before it.
_IF_THREAD_IS_FREE: LiteralString = """and not exists (
        select 1 from runs other
        where other.thread_id = run.thread_id and other.run_id <> run.run_id
          and other.status in ('pending', 'interrupted', 'running')
          and (other.status = 'running' or (
            (other.started_at > coalesce(run.started_at, '-infinity')
                or (other.started_at is null and run.started_at is null and other.run_id < run.run_id))
            and (other.status = 'interrupted' or other.run_at is null or other.run_at <= now()))))
    order by priority desc, since, run_id for update of run skip locked limit %(limit)s
), """
# Of a later attempt nobody can say that no checkpoint is there: the one before may have written it just now. With `not
# exists` instead of `is null` the planner reads the checkpoints of all threads, to look for those of a few.
_TAKE: LiteralString = """next as (
    select * from (table lapsed union all table due union all table ready) found
    order by alone desc, priority desc, since, run_id
    limit case when (select true from lapsed where alone limit 1) then 1 else %(limit)s end
), run as (
    update runs set status = 'running', worker = %(worker)s, lease_until = now() + %(lease)s * interval '1 second',
        fence = fence + 1, attempts = attempts + 1, woken = false, started_at = coalesce(started_at, now())
    where run_id in (select run_id from next)
    returning *
), pinned as (
    update threads set bundle = %(bundle)s::jsonb from run
    where threads.thread_id = run.thread_id and threads.bundle <> %(bundle)s::jsonb and (threads.bundle = '{}'
        or (run.forked_from is null and (select true from run_events past
            where past.run_id = run.run_id and past.kind = 'model_called' limit 1) is null))
)
select run.*, threads.bundle, run.fence = 1 and (select true from state_checkpoints held
    where held.tenant = run.tenant and held.thread_id = run.thread_id::text limit 1) is null as fresh
from run join next using (run_id) join threads using (thread_id),
    append_events(run.run_id, run.fence, json_build_array(json_build_object('kind', 'run_claimed', 'worker', run.worker,
        'fence', run.fence, 'attempt', run.attempts, 'bundle', %(digest)s::text)))
order by next.priority desc, next.since, run_id
"""
_CLAIM: LiteralString = _LAPSED_OR + _DUE_OR + _IF_THREAD_IS_FREE + _READY + _IF_THREAD_IS_FREE + _TAKE
# A decision or a cancel that came while the run still ran must find it awake, and so must one that waits for nothing.
_LEFT: LiteralString = """
with run as (
    update runs set lease_until = null,
        status = case when %(status)s = 'interrupted' and (woken or cancel_requested or %(due)s::timestamptz is null)
            then 'pending' else %(status)s end,
        run_at = case when %(status)s = 'interrupted' and not (woken or cancel_requested)
            then %(due)s::timestamptz end,
        finished_at = case when %(status)s = 'interrupted' then null else now() end, caller = null
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id
)
"""
_BACK: LiteralString = """
with run as (
    update runs set lease_until = null, status = 'pending', run_at = null, attempts = attempts - 1
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id
)
"""
# Until somebody resumes it, it is due at no time; a cancel that came meanwhile must find it awake.
_PAUSE: LiteralString = """
with run as (
    update runs set lease_until = null, status = case when cancel_requested then 'pending' else 'interrupted' end,
        run_at = null
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id, paused_by
)
select line.seq from run, append_events(run.run_id, null, json_build_array(
    json_build_object('kind', 'run_paused', 'by', paused_by))) line
"""
_LAST_LINES: LiteralString = """
select line.seq from run, append_events(run.run_id, null, ending_lines(run.run_id, %(bodies)s)) line
"""
LEAVE: LiteralString = _LEFT + _LAST_LINES
HAND_OVER: LiteralString = _BACK + AND_LINES
# The first time at once, then half a second later each time.
_RELEASE: LiteralString = """
update runs set lease_until = least(lease_until, now() + (attempts - 1) * interval '0.5 second')
where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
"""
# Trouble with the database ended their attempts, or cut off the answer to a claim: that counts as no attempt.
_LET_GO: LiteralString = """
update runs set lease_until = now(), attempts = attempts - 1
where status = 'running' and worker = %(worker)s and lease_until > now() and run_id <> all(%(held)s::uuid[])
"""


@dataclass(slots=True)
class Lease:
    """`until` is by this process's monotonic clock, counted from before the database was asked; each beat moves it."""

    until: float

    def lasts(self) -> bool:
        return time.monotonic() < self.until


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this worker owns while its lease lasts; `fence` goes with every write."""

    run_id: str
    thread_id: str
    tenant: str
    fence: int
    attempts: int
    cancel_requested: bool
    pause_requested: bool
    request: dict[str, Any]
    lease: Lease
    bundle: dict[str, Any]  # what the thread was pinned to before
    profile: dict[str, Any] | None = None  # None: of a run from before there were any
    graph: str | None = None
    assistant_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    launch: dict[str, Any] | None = None
    caller: bytes | None = None  # sealed
    fresh: bool = False  # nobody has worked on it, and its thread holds no checkpoint

    @property
    def alone(self) -> bool:
        """Whether nothing should run beside it at first."""
        return self.attempts >= _ALONE_FROM

    @property
    def hosted(self) -> bool:
        """Whether its graph is one of langgraph.json, not planner, worker and critic."""
        return is_hosted(self.graph)

    def check_attempts(self) -> None:
        """Raises ServingError where one attempt after the other came to no end."""
        if self.attempts > _MOST_ATTEMPTS:
            hint = f"the workers' logs say where each attempt stopped; then trireme resume {self.run_id}"
            raise ServingError(f"the run was taken up {self.attempts - 1} times and never ended", hint, "gave_up")


class Queue:
    """`bundle`: this worker's; a claim pins the thread to it unless its run rests on another one already."""

    def __init__(self, pool: Pool, worker: str, lease_s: float, bundle: Bundle | None = None) -> None:
        self._pool, self.worker, self.lease_s = pool, worker, lease_s
        self._pin = {"bundle": bundle and bundle.json(), "digest": bundle.digest if bundle else ""}

    async def claim(self, limit: int = 1, *, idle: bool = True) -> tuple[Claim, ...]:
        """The next runs that are due or whose worker has gone silent, at most one of a thread.

        `idle`: this worker holds none. One that is to be alone comes as the only one.
        """
        values = self.parameters(limit, idle)
        async with self._pool.connection() as connection:
            asked_at = time.monotonic()
            try:
                rows = await (await connection.execute(_CLAIM, values)).fetchall()
            except psycopg.errors.UniqueViolation:
                # Another worker took a run of the same thread at the same moment; its claim stands now.
                rows = await (await connection.execute(_CLAIM, values)).fetchall()
        return tuple(_claim_of(row, Lease(asked_at + self.lease_s)) for row in rows)

    def parameters(self, limit: int, idle: bool) -> dict[str, Any]:
        """Of the statement that claims."""
        own = {"worker": self.worker, "lease": self.lease_s, "alone_from": _ALONE_FROM, "alone": ALONE_S}
        return {**own, "limit": limit, "idle": idle, **self._pin}

    async def leave(self, claim: Claim, status: str, *bodies: EventBody, due: str | None = None) -> None:
        """Status and log lines in one statement: how an attempt ends or parks its run.

        A parked run is claimed again when it is `due` (ISO time); at once when a decision or a cancel came while it
        still ran, or when nothing is left to wait for.
        """
        await self._write(LEAVE, claim, bodies, status=status, due=due)

    async def hand_over(self, claim: Claim) -> None:
        """Back into the queue for another worker, at once; the attempt doesn't count. Raises FenceLost."""
        await self._write(HAND_OVER, claim, (RunHandedOver(worker=self.worker, fence=claim.fence),))

    async def pause(self, claim: Claim) -> None:
        """Lets the run stand still, as somebody asked. Raises FenceLost."""
        await self._write(_PAUSE, claim, ())

    async def release(self, claim: Claim) -> None:
        """Ends the lease of an attempt that failed, so that the next one needn't wait for it to lapse."""
        async with self._pool.connection() as connection:
            await connection.execute(_RELEASE, {"run_id": claim.run_id, "fence": claim.fence})

    async def let_go(self, held: Collection[str]) -> None:
        """Ends the leases of this worker's runs but those `held`: nobody works on them."""
        async with self._pool.connection() as connection:
            await connection.execute(_LET_GO, {"worker": self.worker, "held": list(held)})

    async def _write(self, statement: LiteralString, claim: Claim, bodies: tuple[EventBody, ...], **more: Any) -> None:
        values = {"run_id": claim.run_id, "fence": claim.fence, "bodies": encoded(bodies)}
        async with self._pool.connection() as connection:
            done = await connection.execute(statement, values | more)
            if not await done.fetchall():
                raise fence_lost(claim.run_id, "change it")


def _claim_of(row: Row, lease: Lease) -> Claim:
    return Claim(
        run_id=str(row["run_id"]),
        thread_id=str(row["thread_id"]),
        tenant=row["tenant"],
        fence=row["fence"],
        attempts=row["attempts"],
        cancel_requested=row["cancel_requested"],
        pause_requested=row["paused_by"] is not None,
        request=row["request"],
        lease=lease,
        bundle=row["bundle"],
        profile=row["profile"],
        graph=row["graph"],
        assistant_id=row["assistant_id"] and str(row["assistant_id"]),
        metadata=row["metadata"],
        launch=row["launch"],
        caller=row["caller"],
        fresh=row["fresh"],
    )
