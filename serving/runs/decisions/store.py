"""What a person says to a run that waits for it: whether a call, or a plan, may be, and what became of an effect.

A decision is one transaction: it is taken once, and the run goes on with it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString

from graph.events import ApprovalDecided, EffectDecided, EventBody, RunResumed
from graph.faults import point
from graph.ledger import EffectDecision, EffectState
from graph.ports import ApprovalDecision
from serving.database import Connection, Pool, Row
from serving.errors import Conflict
from serving.runs.attempts.in_flight import require_ended
from serving.runs.decisions import approvals, effects
from serving.runs.decisions.effects import EffectPage, EffectView
from serving.runs.decisions.reveals import show
from serving.runs.log import AND_LINES, append_unfenced, encoded
from serving.runs.requests.limits import parse_id
from serving.runs.store import RunStore, queue_again
from serving.runs.view import TERMINAL, RunView, is_paused

_WOKEN: LiteralString = """
with run as (update runs set woken = true where run_id = %(run_id)s returning run_id)
"""


class Decisions:
    def __init__(self, pool: Pool, runs: RunStore) -> None:
        self._pool, self._runs = pool, runs

    def of(self, runs: RunStore) -> "Decisions":
        """Those about another tenant's runs."""
        return Decisions(self._pool, runs)

    async def decide(
        self, run_id: str, approval_id: str, decision: ApprovalDecision, shown: Iterable[Mapping[str, Any]] = ()
    ) -> RunView:
        """Takes a person's decision once, in one transaction with the run's return to the queue and what is `shown`."""
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._waiting(connection, run_id)
            point("decide.locked")
            await show(connection, shown)
            await approvals.decide(connection, run_id, approval_id, decision)
            line = ApprovalDecided(
                approval_id=approval_id, decision=decision.type, by=decision.by, reason=decision.reason
            )
            await self._go_on(connection, row, line, decision.by)
        point("decide.committed")
        return await self._runs.woken(run_id)

    async def decide_effect(
        self, run_id: str, key: str, decision: EffectDecision, shown: Iterable[Mapping[str, Any]] = ()
    ) -> RunView:
        """Takes what a person says about an unknown effect, once; of an ended run for the record alone."""
        await self._require_ended(run_id, key, decision)
        async with self._pool.connection() as connection, connection.transaction():
            row = await self._runs.locked(connection, run_id)
            if row["status"] in TERMINAL and decision.decision == "retry":
                raise _nothing_to_retry(f"run {run_id} has ended", "; trireme resume takes the run up again")
            point("effect_decide.locked")
            await show(connection, shown)
            await effects.decide(connection, run_id, key, decision)
            line = EffectDecided(key=key, decision=decision.decision, by=decision.by, note=decision.note)
            await self._go_on(connection, row, line, decision.by)
        point("effect_decide.committed")
        return await self._runs.woken(run_id)

    async def decide_left_effect(self, run_id: str, key: str, decision: EffectDecision) -> EffectView | None:
        """The same of a run that was deleted: what is said stands in the effect's row. None: no such effect."""
        await self._require_ended(run_id, key, decision)
        async with self._pool.connection() as connection, connection.transaction():
            if not await effects.is_left(connection, self._runs.tenant, run_id, key):
                return None
            if decision.decision == "retry":
                raise _nothing_to_retry(f"run {run_id} was deleted")
            await effects.decide(connection, run_id, key, decision)
        found = await self.effects(run_id, None, 1, f"{run_id}.{key}0")  # the page that begins with it
        return found.effects[0]

    async def _require_ended(self, run_id: str, key: str, decision: EffectDecision) -> None:
        if decision.decision != "happened":
            await require_ended(self._pool, self._runs.tenant, parse_id(run_id, "run"), key)

    async def effects(self, run_id: str | None, state: EffectState | None, limit: int, after: str) -> EffectPage:
        """A page of one run's effects, or of all runs'. Raises NotFound, BadRequest."""
        if run_id is not None:
            run_id = parse_id(run_id, "run")
        found = await effects.page(self._pool, self._runs.tenant, run_id, state, limit, after)
        if run_id is not None and not found.effects:
            await self._runs.row(run_id)
        return found

    async def _waiting(self, connection: Connection, run_id: str) -> Row:
        row = await self._runs.locked(connection, run_id)
        if row["status"] in TERMINAL:
            hint = f"trireme status {run_id} says how it ended"
            raise Conflict(f"run {run_id} waits for no decision: it is {row['status']}", hint, "no_decision_pending")
        return row

    async def _go_on(self, connection: Connection, row: Row, line: EventBody, by: str) -> None:
        run_id = str(row["run_id"])
        if is_paused(row) or row["status"] in TERMINAL:
            await append_unfenced(connection, run_id, line)  # it is read when the run is resumed
        elif row["status"] == "interrupted":
            await queue_again(connection, run_id, line, RunResumed(by=by))
        else:
            # Another decision has set the run going: it reads this one when it gets there, or when it parks.
            await connection.execute(_WOKEN + AND_LINES, {"run_id": run_id, "bodies": encoded([line])})

    async def open_approval(self, run_id: str) -> str:
        """The id of the one question that waits. Raises Conflict when there is none, or more than one."""
        run = await self._runs.get(run_id)
        waiting = run.approvals
        if not waiting:
            hint = f"it waits for word on an effect: trireme effects {run_id}" if run.effects else ""
            raise Conflict(f"run {run_id} waits for no approval", hint, "no_decision_pending")
        if len(waiting) > 1:
            ids = ", ".join(approval.approval_id for approval in waiting)
            raise Conflict(f"run {run_id} waits for {len(waiting)} decisions", f"name one: {ids}", "which_approval")
        return waiting[0].approval_id


def _nothing_to_retry(why: str, more: str = "") -> Conflict:
    hint = f"say happened or did-not{more}"
    return Conflict(f"{why}: nothing would carry the effect out", hint, "no_decision_pending")
