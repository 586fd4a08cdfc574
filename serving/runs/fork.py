"""Time travel: a new run that goes on from an earlier point of another one, on a thread of its own.

Nothing of the log is copied: the fork's history is its parent's up to the point, then its own. Row, lines and first
checkpoint are one transaction; the parent isn't touched, and may be running.
"""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, LiteralString

from psycopg.errors import UniqueViolation
from pydantic import BaseModel, ConfigDict, Field

from graph.events import EventBody, RunCreated, RunForked, RunPaused
from graph.faults import point
from serving.database import Pool, Row, new_id
from serving.errors import BadRequest, Conflict, Gone
from serving.hosting.config import is_hosted
from serving.runs.log import encoded
from serving.runs.notices import Notices
from serving.runs.requests.request import RunRequest, with_bounds
from serving.runs.store import RunStore, refuse_pruned
from serving.runs.view import TERMINAL, RunView

if TYPE_CHECKING:
    from serving.runs.checkpoints.branches import Branches, Point

_MOST_POINTS = 1_000
_FORK: LiteralString = """
with thread as (
    insert into threads (thread_id, tenant, bundle)
    select %(thread_id)s, run.tenant, thread.bundle from runs run join threads thread using (thread_id)
    where run.run_id = %(parent)s and run.pruned_at is null for key share of run
    returning thread_id, tenant
), run as (
    insert into runs (run_id, thread_id, tenant, request, request_digest, idempotency_key, forked_from, forked_seq,
        profile, priority, webhook, status, run_at, paused_by)
    select %(run_id)s, thread.thread_id, thread.tenant, %(request)s, %(digest)s, %(key)s, %(parent)s,
        %(seq)s, parent.profile, parent.priority, parent.webhook,
        case when %(paused_by)s::text is null then 'pending' else 'interrupted' end, null, %(paused_by)s
    from thread, runs parent where parent.run_id = %(parent)s
    returning run_id
)
select line.seq from run, append_events(run.run_id, null, %(bodies)s) line
"""


class Fork(BaseModel):
    """What a caller asks for. `paused`: the new run waits, so that its plan can be edited before it goes on."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"at": 12, "paused": True}]})

    at: int | None = Field(default=None, description="a line of the run's log; without it, the latest point")
    paused: bool = False
    bounds: dict[str, float] = Field(
        default_factory=dict,
        description="bounds to change; the fork's use counts from zero",
        examples=[{"cost_usd": 5}],
    )


class ForkPoint(BaseModel):
    """A fork `at` this line or any later one before the next point begins with the nodes `next`."""

    seq: int
    next: tuple[str, ...]
    at: datetime


class Forks:
    """`branches` (of a tenant) imports LangGraph, so it is called in a thread, when somebody forks."""

    def __init__(self, pool: Pool, notices: Notices, runs: RunStore, branches: "Callable[[str], Branches]") -> None:
        self._pool, self._notices, self._runs = pool, notices, runs
        self._branches = branches

    def of(self, runs: RunStore) -> "Forks":
        """Those of another tenant's runs."""
        return Forks(self._pool, self._notices, runs, self._branches)

    async def points(self, run_id: str, limit: int = 100) -> list[ForkPoint]:
        """Where the run can be forked: its newest points, oldest first."""
        row = await self._runs.row(run_id)
        found = await (await self._opened()).points(str(row["thread_id"]), str(row["run_id"]), limit)
        return [ForkPoint(seq=each.seq, next=each.next, at=each.at) for each in found]

    async def fork(self, run_id: str, fork: Fork, by: str, key: str | None = None) -> tuple[RunView, bool]:
        """Returns (run, whether it is new): the same key with the same request gives the same run.

        Raises NotFound, BadRequest (bad_fork_point, bad_bounds), Conflict (no_checkpoint, idempotency_mismatch).
        """
        parent = await self._runs.row(run_id)
        refuse_pruned(run_id, parent["pruned_at"])
        if is_hosted(parent["graph"]):
            hint = "start a run on its thread with checkpoint_id, as the LangGraph SDK does"
            raise Conflict(
                f"run {run_id} is one of graph {parent['graph']}, which has no plan to fork", hint, "no_fork"
            )
        request = with_bounds(RunRequest.model_validate(parent["request"]), fork.bounds)
        digest = hashlib.sha256(f"fork of {parent['run_id']}: {fork.model_dump_json()}".encode()).hexdigest()
        if earlier := await self._runs.earlier(key, digest):
            return await self._runs.get(earlier), False
        begins, branches = await self._point(parent, fork.at), await self._opened()
        fork_id, thread_id = new_id(), new_id()
        lines: list[EventBody] = [
            RunCreated(goal=request.goal, thread_id=thread_id),
            RunForked(run_id=str(parent["run_id"]), seq=begins.seq),
        ]
        if fork.paused:
            lines.append(RunPaused(by=by))
        values = {
            "run_id": fork_id,
            "thread_id": thread_id,
            "parent": parent["run_id"],
            "seq": begins.seq,
            "request": request.model_dump_json(),
            "digest": digest,
            "key": key,
            "paused_by": by if fork.paused else None,
            "bodies": encoded(lines),
        }
        first = await branches.copy(str(parent["thread_id"]), begins, thread_id, len(lines), {"run_id": fork_id})
        point("fork.ready")
        try:
            async with self._pool.connection() as connection, connection.transaction():
                if not (await connection.execute(_FORK, values)).rowcount:
                    raise Gone(f"run {run_id} was pruned just now by retention", "its status is all that is left")
                await branches.write(connection, first)
        except UniqueViolation:
            return await self.fork(run_id, fork, by, key)  # the same key was used at the same moment
        point("fork.committed")
        return await self._runs.woken(fork_id), True

    async def _point(self, parent: Row, at: int | None) -> "Point":
        branches, run_id, last = await self._opened(), str(parent["run_id"]), parent["last_seq"]
        thread_id = str(parent["thread_id"])
        if at is None or 1 <= at <= last:
            begins = await branches.at(thread_id, run_id, last if at is None else at)
            if begins:
                return begins
        points = await branches.points(thread_id, run_id, _MOST_POINTS)
        if not points:
            why = "its checkpoints were pruned" if parent["status"] in TERMINAL else "it has not begun"
            raise Conflict(f"run {run_id} can't be forked: {why}", "start a new run", "no_checkpoint")
        hint = f"give a line from {points[0].seq} to {last}: trireme fork {run_id} --list"
        raise BadRequest(f"run {run_id} can't be forked at line {at}", hint, "bad_fork_point")

    async def _opened(self) -> "Branches":
        return await asyncio.to_thread(self._branches, self._runs.tenant)
