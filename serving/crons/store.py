"""Crons in Postgres: one tenant's."""

from datetime import datetime
from typing import Any, Final, LiteralString

from psycopg.errors import ForeignKeyViolation

from serving.crons.cron import CronChange, NewCron
from serving.crons.schedule import following
from serving.database import Connection, Pool, Row, fetch_all, new_id
from serving.errors import NotFound, Unprocessable
from serving.jsonb import jsonb, metadata_jsonb
from serving.runs.requests.limits import uuid_of
from serving.threads.store import thread_not_found

GRAPH: LiteralString = """(select graph_id from assistants join assistant_versions using (tenant, assistant_id, version)
    where tenant = cron.tenant and assistant_id = cron.assistant_id)"""
FIELDS: Final[dict[str, LiteralString]] = {
    "cron_id": "cron.cron_id",
    "assistant_id": "cron.assistant_id",
    "thread_id": "cron.thread_id",
    "user_id": "cron.payload #>> '{config,configurable,langgraph_auth_user_id}' as user_id",
    "payload": "cron.payload",
    "schedule": "cron.schedule",
    "timezone": "cron.timezone",
    "next_run_date": "cron.next_run_date",
    "end_time": "cron.end_time",
    "metadata": "cron.metadata",
    "on_run_completed": "cron.on_run_completed",
    "enabled": "cron.enabled",
    "created_at": "cron.created_at",
    "updated_at": "cron.updated_at",
    "now": "now() as now",
    "graph": GRAPH + " as graph",  # for `told` alone
}
EVERY: Final = tuple(name for name in FIELDS if name != "now")
_ALL: LiteralString = ", ".join(FIELDS[name] for name in EVERY)
_MINE: LiteralString = " from crons cron where tenant = %s and cron_id = %s"
_ONE: LiteralString = "select " + _ALL + _MINE
_CREATE: LiteralString = """
insert into crons (cron_id, tenant, assistant_id, thread_id, schedule, timezone, end_time, on_run_completed, enabled,
    payload, metadata, next_run_date)
values (%(cron_id)s, %(tenant)s, %(assistant_id)s, %(thread_id)s, %(schedule)s, %(timezone)s, %(end_time)s,
    %(on_run_completed)s, %(enabled)s, %(payload)s, %(metadata)s, %(next)s)
on conflict (cron_id) do nothing
"""
_HOLD: LiteralString = """
select now(), schedule, timezone, end_time, on_run_completed, enabled, metadata, next_run_date, payload
from crons where tenant = %s and cron_id = %s for update
"""
_UPDATE: LiteralString = """
update crons set schedule = %(schedule)s, timezone = %(timezone)s, end_time = %(end_time)s, enabled = %(enabled)s,
    on_run_completed = %(on_run_completed)s, payload = %(payload)s, metadata = %(metadata)s, next_run_date = %(next)s,
    updated_at = now()
where cron_id = %(cron_id)s
"""
_DELETE: LiteralString = "delete from crons where tenant = %s and cron_id = %s"


class CronStore:
    def __init__(self, pool: Pool, tenant: str = "default") -> None:
        self._pool, self._tenant = pool, tenant

    def of(self, tenant: str) -> "CronStore":
        return CronStore(self._pool, tenant)

    async def create(self, new: NewCron, thread: str | None, payload: dict[str, Any], cron_id: str | None) -> Row:
        """`payload`: what its runs are made of. With the id of a cron that is there, that one.

        Raises Unprocessable, NotFound.
        """
        thread_id, id_ = uuid_of(thread, "thread") if thread else None, cron_id or new_id()
        values = {
            **new.model_dump(include={"schedule", "timezone", "end_time"}),
            "cron_id": id_,
            "tenant": self._tenant,
            "assistant_id": payload["assistant_id"],
            "thread_id": thread_id,
            "on_run_completed": None if thread_id else new.on_run_completed or "delete",
            "enabled": new.enabled is not False,
            "payload": _named(payload, id_),
            "metadata": metadata_jsonb(new.metadata or {}),
        }
        async with self._pool.connection() as connection:
            values["next"] = _next(values, await _now(connection))
            try:
                await connection.execute(_CREATE, values)
            except ForeignKeyViolation:
                raise thread_not_found(thread_id or "") from None
        return await self.get(id_)

    async def get(self, cron: str) -> Row:
        """Raises Unprocessable, NotFound."""
        id_ = uuid_of(cron, "cron")
        rows = await self.fetch(_ONE, (self._tenant, id_))
        if not rows:
            raise cron_not_found(id_)
        return rows[0]

    async def update(self, cron: str, change: CronChange, changed: dict[str, Any]) -> Row:
        """`changed`: what its runs are made of otherwise from now on. Who changes something else of it at the same
        moment changes that as well. Raises Unprocessable, NotFound."""
        id_ = uuid_of(cron, "cron")
        async with self._pool.connection() as connection, connection.transaction():
            row = await (await connection.execute(_HOLD, (self._tenant, id_))).fetchone()
            if row is None:
                raise cron_not_found(id_)
            given, payload = change.model_dump(include=set(row), exclude_none=True), {**row["payload"], **changed}
            if "end_time" in change.model_fields_set:
                given["end_time"] = change.end_time
                if change.end_time is None:
                    payload.pop("end_time", None)
            metadata = {**row["metadata"], **(change.metadata or {})}
            values = {**row, **given, "cron_id": id_, "metadata": metadata_jsonb(metadata)}
            values["payload"] = _named({**payload, **({"metadata": metadata} if metadata else {})}, id_)
            values["next"] = _next(values, row["now"]) if change.moves else row["next_run_date"]
            await connection.execute(_UPDATE, values)
        return await self.get(id_)

    async def delete(self, cron: str) -> None:
        """The runs that it has made stay."""
        id_ = uuid_of(cron, "cron")
        async with self._pool.connection() as connection:
            if not (await connection.execute(_DELETE, (self._tenant, id_))).rowcount:
                raise cron_not_found(id_)

    async def fetch(self, query: LiteralString, values: Any) -> list[Row]:
        return await fetch_all(self._pool, query, values)

    @property
    def tenant(self) -> str:
        return self._tenant


def _next(cron: dict[str, Any], now: datetime) -> datetime | None:
    """None when its end comes first. Raises Unprocessable."""
    due, end = following(cron["schedule"], cron["timezone"], now), cron["end_time"]
    if due is None:
        raise Unprocessable("schedule: no such time will come", "look at its day, month and year", "bad_schedule")
    if end and end <= now:
        raise Unprocessable(f"end_time {end:%Y-%m-%d %H:%M} UTC has passed", "send a later one, or enabled: false")
    return due if end is None or due <= end else None


def _named(payload: dict[str, Any], cron_id: str) -> str:
    """Its runs know whose they are."""
    config = payload.get("config") or {}
    configurable = {**(config.get("configurable") or {}), "cron_id": cron_id}
    return jsonb({**payload, "config": {**config, "configurable": configurable}}, "the cron")


async def _now(connection: Connection) -> datetime:
    row = await (await connection.execute("select now()")).fetchone()
    assert row is not None
    now: datetime = row["now"]
    return now


def cron_not_found(id_: str) -> NotFound:
    return NotFound(f"cron {id_} not found", "POST /runs/crons/search lists them", "cron_not_found")
