"""Threads in Postgres: one tenant's."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from psycopg.errors import ForeignKeyViolation

from serving.auth.filters import EVERYTHING, Held
from serving.database import Pool, Row, fetch_all, new_id
from serving.errors import Conflict, NotFound
from serving.hosting.config import AGENT
from serving.jsonb import jsonb, metadata_jsonb
from serving.runs.requests.limits import uuid_of
from serving.search import PATIENCE_S, in_time
from serving.threads import talks
from serving.threads.thread import NewThread, ThreadChange, Ttl, shown, ttl_of

_EACH: Final = "threads to look into the values of each"
_MEND: Final = "ask for metadata, status or ids as well: these have an index"
LIVE: LiteralString = """exists (select from runs
    where runs.thread_id = thread.thread_id and runs.status in ('pending', 'running'))"""
NOT_THE_AGENTS: Final[LiteralString] = """(thread.metadata ->> 'graph_id' is distinct from %(agent)s and not exists (
    select from runs its where its.thread_id = thread.thread_id and coalesce(its.graph, %(agent)s) = %(agent)s))"""
# What each is read from.
FIELDS: Final[dict[str, LiteralString]] = {
    "thread_id": "thread.thread_id",
    "created_at": "thread.created_at",
    "updated_at": "thread.updated_at",
    "state_updated_at": "thread.state_updated_at",
    "metadata": "thread.metadata",
    "status": "case when " + LIVE + " then 'busy' else thread.status end",
    "config": "thread.config",
    "context": "coalesce(thread.config -> 'configurable', '{}')",
    "values": talks.VALUES,
    "interrupts": talks.INTERRUPTS,
    "error": "thread.error",
    "graph": "case when " + talks.IS_TALK + " then %(agent)s end",  # for `told` alone
}
EVERY: Final = tuple(name for name in FIELDS if name != "context")
_ALL: LiteralString = ", ".join(f"{FIELDS[name]} as {name}" for name in EVERY)
_MINE: LiteralString = "from threads thread where tenant = %(tenant)s and thread_id = %(id)s"
_HAS: LiteralString = "select " + _MINE + " and metadata @> %(held)s::jsonb"
_ONE: LiteralString = "select " + _ALL + ", thread.ttl_minutes, thread.ttl_strategy " + _MINE
_CREATE: LiteralString = """
insert into threads (thread_id, tenant, metadata, ttl_minutes, ttl_strategy)
values (%(id)s, %(tenant)s, %(metadata)s, %(ttl)s, %(strategy)s) on conflict do nothing
"""
_UPDATE: LiteralString = """
update threads set metadata = metadata || coalesce(%(metadata)s::jsonb, '{}'), updated_at = now(),
    ttl_minutes = coalesce(%(ttl)s, ttl_minutes),
    ttl_strategy = case when %(ttl)s::float8 is null then ttl_strategy else %(strategy)s end
where tenant = %(tenant)s and thread_id = %(id)s
"""
_DELETE: LiteralString = "select count(*) as gone from delete_threads(%(tenant)s, %(ids)s::uuid[])"
# What the agent asks is asked by its run, and that stays where it is. Without a run, the copy says itself whose it is.
_COPY: LiteralString = (
    """
insert into threads (thread_id, tenant, metadata, config, status, values, interrupts, error, bundle, brought)
select %(copy)s, tenant, case when is_talk then metadata || jsonb_build_object('graph_id', %(agent)s::text)
        else metadata end,
    config, case when is_talk and status = 'interrupted' then 'idle' else status end,
    case when is_talk and exists (select from runs where runs.thread_id = thread.thread_id) then null else values end,
    interrupts, error, bundle, case when is_talk then shown -> 'messages' end
from threads thread cross join lateral (select """
    + talks.IS_TALK
    + " as is_talk, "
    + talks.VALUES
    + """ as shown) told
