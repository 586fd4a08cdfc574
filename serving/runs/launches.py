"""Runs of graphs as LangGraph's clients ask for them: rows of the one queue, made, listed, stopped and forgotten."""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, LiteralString, TypeAlias

import psycopg
from psycopg.errors import DeadlockDetected, UniqueViolation
from psycopg_pool import PoolClosed

from graph.events import RunCreated
from graph.profile import Profile
from serving.auth.callers import Callers
from serving.auth.filters import Held
from serving.background import Background
from serving.database import Connection, Pool, Row, fetch_all, new_id
from serving.errors import Conflict, NotFound
from serving.jsonb import jsonb, metadata_jsonb
from serving.runs.cancel import cancel
from serving.runs.log import encoded
from serving.runs.notices import CANCEL_CHANNEL, LOG_CHANNEL, QUEUE_CHANNEL, Notices
from serving.runs.requests.launch import Launch
from serving.runs.requests.limits import uuid_of
from serving.runs.shown import STATUSES

_AGAIN_S: Final = 1.0
CancelAction = Literal["interrupt", "rollback"]
Told: TypeAlias = Sequence[tuple[str, str]]  # (run id, channel) of notices
_TEMPORARY_MINUTES: Final = 0.5  # from a stateless run's last change: its readers have had its end by then
_CREATE: LiteralString = """
with made as (
    insert into threads (thread_id, tenant, metadata, ttl_minutes)
    select %(thread_id)s::uuid, %(tenant)s, %(born)s::jsonb || %(named)s::jsonb, %(ttl)s::float8 where %(make)s
    on conflict do nothing
    returning thread_id
), named as (
    update threads set metadata = metadata || %(named)s::jsonb
    where thread_id = %(thread_id)s and tenant = %(tenant)s and metadata @> %(held)s::jsonb
        and not metadata @> %(named)s::jsonb
    returning thread_id
), mine as (
    select thread_id from threads
    where thread_id = %(thread_id)s and tenant = %(tenant)s and metadata @> %(held)s::jsonb
    union select thread_id from made
), run as (
    insert into runs (run_id, thread_id, tenant, request, request_digest, profile, graph, assistant_id, metadata,
        launch, caller, asked, webhook, run_at)
    select %(run_id)s, thread_id, %(tenant)s, %(request)s, %(digest)s, %(profile)s, %(graph)s, %(assistant_id)s,
        %(metadata)s, %(launch)s, %(caller)s::bytea, %(kept)s, %(webhook)s,
        case when %(after)s::float8 > 0 then now() + %(after)s * interval '1 second' end
    from mine, (select count(*) from named) done  -- the thread comes first
    where not exists (
        select from runs parked where parked.thread_id = mine.thread_id and parked.status = 'interrupted')
    returning *
)
select run.*, line.seq from run, append_events(run.run_id, null, %(bodies)s) line
"""
_LIVE: LiteralString = """
select * from runs where thread_id = %s and tenant = %s and status in ('pending', 'running', 'interrupted')
order by run_id for update
"""
_ONE: LiteralString = "select * from runs where run_id = %s and thread_id = %s and tenant = %s"
_ANY: LiteralString = "select * from runs where run_id = %s and tenant = %s"
_LIST: LiteralString = """
select * from runs where thread_id = %(thread)s and tenant = %(tenant)s
    and (%(statuses)s::text[] is null or status = any(%(statuses)s))
order by created_at desc, run_id desc limit %(limit)s offset %(offset)s
"""
_TO_CANCEL: LiteralString = """
select run_id, thread_id from runs
where tenant = %(tenant)s and status = any(%(statuses)s)
    and (%(thread)s::uuid is null or thread_id = %(thread)s) and (%(runs)s::uuid[] is null or run_id = any(%(runs)s))
order by run_id
"""
_FORGET: LiteralString = "select forget_runs(%s, array[%s]::uuid[])"
_RESULT: LiteralString = """
select kind, body::text from run_events where run_id = %s order by seq desc limit 2
"""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """A run to create. With `make_thread`, the thread is made where it isn't there, with `thread_metadata`. `profile`:
    the agent's.

    `kept`: what a client of another vocabulary said beside it. `held`: what the metadata of a thread that is there must
    hold, else it isn't the caller's.
    """

    graph: str
    assistant_id: str
    thread_id: str
    make_thread: bool
    thread_metadata: Mapping[str, Any]
    metadata: Mapping[str, Any]
    launch: Launch
    request: str
    goal: str = ""
    profile: Profile | None = None
    after_seconds: float = 0.0
    run_id: str | None = None
    kept: Mapping[str, Any] | None = None
    held: Held = field(default_factory=dict)


