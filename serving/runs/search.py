"""Finding runs of one tenant, by thread, assistant, status and metadata; those of goals among them."""

from typing import Any, Final, Literal, LiteralString

from serving.database import Pool, Row
from serving.jsonb import jsonb
from serving.runs.requests.limits import uuid_of
from serving.runs.shown import STATUSES
from serving.search import PATIENCE_S, Paged, in_time

_MEND: Final = "ask for thread_id as well: that has an index"
RunStatus = Literal["pending", "error", "success", "timeout", "interrupted"]
_SEARCH: LiteralString = """
select * from runs where tenant = %(tenant)s
    and (%(thread)s::uuid is null or thread_id = %(thread)s)
    and (%(assistant)s::uuid is null or assistant_id = %(assistant)s or (%(goals)s and assistant_id is null))
    and (%(statuses)s::text[] is null or status = any(%(statuses)s))
    and (%(metadata)s::jsonb is null or metadata @> %(metadata)s::jsonb)
order by run_id desc limit %(limit)s offset %(offset)s
"""


class RunSearch(Paged):
    """A run that is under way counts as pending."""

    metadata: dict[str, Any] | None = None
    status: RunStatus | None = None
    thread_id: str | None = None


async def search(
    pool: Pool,
    tenant: str,
    wanted: RunSearch,
    assistant_id: str | None,
    *,
    goals: bool,
    patience_s: float = PATIENCE_S,
) -> list[Row]:
    """Newest first. `goals`: also runs that were asked for by a goal alone, which have no assistant.

    Raises Unprocessable for what is no id, and where it takes too long: an index would cost every step of every run.
    """
    statuses = STATUSES[wanted.status] if wanted.status else None
    if wanted.status == "pending":
        statuses = ("pending", "running")
    values = {
        "tenant": tenant,
        "thread": uuid_of(wanted.thread_id, "thread") if wanted.thread_id else None,
        "assistant": assistant_id,
        "goals": goals,
        "statuses": list(statuses) if statuses else None,
        "metadata": jsonb(wanted.metadata, "metadata") if wanted.metadata else None,
        "limit": wanted.limit,
        "offset": wanted.offset,
    }
    async with pool.connection() as connection, in_time(connection, patience_s, "runs to look at each", _MEND):
        # Which index is right depends on what is asked for: no plan is right for all.
        return await (await connection.execute(_SEARCH, values, prepare=False)).fetchall()
