"""What a person does to a run under way: pause it, edit its plan, resume it, cancel it.

Each takes the run's row, so of a thousand who say the same at once one is heard; status and log line are one commit.
"""

from collections.abc import Mapping
from typing import LiteralString

from graph.events import (
    BoundsChanged,
    EventBody,
    PauseRequested,
    PlanEdited,
    RunPaused,
    RunResumed,
)
from graph.faults import point
from graph.state import Plan
from serving.database import Connection, Pool, Row
from serving.errors import BadRequest, Conflict
from serving.hosting.config import is_hosted
from serving.runs.cancel import cancel
from serving.runs.decisions import approvals
from serving.runs.decisions.plan_edit import changes_plan
from serving.runs.log import AND_LINES, append_unfenced, encoded
from serving.runs.notices import CANCEL_CHANNEL, LOG_CHANNEL, PAUSE_CHANNEL, Notices
from serving.runs.requests.limits import parse_id
from serving.runs.requests.request import RunRequest, with_bounds
from serving.runs.store import RunStore, queue_again, refuse_pruned
from serving.runs.view import TERMINAL, RunView, is_paused

_PARK: LiteralString = """
with run as (
    update runs set status = 'interrupted', run_at = null, paused_by = %(by)s where run_id = %(run_id)s returning run_id
)
"""
_ASK: LiteralString = """
with run as (update runs set paused_by = %(by)s where run_id = %(run_id)s returning run_id)
"""
_LATER: LiteralString = """
select run_id from runs later where thread_id = %(thread_id)s and started_at > %(started_at)s
    and (finished_at is null
        or exists (select from state_checkpoints where state_checkpoints.run_id = later.run_id::text))
limit 1
"""
_BOUND: LiteralString = """
select min(seq) as seq from run_events where run_id = %s and kind = 'bound_reached'
"""


class RunControls:
    def __init__(self, pool: Pool, notices: Notices, runs: RunStore) -> None:
        self._pool, self._notices, self._runs = pool, notices, runs

    def of(self, runs: RunStore) -> "RunControls":
        """Those of another tenant's runs."""
        return RunControls(self._pool, self._notices, runs)

    async def cancel(self, run_id: str, by: str) -> RunView:
        """A waiting run ends at once; a running one is asked to stop and ends within a second."""
        run_id = parse_id(run_id, "run")
        point("cancel.ready")
        async with self._pool.connection() as connection:
            done = await cancel(connection, self._runs.tenant, [run_id], by)
        if not done:
            _refuse_ended(await self._runs.row(run_id))
            return await self.cancel(run_id, by)  # it had ended, and was resumed since
        point("cancel.committed")
        return await self._told(run_id, CANCEL_CHANNEL)

    async def pause(self, run_id: str, by: str) -> RunView:
        """A pending run stands still at once, a running one at the end of its superstep.

        Raises Conflict: run_ended, already_paused (or asked to), waits_for_decision.
        """
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._runs.locked(connection, run_id)
            _refuse_ended(row)
            if row["status"] == "interrupted" and not is_paused(row):
                hint = f"decide, or cancel it: trireme cancel {run_id}"
                raise Conflict(f"run {run_id} waits for a decision and does nothing", hint, "waits_for_decision")
            if row["paused_by"] is not None:
                state = "is paused" if is_paused(row) else "is asked to pause"
                raise Conflict(f"run {run_id} {state} already", f"trireme resume {run_id} goes on", "already_paused")
            point("pause.locked")
            running = row["status"] == "running"
            line = PauseRequested(by=by) if running else RunPaused(by=by)
            values = {"run_id": run_id, "by": by, "bodies": encoded([line])}
            await connection.execute((_ASK if running else _PARK) + AND_LINES, values)
        point("pause.committed")
        return await self._told(run_id, PAUSE_CHANNEL)

    async def resume(self, run_id: str, by: str, bounds: Mapping[str, float] | None = None) -> RunView:
        """Queues a run that is paused, failed or was cancelled again; it goes on from its last checkpoint.

        `bounds` replace those of the run that they name: what it has used counts on. Raises Conflict, BadRequest.
        """
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._runs.locked(connection, run_id)
            refuse_pruned(run_id, row["pruned_at"])
            if not is_paused(row) and row["status"] not in ("error", "timeout", "cancelled"):
                raise await _not_resumable(connection, row)
            await _refuse_overtaken(connection, row)
            point("resume.locked")
            lines: list[EventBody] = []
            request = RunRequest.model_validate(row["request"]) if bounds else None
            if bounds and request:
                request = with_bounds(request, bounds)
                lines.append(BoundsChanged(bounds={name: getattr(request.bounds, name) for name in bounds}, by=by))
            await queue_again(connection, run_id, *lines, RunResumed(by=by), unpause=True, request=request)
        point("resume.committed")
        return await self._runs.woken(run_id)

    async def edit_plan(self, run_id: str, plan: Plan, last_seq: int, by: str) -> RunView:
        """Another plan for a paused run: whoever takes the run up goes on with it. The same plan again changes nothing.

        `last_seq` is that of the run when the person saw its plan. Raises Conflict, BadRequest (see `changes_plan`).
        """
        seen = await self._runs.history(run_id)
        if last_seq > seen.own[-1].seq:
            hint = "send the last_seq that it had when you read its plan"
            raise BadRequest(f"the log of run {run_id} ends at line {seen.own[-1].seq}", hint, "bad_last_seq")
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._runs.locked(connection, run_id)
            await _refuse_unless_editable(connection, row)
            if row["last_seq"] != seen.own[-1].seq:
                raise Conflict(f"run {run_id} was changed just now", "look at its plan again", "plan_changed")
            point("plan_edit.locked")
            if changes_plan(run_id, seen, plan, last_seq):
                await append_unfenced(connection, run_id, PlanEdited(plan=plan, by=by))
        point("plan_edit.committed")
        return await self._told(run_id, LOG_CHANNEL)

    async def _told(self, run_id: str, channel: str) -> RunView:
        self._notices.touched(run_id, channel)
        self._notices.touched(run_id, LOG_CHANNEL)
        return await self._runs.get(run_id)


