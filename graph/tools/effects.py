"""Actions that change something: let out once, settled once, and when nobody knows, decided by a person."""

import asyncio
from collections import defaultdict
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Literal

from graph.approval import flat
from graph.faults import point
from graph.ledger import Effect, EffectCall, EffectDecision, Ledger
from graph.ports import ToolResult
from graph.tools.action import Action, Outcome, told
from graph.tools.registry import CanCheck, Output, Problem
from graph.verdict import read_verdict, verdict_payload

_PATIENCE_S = 1.0  # for who just ends around the same call


class Effects:
    """The effects of one run in this process. Raises what the ledger raises, and LangGraph's interrupts."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._in_turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def once(self, action: Action, changed: tuple[str, ...]) -> ToolResult:
        """Its result, recorded or made now. Of the same action twice at a time, the second waits for the first."""
        call = action.effect
        async with self._in_turn[call.key], self._alone(action) as alone:
            while True:
                point("effect.ready")
                effect = await self._ledger.prepare(call)
                point("effect.prepared")
                if effect.state == "unknown":
                    await self._ask(call, effect.reason)
                elif effect.state != "prepared":
                    return _recorded(effect)
                elif result := await self._carried_out(action, alone, effect.fresh, changed):
                    return result

    def _alone(self, action: Action) -> AbstractAsyncContextManager[bool]:
        """Only what may be repeated can be called beside a process that stands still in the same call. A check waits
        for as long as the call that it looks for may take."""
        how = action.tool.reconcile
        if how in ("pure", "honours_key"):
            return nullcontext(True)
        longest = min(action.tool.timeout_s, action.seconds_left) if isinstance(how, CanCheck) else _PATIENCE_S
        return self._ledger.in_flight(action.effect.key, longest)

    async def _carried_out(
        self, action: Action, alone: bool, fresh: bool, changed: tuple[str, ...]
    ) -> ToolResult | None:
        """None when it was left open."""
        outcome = await self._outcome(action, alone, fresh)
        point("effect.done")
        if outcome.state == "open":
            assert isinstance(outcome.answer, Problem)
            await self._ledger.leave_open(action.effect, outcome.answer.message, in_flight=not alone)
            point("effect.left_open")
            return None
        result = told(outcome.answer, changed)
        await self._ledger.settle(action.effect.key, outcome.state, result.model_dump(mode="json"))
        point("effect.recorded")
        return result

    async def _outcome(self, action: Action, alone: bool, fresh: bool) -> Outcome:
        """A row that is not fresh was let out by an attempt that died around the call, or stands still in it."""
        if not alone:
            message = f"the worker that was to run {action.tool.name} stands still, and may still run it"
            return Outcome("open", Problem(code="outcome_unknown", message=message))
        cut = Problem(code="outcome_unknown", message=f"{action.tool.name} was interrupted while it ran")
        outcome = await action.call(self._let_out) if fresh else Outcome("open", cut)
        return await self._reconciled(action, outcome) if outcome.state == "open" else outcome

    def _let_out(self) -> None:
        self._ledger.check_lease()
        point("effect.let_out")

    async def _reconciled(self, action: Action, outcome: Outcome) -> Outcome:
        how = action.tool.reconcile
        if how != "ask_a_person" and action.seconds_left:
            if isinstance(how, CanCheck) and (found := await action.check(how)):
                return found
            outcome = await action.call(self._let_out)
        return Outcome("failed", outcome.answer) if how == "pure" and outcome.state == "open" else outcome

    async def _ask(self, call: EffectCall, reason: str) -> None:
        """Pauses the run. It returns only with what a resume carried, which may be meant for another question."""
        from langgraph.types import interrupt

        answer = interrupt(verdict_payload(**call.model_dump(), reason=reason))
        spoken = read_verdict(answer)
        if spoken and (flat(answer) or {}).get("approval_id") in (None, call.key):
            await self._ledger.hear(call.key, spoken)


def _recorded(effect: Effect) -> ToolResult:
    if effect.state in ("proposed", "approved"):
        message = "a person was asked about this very call and has not allowed it"
        return told(Problem(code="not_approved", message=message, hint="go on without it and say so"))
    return ToolResult.model_validate(effect.result)


def decided(said: EffectDecision) -> tuple[Literal["done", "failed", "approved"], ToolResult | None]:
    """What becomes of an unknown effect, and what the model reads about it."""
    note = {"note": said.note} if said.note else {}
    if said.decision == "happened":
        data = {"confirmed": "a person looked: it happened; the tool's own answer was lost", **note}
        return "done", told(Output(data=data))
    if said.decision == "did_not":
        message = " ".join(filter(None, ("a person looked: it did not happen.", said.note)))
        return "failed", told(Problem(code="did_not_happen", message=message, hint="go on without it and say so"))
    return "approved", None
