"""The queue is the run row: claim, heartbeat and finish are one statement each, together with their log line."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

from graph.errors import FenceLost
from graph.events import EventBody
from serving.database import Pool
from serving.runs.bundle import Bundle
from serving.runs.log import encoded

_CLAIM: LiteralString = """
with free as (
    select run.run_id from runs run
    where ((run.status in ('pending', 'interrupted') and run.run_at <= now())
        or (run.status = 'running' and run.lease_until < now()))
      and not exists (
        select 1 from runs other
        where other.thread_id = run.thread_id and other.run_id <> run.run_id
          and (other.status = 'running' or (run.status <> 'running'
            and other.status in ('pending', 'interrupted') and other.run_id < run.run_id)))
    order by run.priority desc, run.run_at, run.run_id
    for update of run skip locked limit 1
), run as (
    update runs set status = 'running', worker = %(worker)s, lease_until = now() + %(lease)s * interval '1 second',
        fence = fence + 1, attempts = attempts + 1, woken = false, started_at = coalesce(started_at, now())
    where run_id = (select run_id from free)
    returning *
), pinned as (
    update threads set bundle = %(bundle)s::jsonb from run
    where threads.thread_id = run.thread_id and threads.bundle <> %(bundle)s::jsonb and (threads.bundle = '{}'
        or not exists (select from run_events past where past.run_id = run.run_id and past.kind = 'model_called'))
)
select run.*, threads.bundle from run join threads using (thread_id), append_events(run.run_id, run.fence,
    json_build_array(json_build_object('kind', 'run_claimed', 'worker', run.worker, 'fence', run.fence,
        'attempt', run.attempts, 'bundle', %(digest)s::text)))
"""
_BEAT: LiteralString = """
update runs set lease_until = now() + %(lease)s * interval '1 second'
where run_id = any(%(run_ids)s) and worker = %(worker)s and status = 'running'
returning run_id, fence, cancel_requested
"""
_LEAVE: LiteralString = """
with run as (
    update runs set lease_until = null,
        status = case when (woken or cancel_requested) and %(status)s = 'interrupted' then 'pending'
            else %(status)s end,
        run_at = case when %(status)s <> 'interrupted' then run_at when woken or cancel_requested then now()
            else coalesce(%(due)s::timestamptz, now()) end,
        finished_at = case when %(status)s = 'interrupted' then null else now() end
    where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
    returning run_id
)
select line.seq from run, append_events(run.run_id, null, %(bodies)s) line
"""
_RELEASE: LiteralString = """
update runs set lease_until = now() where run_id = %(run_id)s and fence = %(fence)s and status = 'running'
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this worker owns until its lease ends; `fence` goes with every write."""

    run_id: str
    thread_id: str
    tenant: str
    fence: int
    attempts: int
    cancel_requested: bool
    request: dict[str, Any]
    bundle: dict[str, Any]  # what the thread was pinned to before


class Queue:
    """`bundle`: this worker's; a claim pins the thread to it unless its run rests on another one already."""

    def __init__(self, pool: Pool, worker: str, lease_s: float, bundle: Bundle | None = None) -> None:
        self._pool, self._worker, self._lease_s = pool, worker, lease_s
        self._pin = {"bundle": bundle and bundle.json(), "digest": bundle.digest if bundle else ""}

    async def claim(self) -> Claim | None:
        """The next run that is due or whose worker has gone silent; None when there is none."""
        try:
            async with self._pool.connection() as connection:
                values = {"worker": self._worker, "lease": self._lease_s, **self._pin}
                row = await (await connection.execute(_CLAIM, values)).fetchone()
        except psycopg.errors.UniqueViolation:
            return None  # another worker took a run of the same thread at the same moment
        if row is None:
            return None
        return Claim(
            run_id=str(row["run_id"]),
            thread_id=str(row["thread_id"]),
            tenant=row["tenant"],
            fence=row["fence"],
            attempts=row["attempts"],
            cancel_requested=row["cancel_requested"],
            request=row["request"],
            bundle=row["bundle"],
        )

    async def beat(self, run_ids: list[str]) -> dict[str, tuple[int, bool]]:
        """Renews the leases; returns run id -> (fence, whether a cancel is asked for) of those still ours."""
        values = {"worker": self._worker, "lease": self._lease_s, "run_ids": run_ids}
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_BEAT, values)).fetchall()
        return {str(row["run_id"]): (row["fence"], row["cancel_requested"]) for row in rows}

    async def leave(self, claim: Claim, status: str, *bodies: EventBody, due: str | None = None) -> None:
        """Status and log lines in one statement: how an attempt ends or parks its run.

        A parked run is claimed again when it is `due` (ISO time); at once when a decision or a cancel came while it
        still ran, or when nothing is left to wait for.
        """
        values = {"run_id": claim.run_id, "fence": claim.fence, "status": status, "due": due}
        async with self._pool.connection() as connection:
            done = await connection.execute(_LEAVE, {**values, "bodies": encoded(bodies)})
            if not await done.fetchall():
                raise FenceLost(f"run {claim.run_id}: a newer attempt owns it")

    async def release(self, claim: Claim) -> None:
        """Ends the lease now, so that another attempt needn't wait for it to lapse."""
        async with self._pool.connection() as connection:
            await connection.execute(_RELEASE, {"run_id": claim.run_id, "fence": claim.fence})
