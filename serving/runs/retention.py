"""How long what ended runs leave behind is kept: a tenant's days for logs, checkpoints and files, and for the
Idempotency-Keys of what was made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import LiteralString

from serving.database import Connection

EVERYONE = "*"
KINDS = ("events", "checkpoints", "artifacts", "keys")

_ALL: LiteralString = """
select tenant, events_days as events, checkpoints_days as checkpoints, artifacts_days as artifacts,
    keys_days as keys
from retention order by tenant
"""
# What a change doesn't name stays as it was for the tenant: by its own row, else by everyone's.
_SET: LiteralString = """
with old as (
    select * from retention where tenant in (%(tenant)s, '*') order by tenant = '*' limit 1
)
insert into retention (tenant, events_days, checkpoints_days, artifacts_days, keys_days)
select %(tenant)s,
    case when 'events' = any(%(named)s) then %(events)s::int else old.events_days end,
    case when 'checkpoints' = any(%(named)s) then %(checkpoints)s::int else old.checkpoints_days end,
    case when 'artifacts' = any(%(named)s) then %(artifacts)s::int else old.artifacts_days end,
    case when 'keys' = any(%(named)s) then %(keys)s::int else old.keys_days end
from old
on conflict (tenant) do update set events_days = excluded.events_days,
    checkpoints_days = excluded.checkpoints_days, artifacts_days = excluded.artifacts_days,
    keys_days = excluded.keys_days
"""


@dataclass(frozen=True, slots=True)
class RetentionTerms:
    """Days after a run's end, of `keys` after their first use; None: for ever. Of `EVERYONE`: of the tenants that have
    no terms of their own."""

    tenant: str
    events: int | None
    checkpoints: int | None
    artifacts: int | None
    keys: int | None


async def terms(connection: Connection) -> list[RetentionTerms]:
    return [RetentionTerms(**row) for row in await (await connection.execute(_ALL)).fetchall()]


async def set_terms(connection: Connection, tenant: str, days: Mapping[str, int | None]) -> None:
    """`days` by kind; kinds that aren't named stay as they are."""
    values = {**asdict(RetentionTerms(tenant, None, None, None, None)), **days, "named": list(days)}
    await connection.execute(_SET, values)
