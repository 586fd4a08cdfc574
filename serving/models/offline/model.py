"""The deterministic model behind `graph.ports.Models`: reads the task as data, needs no weights, costs nothing."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from graph.errors import ModelRefused
from graph.form import Form
from graph.ports import AnswerTask, ModelCall, ModelReply, OnPiece, PlanTask, ReviewTask, StepTask, ToolCall, Usage
from graph.state import Verdict
from privacy.redact import from_record
from serving.models.meter import PrefixMeter
from serving.models.offline.planning import plan
from serving.models.offline.working import NOT_SAID, work

NAME: Final = "offline"
_RUNS_METERED: Final = 64


class OfflineModel:
    """Splits the goal, picks tools by what they are for, quotes what they return: the same bytes for the same input."""

    name = NAME

    def __init__(self) -> None:
        self._meter_of: Callable[[str], PrefixMeter] = lru_cache(_RUNS_METERED)(lambda run_id: PrefixMeter())

    def estimate(self, call: ModelCall) -> float:
        return 0.0

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        """Never raises ModelUnavailable: there is nothing to reach. Raises ModelRefused for another model's name."""
        if call.model not in (None, NAME):
            raise ModelRefused(f'model "{call.model}" is not known: only offline is; set a key or TRIREME_ROUTES')
        match call.task:
            case PlanTask() | ReviewTask() as task:
                value = plan(task) if isinstance(task, PlanTask) else review(task)
                return self._reply(call, value.model_dump_json(), parsed=value)
            case StepTask() as task:
                return self._reply(call, "", tool_calls=(next_call(task, call),))
            case AnswerTask() as task:
                text = write(task)
                for piece in re.findall(r"\S+\s*", text):
                    if on_piece:
                        await on_piece(piece)
                return self._reply(
                    call, text, parsed=call.reply.holding(text) if isinstance(call.reply, Form) else None
                )

    def _reply(
        self, call: ModelCall, text: str, tool_calls: tuple[ToolCall, ...] = (), parsed: Any = None
    ) -> ModelReply:
        tokens, cached = self._meter_of(call.run_id).measure(call.messages, call.tools)
        spoken = text + "".join(json.dumps(tool.arguments) for tool in tool_calls)
        usage = Usage(input_tokens=tokens, cached_tokens=cached, output_tokens=len(spoken) // 4)
        # What this model says is made of redacted tasks and tool results, and of its own words.
        return ModelReply(from_record(text), NAME, usage, tool_calls, parsed)


def next_call(task: StepTask, call: ModelCall) -> ToolCall:
    """Replays the step over the results so far; what it would do next is the reply."""
    moves = work(task)
    results = [json.loads(message.content) for message in call.transcript if message.role == "tool"]
    try:
        name, arguments = next(moves)
        for result in results:
            name, arguments = moves.send(result)
    except StopIteration as end:
        name, arguments = end.value
    key = json.dumps([task.step.id, len(results), name, arguments], sort_keys=True)
    return ToolCall(id=f"{task.step.id}-{sha256(key.encode()).hexdigest()[:10]}", name=name, arguments=arguments)


def write(task: AnswerTask) -> str:
    """A finding of several lines is cited at the end of its first, which says what they are."""
    parts = [f"The run stopped early: {task.stopped}."] if task.stopped else []
    for outcome in sorted(task.outcomes, key=lambda outcome: int(outcome.step_id[1:]), reverse=True):
        refs = {source.ref for source in outcome.sources} if task.profile.cites else set()
        marks = "".join(f"[{number}]" for number, source in enumerate(task.sources, 1) if source.ref in refs)
        head, line, rest = outcome.finding.strip().partition("\n")
        parts.insert(0, f"{head} {marks}".rstrip() + line + rest)
    sources = (f"[{number}] {source.path}" for number, source in enumerate(task.sources, 1))
    return task.profile.shaped(parts or ["Nothing was looked up, so there is no answer."], sources)


def review(task: ReviewTask) -> Verdict:
    """That the documents don't hold it is an answer; an action that was not carried out is none."""
    missed = [outcome for outcome in task.outcomes if outcome.status != "done"]
    honest = all(outcome.finding.startswith(NOT_SAID) for outcome in missed)
    reasons = tuple(f"{outcome.step_id}: {outcome.finding}" for outcome in missed)
    return Verdict(decision="accept" if honest else "give_up", reasons=reasons)