class Launches:
    """One tenant's."""

    def __init__(self, pool: Pool, notices: Notices, callers: Callers, tenant: str = "default") -> None:
        self._pool, self._notices, self._callers, self._tenant = pool, notices, callers, tenant
        self._work = Background()

    def of(self, tenant: str) -> "Launches":
        return Launches(self._pool, self._notices, self._callers, tenant)

    async def create(self, asked: Asked) -> Row:
        """One statement: thread, run row (the queue entry) and event 1. Raises NotFound, Conflict (thread_busy)."""
        async with self._pool.connection() as connection:
            row, told = await self.create_in(connection, asked)
        self.tell(told)
        return row

    async def create_in(self, connection: Connection, asked: Asked) -> tuple[Row, Told]:
        """The same on the caller's connection, and what is to be told when its transaction has committed."""
        values, row, stopped = self._values(asked), None, []
        if asked.launch.multitask_strategy == "enqueue":
            row = await (await connection.execute(_CREATE, values)).fetchone()
        if row is None:
            async with connection.transaction():
                stopped = await self._make_way(connection, asked)
                row = await (await connection.execute(_CREATE, values)).fetchone()
                if row is None:  # and nobody has made way
                    hint = "POST /threads makes one; if_not_exists=create does with the run"
                    raise NotFound(f"thread {asked.thread_id} not found", hint, "thread_not_found")
        return row, [*stopped, (str(row["run_id"]), QUEUE_CHANNEL)]

    async def create_once(self, asked: Asked, run_id: str) -> Row:
        """The run with this id: the one that is there, or a new one."""
        with suppress(NotFound):
            return await self.get(None, run_id)
        try:
            return await self.create(replace(asked, run_id=run_id))
        except UniqueViolation:
            return await self.get(None, run_id)  # made at the same moment
        except DeadlockDetected:  # and claimed: a claim takes the run before its thread
            return await self.create_once(asked, run_id)

    async def get(self, thread: str | None, run: str) -> Row:
        """Raises Unprocessable for what is no id, NotFound."""
        run_id = uuid_of(run, "run")
        if thread is None:
            rows = await fetch_all(self._pool, _ANY, (run_id, self._tenant))
        else:
            rows = await fetch_all(self._pool, _ONE, (run_id, uuid_of(thread, "thread"), self._tenant))
        if not rows:
            raise run_not_found(run_id)
        return rows[0]

    async def of_thread(self, thread: str, status: str | None, limit: int, offset: int) -> list[Row]:
        """Newest first."""
        values = {"thread": uuid_of(thread, "thread"), "tenant": self._tenant, "limit": limit, "offset": offset}
        statuses = list(STATUSES[status]) if status else None
        return await fetch_all(self._pool, _LIST, {**values, "statuses": statuses})

    async def cancel(self, thread: str | None, run: str, action: CancelAction = "interrupt", *, by: str) -> str:
        """Asks a run to stop, or ends one that waits; returns its id. Raises NotFound for one that has ended."""
        run_id = str((await self.get(thread, run))["run_id"])
        if not await self._cancel([run_id], action, by):
            hint = "only a run that waits or is under way can be cancelled"
            raise NotFound(f"run {run_id} has ended already", hint, "run_ended")
        return run_id

    def cancel_soon(self, run_id: str) -> None:
        """Of a reader that went away, and asked for this to follow from it."""
        self._work.start(self._cancel_if_live(run_id))

    async def cancel_many(
        self, thread: str | None, runs: Sequence[str] | None, status: str | None, action: CancelAction, by: str
    ) -> int:
        """By thread, ids or status (pending, running, all). Returns how many. Raises NotFound for none."""
        statuses = ["pending", "running", "interrupted"] if status in (None, "all") else [status]
        values = {
            "tenant": self._tenant,
            "statuses": statuses,
            "thread": uuid_of(thread, "thread") if thread else None,
            "runs": [uuid_of(run, "run") for run in runs] if runs is not None else None,
        }
        found = [str(row["run_id"]) for row in await fetch_all(self._pool, _TO_CANCEL, values)]
        if not found:
            raise NotFound(
                "no such run waits or is under way", "look at thread_id, run_ids and status", "run_not_found"
            )
        return await self._cancel(found, action, by)

    async def delete(self, thread: str | None, run: str) -> None:
        """With its log and checkpoints; one under way is lost to its worker."""
        run_id = str((await self.get(thread, run))["run_id"])
        await fetch_all(self._pool, _FORGET, (self._tenant, run_id))
        self.tell([(run_id, CANCEL_CHANNEL), (run_id, QUEUE_CHANNEL)])

    async def last_lines(self, run_id: str) -> list[Row]:
        """The newest first: how it ended, and what it came to."""
        return await fetch_all(self._pool, _RESULT, (run_id,))

    async def _make_way(self, connection: Connection, asked: Asked) -> list[tuple[str, str]]:
        """What the strategy says of the thread's other runs. One that waits for a person never stays: its question is
        answered with `command.resume`, or given up for the new run."""
        await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (asked.thread_id,))
        live = await (await connection.execute(_LIVE, (asked.thread_id, self._tenant))).fetchall()
        busy = [row for row in live if row["status"] != "interrupted"]
        strategy = asked.launch.multitask_strategy
        if busy and strategy == "reject":
            raise Conflict(
                f"run {busy[0]['run_id']} of this thread waits or is under way",
                "wait for it, or choose another multitask_strategy",
                "thread_busy",
            )
        all_of_them = strategy in ("interrupt", "rollback")
        stops = [str(row["run_id"]) for row in live if row["status"] == "interrupted" or all_of_them]
        done = await cancel(connection, self._tenant, stops, "a newer run", rollback=strategy == "rollback")
        return _told(done)

    async def _cancel_if_live(self, run_id: str) -> None:
        while True:
            try:
                await self.cancel(None, run_id, by="a reader that left")
                return
            except NotFound:
                return
            except PoolClosed:
                log.warning("action=cancel run=%s outcome=it_goes_on: this process ends", run_id)
                return
            except psycopg.Error as error:
                log.warning("action=cancel run=%s error=%s retry_s=%s", run_id, type(error).__name__, _AGAIN_S)
                await asyncio.sleep(_AGAIN_S)

    async def _cancel(self, run_ids: Sequence[str], action: CancelAction, by: str) -> int:
        async with self._pool.connection() as connection:
            done = await cancel(connection, self._tenant, run_ids, by, rollback=action == "rollback")
        self.tell(_told(done))
        return len(done)

    def tell(self, told: Told) -> None:
        for run_id, channel in told:
            self._notices.touched(run_id, channel)
            self._notices.touched(run_id, LOG_CHANNEL)

    def _values(self, asked: Asked) -> dict[str, Any]:
        run_id = asked.run_id or new_id()
        config, caller = self._callers.sealed(asked.launch.config, run_id)
        launch = jsonb({**asked.launch.model_dump(mode="json"), "config": config}, "the run")
        return {
            "run_id": run_id,
            "thread_id": asked.thread_id,
            "tenant": self._tenant,
            "make": asked.make_thread,
            "ttl": _TEMPORARY_MINUTES if asked.launch.temporary else None,
            "born": metadata_jsonb(dict(asked.thread_metadata)),
            "named": jsonb({"graph_id": asked.graph, "assistant_id": asked.assistant_id}, "graph"),
            "request": asked.request,
            "digest": hashlib.sha256(f"{asked.graph} {launch}".encode()).hexdigest(),
            "profile": asked.profile and asked.profile.model_dump_json(),
            "graph": asked.graph,
            "assistant_id": asked.assistant_id,
            "metadata": metadata_jsonb(dict(asked.metadata)),
            "launch": launch,
            "caller": caller,
            "held": jsonb(dict(asked.held), "the filter"),
            "kept": jsonb(dict(asked.kept), "the request") if asked.kept is not None else None,
            "webhook": asked.launch.webhook,
            "after": asked.after_seconds,
            "bodies": encoded([RunCreated(goal=asked.goal, thread_id=asked.thread_id)]),
        }


def _told(cancelled: Mapping[str, bool]) -> list[tuple[str, str]]:
    return [(run_id, CANCEL_CHANNEL if live else QUEUE_CHANNEL) for run_id, live in cancelled.items()]


def run_not_found(run_id: str) -> NotFound:
    return NotFound(f"run {run_id} not found", "GET /threads/{thread_id}/runs lists a thread's", "run_not_found")