where tenant = %(tenant)s and thread_id = %(id)s
on conflict do nothing
"""
)


class ThreadStore:
    """`ttl` is that of threads which are given none; `patience_s`: for what has to look into every thread."""

    def __init__(
        self, pool: Pool, tenant: str = "default", ttl: Ttl | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._pool, self._tenant, self._ttl, self._patience_s = pool, tenant, ttl, patience_s

    def of(self, tenant: str) -> "ThreadStore":
        return ThreadStore(self._pool, tenant, self._ttl, self._patience_s)

    async def create(self, new: NewThread, held: Held = EVERYTHING) -> tuple[dict[str, Any], bool]:
        """Returns (thread, whether it is new). `held`: by the metadata of one that is there, else its id is taken.

        Raises Unprocessable, Conflict for an id that is taken.
        """
        id_ = uuid_of(new.thread_id, "thread") if new.thread_id else new_id()
        values = {"metadata": metadata_jsonb(new.metadata or {}), **_lived(new.ttl or self._ttl)}
        made = await self._changed(_CREATE, id_, values)
        if not made and (new.if_exists == "raise" or not await self.has(id_, held)):
            raise Conflict(
                f"thread {id_} exists already", "leave thread_id out, or send if_exists=do_nothing", "thread_exists"
            )
        return await self.get(id_), made

    async def get(self, thread: str, *, ttl: bool = False) -> dict[str, Any]:
        """Raises Unprocessable, NotFound."""
        id_ = uuid_of(thread, "thread")
        rows = await self.fetch(_ONE, {"id": id_})
        if not rows:
            raise thread_not_found(id_)
        view = {name: rows[0][name] for name in EVERY}
        return shown({**view, "ttl": ttl_of(rows[0])} if ttl else view)

    async def update(self, thread: str, change: ThreadChange) -> str:
        """Returns the thread's id."""
        id_ = uuid_of(thread, "thread")
        metadata = metadata_jsonb(change.metadata) if change.metadata else None
        if not await self._changed(_UPDATE, id_, {"metadata": metadata, **_lived(change.ttl)}):
            raise thread_not_found(id_)
        return id_

    async def delete(self, thread: str) -> None:
        """With its runs, their logs and its checkpoints; a run of it that is under way is lost to its worker."""
        id_ = uuid_of(thread, "thread")
        if not await self.delete_all([id_]):
            raise thread_not_found(id_)

    async def delete_all(self, threads: Sequence[str]) -> int:
        """Returns how many of them were there. Raises Conflict when a fork elsewhere goes on from a run of theirs."""
        try:
            (row,) = await self.fetch(_DELETE, {"ids": list(threads)})
        except ForeignKeyViolation:
            raise Conflict(
                "a run of another thread was forked from a run of this one", "delete that thread first", "thread_forked"
            ) from None
        gone: int = row["gone"]
        return gone

    async def copy_row(self, thread: str, copy: str) -> None:
        """The row alone, as thread `copy`, if that isn't there."""
        if not await self._changed(_COPY, thread, {"copy": copy}) and not await self.has(copy):
            raise thread_not_found(thread)

    async def fetch(self, query: LiteralString, values: dict[str, Any], *, prepare: bool | None = None) -> list[Row]:
        return await fetch_all(self._pool, query, self._given(values), prepare=prepare)

    async def fetch_in_time(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        """Raises Unprocessable when it takes too long."""
        async with self._pool.connection() as connection, in_time(connection, self._patience_s, _EACH, _MEND):
            return await (await connection.execute(query, self._given(values), prepare=False)).fetchall()

    def _given(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "tenant": self._tenant, "agent": AGENT}

    async def has(self, id_: str, held: Held = EVERYTHING) -> bool:
        return bool(await self.fetch(_HAS, {"id": id_, "held": jsonb(dict(held), "the filter")}))

    async def _changed(self, query: LiteralString, id_: str, values: dict[str, Any]) -> bool:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query, self._given({**values, "id": id_}))
            return bool(cursor.rowcount)


def _lived(ttl: Ttl | None) -> dict[str, Any]:
    return {"ttl": ttl and ttl.ttl, "strategy": ttl.strategy if ttl else "delete"}


def thread_not_found(id_: str) -> NotFound:
    return NotFound(
        f"thread {id_} not found", "POST /threads makes one, POST /threads/search lists them", "thread_not_found"
    )