def _refuse_ended(row: Row) -> None:
    if row["status"] in TERMINAL:
        hint = f"trireme status {row['run_id']} says how"
        raise Conflict(f"run {row['run_id']} has ended already: {row['status']}", hint, "run_ended")


async def _not_resumable(connection: Connection, row: Row) -> Conflict:
    run_id, status = row["run_id"], row["status"]
    if status == "interrupted":
        return Conflict(f"run {run_id} waits for a decision", f"trireme status {run_id} says which", "needs_decision")
    if status == "running" and row["paused_by"] is not None:
        return Conflict(f"run {run_id} is about to pause", "resume it when it has", "not_resumable")
    hint = ""
    if status == "success":
        bound = await (await connection.execute(_BOUND, (run_id,))).fetchone()
        at = f"--at {bound['seq']}" if bound and bound["seq"] else "--list"
        hint = f"go on from an earlier line in a new run: trireme fork {run_id} {at}"
    return Conflict(f"run {run_id} is {status}: there is nothing to resume", hint, "not_resumable")


async def _refuse_overtaken(connection: Connection, row: Row) -> None:
    """The agent goes on from its log. Another graph would begin anew in the state of the thread's later run."""
    if not is_hosted(row["graph"]):
        return
    if later := await (await connection.execute(_LATER, row)).fetchone():
        hint = "start a run on its thread with a checkpoint_id of this one's, as the LangGraph SDK does"
        raise Conflict(f"run {later['run_id']} has gone on with the thread of run {row['run_id']}", hint, "overtaken")


async def _refuse_unless_editable(connection: Connection, row: Row) -> None:
    run_id, status = row["run_id"], row["status"]
    if status in TERMINAL:
        hint = f"fork it from an earlier line: trireme fork {run_id} --list"
        raise Conflict(f"run {run_id} has ended already: {status}", hint, "run_ended")
    if await approvals.open_plan(connection, run_id):
        hint = f"send the edit as the decision: trireme plan {run_id} --edit"
        raise Conflict(f"the plan of run {run_id} waits for a decision", hint, "needs_decision")
    if not is_paused(row):
        raise Conflict(f"run {run_id} is {status}, not paused", f"trireme pause {run_id}", "not_paused")
