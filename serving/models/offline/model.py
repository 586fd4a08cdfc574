"""The deterministic model behind `graph.ports.Models`: reads the task as data, needs no weights, costs nothing."""

import json
import re
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from pydantic import BaseModel

from graph.errors import ModelRefused
from graph.ports import (
    AnswerTask,
    ModelCall,
    ModelReply,
    OnText,
    PlanTask,
    ReviewTask,
    StepTask,
    ToolCall,
    Usage,
)
from privacy.redact import from_record
from serving.models.meter import PrefixMeter
from serving.models.offline.judging import review
from serving.models.offline.planning import plan
from serving.models.offline.working import work
from serving.models.offline.writing import write

NAME: Final = "offline"
_RUNS_METERED: Final = 64


class OfflineModel:
    """Splits the goal, picks tools by what they are for, quotes what they return: the same bytes for the same input."""

    name = NAME

    def __init__(self) -> None:
        self._meters: OrderedDict[str, PrefixMeter] = OrderedDict()

    def estimate(self, call: ModelCall) -> float:
        return 0.0

    async def complete(self, call: ModelCall, on_text: OnText | None = None) -> ModelReply:
        """Never raises ModelUnavailable: there is nothing to reach. Raises ModelRefused for another model's name."""
        if call.model not in (None, NAME):
            raise ModelRefused(f'model "{call.model}" is not known: only offline is; set a key or TRIREME_ROUTES')
        match call.task:
            case PlanTask():
                return self._structured(call, plan(call.task))
            case ReviewTask():
                return self._structured(call, review(call.task))
            case StepTask():
                return self._reply(call, "", tool_calls=(next_call(call.task, call),))
            case AnswerTask():
                text = write(call.task)
                for piece in re.findall(r"\S+\s*", text):
                    if on_text:
                        await on_text(piece)
                return self._reply(call, text)

    def _structured(self, call: ModelCall, value: BaseModel) -> ModelReply:
        return self._reply(call, value.model_dump_json(), parsed=value)

    def _reply(
        self, call: ModelCall, text: str, tool_calls: tuple[ToolCall, ...] = (), parsed: BaseModel | None = None
    ) -> ModelReply:
        tokens, cached = self._meter(call.run_id).measure(call.messages, call.tools)
        spoken = text + "".join(json.dumps(tool.arguments) for tool in tool_calls)
        usage = Usage(input_tokens=tokens, cached_tokens=cached, output_tokens=len(spoken) // 4)
        # What this model says is made of redacted tasks and tool results, and of its own words.
        return ModelReply(from_record(text), NAME, usage, tool_calls, parsed)

    def _meter(self, run_id: str) -> PrefixMeter:
        meter = self._meters.setdefault(run_id, PrefixMeter())
        self._meters.move_to_end(run_id)
        if len(self._meters) > _RUNS_METERED:
            self._meters.popitem(last=False)
        return meter


def next_call(task: StepTask, call: ModelCall) -> ToolCall:
    """Replays the step over the results so far; what it would do next is the reply."""
    moves = work(task, {tool.name: tool for tool in call.tools})
    results = [_parsed(message.content) for message in call.transcript if message.role == "tool"]
    try:
        name, arguments = next(moves)
        for result in results:
            name, arguments = moves.send(result)
    except StopIteration as end:
        name, arguments = end.value
    key = json.dumps([task.step.id, task.feedback, len(results), name, arguments], sort_keys=True)
    return ToolCall(id=f"{task.step.id}-{sha256(key.encode()).hexdigest()[:10]}", name=name, arguments=arguments)


def _parsed(content: str) -> Mapping[str, Any]:
    try:
        value = json.loads(content)
    except ValueError:
        return {"error": {"code": "unreadable", "message": content[:200]}}
    return value if isinstance(value, dict) else {"value": value}
