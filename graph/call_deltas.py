"""The arguments of a step's tool calls as the model writes them: few lines of the log, each of them JSON so far."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from graph.call_ids import CallIds
from graph.events import ToolCallDelta
from graph.partial_json import PartialJson
from graph.ports import CallPiece, Deps, ModelReply

_FLUSH_SECONDS = 0.25


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    told: str = ""
    held: str = ""
    partial: PartialJson = field(default_factory=PartialJson)

    def more(self) -> str:
        """What can be told now; told afterwards."""
        cut = self.partial.cut(self.held)
        text, self.held = self.held[:cut], self.held[cut:]
        self.told += text
        return text

    def is_a_part_of(self, arguments: dict[str, Any] | None) -> bool:
        try:
            return bool(json.loads(self.told + self.held or "{}") == arguments)
        except ValueError:
            return False


class CallDeltas:
    """Of one reply. What comes at once is one line of the write that holds the reply, and costs no commit."""

    def __init__(self, deps: Deps, step_id: str, attempt: int, used: Iterable[str]) -> None:
        self._deps, self._step_id, self._attempt = deps, step_id, attempt
        self._ids = CallIds(used)
        self._calls: dict[int, _Call] = {}
        self._begun = False
        self._since = 0.0

    async def add(self, piece: str | CallPiece) -> None:
        if isinstance(piece, str):
            return
        self._since = self._since or time.monotonic()
        if piece.index not in self._calls:
            self._calls[piece.index] = _Call(self._ids.of(piece.id), piece.name)
        call = self._calls[piece.index]
        call.name, call.held = piece.name, call.held + piece.arguments
        if time.monotonic() - self._since >= _FLUSH_SECONDS and (due := self._due(self._calls.values())):
            await self._deps.events.append(*due)
            self._since = time.monotonic()

    def rest(self, reply: ModelReply) -> tuple[ToolCallDelta, ...]:
        """What has not been written down yet of the calls that the reply holds."""
        whole = {call.id: call.arguments for call in reply.tool_calls}
        return self._due(call for call in self._calls.values() if call.is_a_part_of(whole.get(call.id)))

    def _due(self, calls: Iterable[_Call]) -> tuple[ToolCallDelta, ...]:
        return tuple(self._delta(call, text) for call in calls if (text := call.more()))

    def _delta(self, call: _Call, text: str) -> ToolCallDelta:
        begins, self._begun = not self._begun, True
        return ToolCallDelta(
            step_id=self._step_id,
            attempt=self._attempt,
            call_id=call.id,
            tool=call.name,
            text=text,
            closes=call.partial.closes,
            begins=begins,
        )
