"""The run service: what every surface calls. It writes rows and log lines; it never runs anything."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString

import orjson
from psycopg.errors import ForeignKeyViolation

from graph.events import EventBody, RunCreated
from graph.faults import point
from serving.database import Connection, Pool, Row, fetch_all, fetch_one, new_id
from serving.errors import Conflict, Gone, NotFound
from serving.idempotency import another_request, check_key
from serving.profiles.store import ProfileStore
from serving.runs.audit import Audit, audit
from serving.runs.history import History, read_history
from serving.runs.log import AND_LINES, encoded
from serving.runs.notices import LOG_CHANNEL, QUEUE_CHANNEL, Notices
from serving.runs.requests.limits import parse_id
from serving.runs.requests.request import RunRequest
from serving.runs.view import RunView, view_of

_CREATE: LiteralString = """
with thread as (
    insert into threads (thread_id, tenant) values (%(thread_id)s, %(tenant)s) on conflict do nothing
    returning thread_id
), run as (
    insert into runs (run_id, thread_id, tenant, request, request_digest, idempotency_key, profile, asked, priority,
        webhook, run_at)
    select %(run_id)s, %(thread_id)s, %(tenant)s, %(request)s, %(digest)s, %(key)s, %(profile)s, %(asked)s,
        %(priority)s, %(webhook)s,
        case when %(after)s::float8 > 0 then now() + %(after)s * interval '1 second' end
    from (select count(*) from thread) kept  -- the thread comes first
    on conflict (tenant, idempotency_key) do nothing
    returning run_id
)
select line.seq from run, append_events(run.run_id, null, %(bodies)s) line
"""
# A decision doesn't take back a pause. A run that was to start later, and has not begun, keeps its time.
_QUEUE_AGAIN: LiteralString = """
with run as (
    update runs set status = 'pending', attempts = 0, cancel_requested = false, finished_at = null, exported = false,
        paused_by = case when not %(unpause)s then paused_by end, request = coalesce(%(request)s::jsonb, request),
        run_at = case when started_at is null and forked_from is null then nullif(greatest(
            created_at + (request ->> 'after_seconds')::float8 * interval '1 second', now()), now()) end
    where run_id = %(run_id)s returning run_id
)
"""
_MINE: LiteralString = """
select runs.*, array(select name from artifacts where artifacts.run_id = runs.run_id order by name) as artifacts
from runs where run_id = %s and tenant = %s"""


class RunStore:
    def __init__(self, pool: Pool, notices: Notices, tenant: str = "default") -> None:
        self._pool, self._notices, self._tenant = pool, notices, tenant

    @property
    def tenant(self) -> str:
        return self._tenant

    def of(self, tenant: str) -> "RunStore":
        return RunStore(self._pool, self._notices, tenant)

    async def create(
        self, request: RunRequest, key: str | None = None, asked: Mapping[str, Any] | None = None
    ) -> tuple[RunView, bool]:
        """`accept`, and the run as it stands then."""
        run_id, new = await self.accept(request, key, asked)
        return await self.get(run_id), new

    async def accept(
        self, request: RunRequest, key: str | None = None, asked: Mapping[str, Any] | None = None
    ) -> tuple[str, bool]:
        """One statement: thread, run row (the queue entry) and event 1. Returns (run id, whether it is new).

        The same key with the same request gives the same run; with another request it raises Conflict. `asked` is what
        a client of another vocabulary said beside it, kept as it is.
        """
        if earlier := await self.earlier(key, request.digest()):
            return earlier, False
        point("accept.received")
        run_id = new_id()
        thread_id = parse_id(request.thread_id, "thread") if request.thread_id else new_id()
        profile = await self._check_references(thread_id, request)
        values = {
            "run_id": run_id,
            "thread_id": thread_id,
            "tenant": self._tenant,
            "request": request.model_dump_json(),
            "digest": request.digest(),
            "key": key,
            "priority": request.priority,
            "after": request.after_seconds,
            "webhook": request.webhook,
            "profile": orjson.dumps(profile).decode(),
            "asked": orjson.dumps(asked).decode() if asked is not None else None,
            "bodies": encoded([RunCreated(goal=request.goal, thread_id=thread_id)]),
        }
        try:
            new = await fetch_one(self._pool, _CREATE, values)
        except ForeignKeyViolation:
            # Another tenant made this thread at the same moment: it is refused now.
            return await self.accept(request, key, asked)
        point("accept.committed")
        if new is None:
            # The same key was used at the same moment: its run stands now.
            return await self.accept(request, key, asked)
        self._notices.touched(run_id, QUEUE_CHANNEL)
        point("accept.noticed")
        return run_id, True

    async def get(self, run_id: str) -> RunView:
        row = await self.row(run_id)
        return view_of(row, await read_history(self._pool, str(row["run_id"]), row["last_seq"]))

    async def history(self, run_id: str) -> History:
        return await read_history(self._pool, str((await self.row(run_id))["run_id"]))

    async def audit(self, run_id: str, kept: str = "") -> Audit:
        """Whether the log is what was written, and holds the head that the caller has kept."""
        row = await self.row(run_id)
        refuse_pruned(run_id, row["pruned_at"])
        return await audit(self._pool, str(row["run_id"]), kept)

    async def latest(self, limit: int = 20) -> list[Row]:
        query: LiteralString = """
            select run_id, thread_id, status, request ->> 'goal' as goal, created_at, finished_at
            from runs where tenant = %s order by run_id desc limit %s"""
        return await fetch_all(self._pool, query, (self._tenant, limit))

    async def woken(self, run_id: str) -> RunView:
        self._notices.touched(run_id, QUEUE_CHANNEL)
        self._notices.touched(run_id, LOG_CHANNEL)
        return await self.get(run_id)

    async def earlier(self, key: str | None, digest: str) -> str | None:
        """Which run this Idempotency-Key made. Raises BadRequest, and Conflict when it was for another request."""
        if key is None:
            return None
        check_key(key)
        query: LiteralString = "select run_id, request_digest from runs where tenant = %s and idempotency_key = %s"
        row = await fetch_one(self._pool, query, (self._tenant, key))
        if row is None:
            return None
        if row["request_digest"] != digest:
            raise another_request("run")
        return str(row["run_id"])

    async def _check_references(self, thread_id: str, request: RunRequest) -> dict[str, Any]:
        """One look at what a request names: the thread must be free and ours, collection and channel must be there.

        Returns the channel's profile.
        """
        collection = request.collection
        query: LiteralString = """
            select thread.tenant, (select run_id from runs where thread_id = asked.thread_id and status = 'interrupted'
                limit 1) as parked,
                exists (select from collections where tenant = %(tenant)s and name = %(collection)s) as known,
                (select to_jsonb(profile) - 'tenant' - 'channel' from profiles profile
                    where profile.tenant in (%(tenant)s, '*') and channel = %(channel)s
                    order by profile.tenant = '*' limit 1) as profile
            from (select %(thread_id)s::uuid as thread_id) asked left join threads thread using (thread_id)"""
        values = {"thread_id": thread_id, "tenant": self._tenant, "collection": collection}
        values["channel"] = request.channel
        row = await fetch_one(self._pool, query, values)
        assert row is not None
        made = request.thread_id is None or request.if_not_exists == "create"
        if row["tenant"] != self._tenant and not (made and row["tenant"] is None):
            hint = "leave it out to begin a conversation; trireme status RUN shows a run's"
            raise NotFound(f"no thread {thread_id}", hint, "thread_not_found")
        if row["parked"]:
            raise Conflict(
                f"run {row['parked']} of this thread waits for a person",
                "decide, resume or cancel it first",
                "thread_waiting",
            )
        if collection and not row["known"]:
            hint = f"send documents to /collections/{collection}/documents first, or leave collection out"
            raise NotFound(f"no collection {collection}", hint, "collection_not_found")
        if row["profile"] is None:
            await ProfileStore(self._pool, self._tenant).get(request.channel)
        profile: dict[str, Any] = row["profile"]
        return profile

    async def row(self, run_id: str) -> Row:
        """The run as it stands, without its log."""
        row = await fetch_one(self._pool, _MINE, (parse_id(run_id, "run"), self._tenant))
        return self._found(row, run_id)

    async def locked(self, connection: Connection, run_id: str) -> Row:
        query = _MINE + " for update"
        row = await (await connection.execute(query, (parse_id(run_id, "run"), self._tenant))).fetchone()
        return self._found(row, run_id)

    def _found(self, row: Row | None, run_id: str) -> Row:
        if row is None:
            raise NotFound(f"no run {run_id}", "trireme status lists the latest runs", "run_not_found")
        return row


async def queue_again(
    connection: Connection, run_id: str, *bodies: EventBody, unpause: bool = False, request: RunRequest | None = None
) -> None:
    """Inside the caller's transaction, which holds the run's row: one statement. `request`: in the place of its own."""
    changed = {"unpause": unpause, "request": request and request.model_dump_json()}
    await connection.execute(_QUEUE_AGAIN + AND_LINES, {"run_id": run_id, "bodies": encoded(bodies), **changed})


def refuse_pruned(run_id: str, pruned_at: datetime | None) -> None:
    """Raises Gone for a run whose log is no more."""
    if pruned_at:
        raise Gone(f"run {run_id} was pruned on {pruned_at:%Y-%m-%d} by retention", "its status is all that is left")
