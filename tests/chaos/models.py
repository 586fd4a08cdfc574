"""What the model says in chaos: written down in the goal, the same at every attempt; and how long it thinks.

A goal reads `chaos KIND SEED`. Any other goal is the offline model's.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

from graph.errors import ModelUnavailable
from graph.ports import AnswerTask, ModelCall, ModelReply, Models, OnPiece, PlanTask, ReviewTask, StepTask
from tests.chaos.counter import Wire
from tests.integration.scripted_models import spoken, structured, tool_call, tool_results, which, written

_SLOWEST_S = 0.06

PLANS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    # step -> (the tool it calls, the steps it builds on)
    "fan": {"s1": ("stamp_honours", ""), "s2": ("stamp_checks", ""), "s3": ("stamp_pure", ""), "s4": ("", "s1,s2,s3")},
    "asks": {"s1": ("stamp_asks", ""), "s2": ("stamp_doubts", ""), "s3": ("stamp_honours", "")},
    "checks": {"s1": ("stamp_checks", "")},
    "approves": {"s1": ("stamp_approved", ""), "s2": ("stamp_checks", ""), "s3": ("stamp_approved", "s1")},
    "revises": {"s1": ("stamp_honours", ""), "s2": ("stamp_pure", ""), "s3": ("write_artifact", "s1")},
    "held": {"s1": ("stamp_honours", ""), "s2": ("stamp_asks", "s1"), "s3": ("stamp_checks", "s2"), "s4": ("", "s3")},
    "forked": {"s1": ("stamp_honours", ""), "s2": ("stamp_checks", "s1"), "s3": ("stamp_approved", "s2")},
}
KINDS = (*PLANS, "reviewed", "cancelled", "offline", "resumed", "stopped", "fails")


def plan_of(kind: str) -> Mapping[str, tuple[str, str]]:
    return PLANS.get(kind, PLANS["fan"])


class ChaosModels:
    """Port `Models`. Tells the counter of every call it gets, so that a call made again shows."""

    def __init__(self, offline: Models, wire: Wire) -> None:
        self._offline, self._wire = offline, wire

    def estimate(self, call: ModelCall) -> float:
        return 0.0001

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        if not call.task.goal.startswith("chaos "):
            return await self._offline.complete(call, on_piece)
        turn = f"{which(call)} {hashlib.sha256(written(call.messages)).hexdigest()[:8]}"
        await self._wire.ask(act="model", run=call.run_id, turn=turn)
        await asyncio.sleep(_thinks_s(call.task.goal, turn))
        if call.task.goal.startswith("chaos fails ") and isinstance(call.task, PlanTask | AnswerTask):
            asked = await self._wire.ask(act="fail", run=call.run_id, key=f"{call.run_id} {turn}")
            if not asked["repeated"]:
                raise ModelUnavailable("the provider fails the first time it is asked this")
        return await self._reply(call, on_piece)

    async def _reply(self, call: ModelCall, on_piece: OnPiece | None) -> ModelReply:
        kind = call.task.goal.split()[1]
        match call.task:
            case PlanTask():
                return structured(call, {"steps": [_step(id_, *rest) for id_, rest in plan_of(kind).items()]})
            case StepTask():
                return _work(call, call.task)
            case ReviewTask():
                return structured(call, _verdict(kind, call.task.round))
            case AnswerTask():
                return await _write(call.task, on_piece)


def _thinks_s(goal: str, turn: str) -> float:
    return hashlib.sha256(f"{goal} {turn}".encode()).digest()[0] / 255 * _SLOWEST_S


def _step(id_: str, tool: str, needs: str) -> dict[str, Any]:
    goal = f"use {tool}" if tool else "say what the others found"
    return {"id": id_, "goal": goal, "depends_on": needs.split(",") if needs else [], "done_when": "it is done"}


def _work(call: ModelCall, task: StepTask) -> ModelReply:
    results, tool = tool_results(call), task.step.goal.removeprefix("use ")
    if tool.startswith("stamp_") and not results:
        return spoken("", tool_call(call, tool, text=f"{task.step.id}{task.feedback}"))
    if tool == "write_artifact" and not results:
        arguments = {"name": f"{task.step.id}.md", "content": "as found"}
        return spoken("", tool_call(call, tool, **arguments))
    said = "; ".join(result.get("error", {}).get("code", "ok") for result in results) or "ok"
    return spoken("", tool_call(call, "report", status="done", finding=f"{task.step.id}: {said}"))


def _verdict(kind: str, round_: int) -> dict[str, Any]:
    if kind == "revises" and round_ == 0:
        return {"decision": "revise", "reasons": ["more is needed"], "revise": {"s2": "look again"}}
    return {"decision": "accept", "reasons": ["all is done"]}


async def _write(task: AnswerTask, on_piece: OnPiece | None) -> ModelReply:
    """Some 20 chunks over more than one flush of the log's deltas."""
    found = "; ".join(sorted(outcome.finding for outcome in task.outcomes))
    text = f"{found}. " + "And so it went, step by step. " * 20
    for at in range(0, len(text), 32):
        if on_piece:
            await on_piece(text[at : at + 32])
            await asyncio.sleep(0.003)
    return spoken(text)
