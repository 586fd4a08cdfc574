"""Runs are asked to stop: those that wait end at once, with their last line, in the same statement."""

from collections.abc import Sequence
from typing import LiteralString

from graph.events import CancelRequested, RunFinished
from serving.database import Connection
from serving.runs.log import encoded

_CANCEL: LiteralString = """
with asked as materialized (
    select run_id, status = 'running' as live from runs
    where run_id = any(%(runs)s::uuid[]) and tenant = %(tenant)s and status in ('pending', 'running', 'interrupted')
    order by run_id for update
), run as (
    update runs set cancel_requested = true, rollback = rollback or %(rollback)s,
        status = case when live then status else 'cancelled' end,
        finished_at = case when live then finished_at else now() end, caller = case when live then caller end
    from asked where runs.run_id = asked.run_id and (live or not %(rollback)s)
    returning runs.run_id, live
), line as (
    select line.seq from run, append_events(run.run_id, null, case when live then %(asked)s::json
        else ending_lines(run.run_id, %(ended)s::json) end) line
), forgotten as (
    select from forget_runs(%(tenant)s, array(select run_id from asked where not live)) where %(rollback)s
)
select run_id::text, live, (select count(*) from line), (select count(*) from forgotten) from asked
"""


async def cancel(
    connection: Connection, tenant: str, run_ids: Sequence[str], by: str, *, rollback: bool = False
) -> dict[str, bool]:
    """Those of the runs that hadn't ended, by id: whether a worker has still to end it. With `rollback` they are
    forgotten, not ended."""
    asked = CancelRequested(by=by)
    ended = RunFinished(status="cancelled", code="cancelled", message=f"by {by}")
    values = {
        "runs": list(run_ids),
        "tenant": tenant,
        "rollback": rollback,
        "asked": encoded([asked]),
        "ended": encoded([asked, ended]),
    }
    rows = await (await connection.execute(_CANCEL, values)).fetchall()
    return {row["run_id"]: row["live"] for row in rows}
