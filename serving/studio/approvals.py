"""Approvals in Studio: the person answers the interrupt itself."""

import asyncio
from collections.abc import Callable
from typing import Any

from langgraph.types import interrupt

from graph.approval import interrupt_payload, read_decision
from graph.ports import ApprovalDecision, ApprovalRequest


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
