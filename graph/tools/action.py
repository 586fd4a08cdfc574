"""One call of a tool, bounded in time. What goes wrong is an outcome; an exception ends the attempt."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from graph.deadline import within
from graph.errors import FenceLost, OutcomeUnknown, StorageLost, ToolFailed
from graph.ledger import EffectCall
from graph.ports import ToolResult
from graph.tools.content import bounded, clean, digest, without_paths
from graph.tools.registry import CanCheck, Output, Problem, Tool, ToolContext

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`open`: nobody can say whether the call had its effect; `answer` is then the Problem that says why."""

    state: Literal["done", "failed", "open"]
    answer: Output | Problem


class Action:
    """A tool with the arguments to use. Its `key` comes from what it is, never from its place in the run.

    `seconds` bounds all calls of this action together, the tool's own limit each one.
    """

    def __init__(self, run_id: str, step_id: str, tool: Tool, arguments: BaseModel, seconds: float) -> None:
        self.tool, self._arguments, self._until = tool, arguments, asyncio.get_running_loop().time() + seconds
        plain: dict[str, Any] = clean(arguments.model_dump(mode="json"))
        key = digest(run_id, step_id, tool.name, tool.version, plain)
        self.effect = EffectCall(key=key, step_id=step_id, tool=tool.name, arguments=plain)
        self._context = ToolContext(run_id=run_id, step_id=step_id, key=key)

    @property
    def seconds_left(self) -> float:
        return max(self._until - asyncio.get_running_loop().time(), 0.0)

    async def call(self, look: Callable[[], None] = lambda: None) -> Outcome:
        """Only a Problem or ToolFailed says that nothing happened; anything else leaves it open.

        `look` raises FenceLost when it is too late: the last thing before the call, since a process may stand still
        anywhere.
        """
        from langgraph.errors import GraphBubbleUp

        limit = min(self.tool.timeout_s, self.seconds_left)
        try:
            async with within(limit):
                look()
                answer = await self.tool.call(self._arguments, self._context)
            return Outcome("failed" if isinstance(answer, Problem) else "done", answer)
        except (FenceLost, StorageLost, GraphBubbleUp):
            raise
        except OutcomeUnknown as error:
            return Outcome("open", Problem(code=error.code, message=str(error)))
        except ToolFailed as error:
            return Outcome("failed", Problem(code=error.code, message=str(error)))
        except Exception as error:
            return Outcome("open", self._unexpected("", error, limit))

    async def check(self, can: CanCheck) -> Outcome | None:
        """What the tool says it did; None when nothing happened, `open` when it can't tell now."""
        limit = min(self.tool.timeout_s, self.seconds_left)
        try:
            async with within(limit):
                found = await can.check(self._arguments, self._context)
            return Outcome("done", found) if found is not None else None
        except (FenceLost, StorageLost):
            raise
        except Exception as error:
            return Outcome("open", self._unexpected(" was asked what it did, and", error, limit))

    def _unexpected(self, when: str, error: Exception, limit: float) -> Problem:
        """Says the kind of error, never its text, which may hold anything."""
        kind, name = type(error).__name__, self.tool.name
        _log.warning("action=tool_failed run=%s tool=%s error=%s", self._context.run_id, name, kind)
        late = isinstance(error, TimeoutError)
        what = f"did not answer within {round(limit, 2):g} s" if late else f"failed with {kind}"
        hint = "try other arguments, or go on without it and say so"
        return Problem(code="timeout" if late else "tool_failed", message=f"{name}{when} {what}", hint=hint)


def told(answer: Output | Problem, changed: tuple[str, ...] = ()) -> ToolResult:
    """The answer as the model reads it; `changed` names the arguments that a reviewer edited."""
    if isinstance(answer, Problem):
        error = {**answer.model_dump(), "message": without_paths(answer.message)}
        return ToolResult(ok=False, content=bounded({"error": error}))
    note = {"changed_by_reviewer": changed} if changed else {}
    return ToolResult(ok=True, content=bounded({**answer.data, **note}), sources=answer.sources)
