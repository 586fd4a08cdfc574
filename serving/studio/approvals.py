"""Decisions in Studio: the person answers the interrupt itself, and what was typed is redacted first."""

import asyncio
from collections.abc import Callable
from typing import Any

from langgraph.types import interrupt

from graph.approval import interrupt_payload, read_decision
from graph.ledger import EffectDecision
from graph.ports import ApprovalDecision, ApprovalRequest
from serving.runs.ledger import MemoryLedger


class StudioApprovals:
    """Port `Approvals`: pauses by LangGraph's interrupt, and redacts what a person typed into the answer."""

    def __init__(self, redact_json: Callable[[Any], Any]) -> None:
        self._redact_json = redact_json

    async def request(self, request: ApprovalRequest) -> ApprovalDecision:
        """An answer that can't be read, or belongs to another request, is asked for again."""
        while True:
            spoken = read_decision(interrupt(interrupt_payload(request)), request.name)
            if spoken and spoken.approval_id in (None, request.id):
                typed = spoken.model_dump(include={"arguments", "reason", "by"})
                return spoken.model_copy(update=await asyncio.to_thread(self._redact_json, typed))


class StudioLedger(MemoryLedger):
    """The effects of one run, and a person's word on those that are unknown."""

    def __init__(self, redact_json: Callable[[Any], Any]) -> None:
        super().__init__()
        self._redact_json = redact_json

    async def hear(self, key: str, decision: EffectDecision) -> None:
        typed = await asyncio.to_thread(self._redact_json, decision.model_dump(include={"note", "by"}))
        await super().hear(key, decision.model_copy(update=typed))
