"""The one way every tool call goes: known, valid, permitted, prepared, done once, recorded. Errors are values."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from graph.approval import decide
from graph.errors import FenceLost, OutcomeUnknown, ToolFailed
from graph.ports import ApprovalRequest, Approvals, Effect, Ledger, ToolCall, ToolResult, ToolSchema
from graph.tools.content import bounded, clean, digest, without_paths
from graph.tools.policy import DEFAULT_POLICY, Policy
from graph.tools.registry import LOCAL_WRITE, Output, Problem, Registry, Tool, ToolContext

_log = logging.getLogger(__name__)
_ASK_A_PERSON = "don't repeat the call: a person must look whether it happened"


class _Refused(Exception):
    """The call ends here, with a problem that the model reads."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code)
        self.problem = Problem(code=code, message=message, hint=hint)


class ToolRunner:
    """Port `Tools` for one run. Raises only FenceLost, LangGraph's interrupts, and what the ledger itself raises."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        approvals: Approvals,
        run_id: str,
        policy: Policy = DEFAULT_POLICY,
        approval_ttl_s: float = 7 * 86_400,
    ) -> None:
        self._registry, self._ledger, self._approvals = registry, ledger, approvals
        self._run_id, self._policy, self._approval_ttl_s = run_id, policy, approval_ttl_s
        self._in_flight: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def schemas(self) -> tuple[ToolSchema, ...]:
        return self._registry.schemas

    async def run(self, call: ToolCall, step_id: str) -> ToolResult:
        try:
            tool = self._known(call.name)
            proposed = _validated(tool, call.arguments)
            arguments = await self._permitted(tool, proposed, step_id)
            changed = _difference(proposed, arguments)
            return await self._performed(tool, arguments, step_id, changed)
        except _Refused as refused:
            return _result(refused.problem)

    def _known(self, name: str) -> Tool:
        tool = self._registry.find(name)
        if tool is None:
            close = get_close_matches(name, self._registry.names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the tools are: {', '.join(self._registry.names)}"
            raise _Refused("unknown_tool", f"there is no tool {clean(name)[:80]!r}", hint)
        return tool

    async def _permitted(self, tool: Tool, proposed: BaseModel, step_id: str) -> BaseModel:
        """The arguments to use: those proposed, or what a person made of them."""
        action = self._policy.action(tool)
        if action == "deny":
            raise _Refused("denied_by_policy", f"policy does not allow {tool.name}", "go on without it and say so")
        if action == "allow":
            return proposed
        decision = await decide(self._approvals, self._request(tool, proposed, step_id))
        if decision.type == "reject":
            reason = decision.reason or "no reason given"
            raise _Refused("rejected", f"a person did not approve {tool.name}: {reason}", "don't propose it again")
        return proposed if decision.arguments is None else _validated(tool, decision.arguments)

    def _request(self, tool: Tool, arguments: BaseModel, step_id: str) -> ApprovalRequest:
        plain = _plain(arguments)
        bound = digest(tool.name, tool.version, plain)
        expires = datetime.now(UTC) + timedelta(seconds=self._approval_ttl_s)
        return ApprovalRequest(
            id=f"tool-{digest(self._run_id, step_id, bound)[:24]}",
            kind="tool",
            name=tool.name,
            arguments=plain,
            description=f"Step {step_id} asks to run {tool.name}: {tool.description}",
            digest=bound,
            expires_at=expires.isoformat(),
        )

    async def _performed(self, tool: Tool, arguments: BaseModel, step_id: str, changed: tuple[str, ...]) -> ToolResult:
        plain = _plain(arguments)
        key = _key(self._run_id, step_id, tool, plain)
        context = ToolContext(run_id=self._run_id, step_id=step_id, key=key)
        if tool.risk < LOCAL_WRITE:
            return (await _called(tool, arguments, context, changed))[1]
        # The same action twice at a time: the second waits and finds the first one's result.
        async with self._in_flight[key]:
            effect = await self._ledger.prepare(key, tool.name, plain)
            if effect.state in ("done", "failed", "unknown"):
                return _recorded(effect)
            state, result = await self._once(tool, arguments, context, changed, effect.fresh)
            await self._ledger.settle(key, state, result.model_dump(mode="json"))
            return result

    async def _once(
        self, tool: Tool, arguments: BaseModel, context: ToolContext, changed: tuple[str, ...], fresh: bool
    ) -> tuple[Literal["done", "failed", "unknown"], ToolResult]:
        """A row that is not fresh was prepared by an attempt that died around the call: reconcile it."""
        if not fresh and tool.reconcile == "ask_a_person":
            message = f"{tool.name} was interrupted while it ran: it may have happened or not"
            return "unknown", _result(Problem(code="outcome_unknown", message=message, hint=_ASK_A_PERSON))
        if not fresh and tool.check is not None:
            found = await tool.check(arguments, context)
            if found is not None:
                return "done", _result(found, changed)
        return await _called(tool, arguments, context, changed)


async def _called(
    tool: Tool, arguments: BaseModel, context: ToolContext, changed: tuple[str, ...]
) -> tuple[Literal["done", "failed", "unknown"], ToolResult]:
    """Only a Problem or ToolFailed says that nothing happened; anything else leaves it open for a tool of one shot."""
    from langgraph.errors import GraphBubbleUp

    try:
        async with asyncio.timeout(tool.timeout_s):
            answer = await tool.call(arguments, context)
        return ("failed" if isinstance(answer, Problem) else "done"), _result(answer, changed)
    except (FenceLost, GraphBubbleUp):
        raise
    except OutcomeUnknown as error:
        return "unknown", _result(Problem(code=error.code, message=str(error), hint=_ASK_A_PERSON))
    except ToolFailed as error:
        return "failed", _result(Problem(code=error.code, message=str(error)))
    except Exception as error:
        _log.warning("action=tool_failed run=%s tool=%s error=%s", context.run_id, tool.name, type(error).__name__)
        open_ = tool.risk >= LOCAL_WRITE and tool.reconcile == "ask_a_person"
        return ("unknown" if open_ else "failed"), _result(_unexpected(tool, error, open_))


def _unexpected(tool: Tool, error: Exception, outcome_open: bool) -> Problem:
    """Says the kind of error, never its text, which may hold anything."""
    late = isinstance(error, TimeoutError)
    what = f"did not answer within {tool.timeout_s:g} s" if late else f"failed with {type(error).__name__}"
    if outcome_open:
        return Problem(code="outcome_unknown", message=f"{tool.name} {what}", hint=_ASK_A_PERSON)
    hint = "try other arguments, or go on without it and say so"
    return Problem(code="timeout" if late else "tool_failed", message=f"{tool.name} {what}", hint=hint)


def _validated(tool: Tool, arguments: Mapping[str, Any]) -> BaseModel:
    try:
        return tool.parameters.model_validate(clean(arguments))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in problems[:5])
        fields = tool.parameters.model_fields.items()
        takes = ", ".join(f"{name} (required)" if field.is_required() else name for name, field in fields)
        raise _Refused("bad_arguments", said, f"{tool.name} takes: {takes}") from None


def _plain(arguments: BaseModel) -> dict[str, Any]:
    plain: dict[str, Any] = clean(arguments.model_dump(mode="json"))
    return plain


def _key(run_id: str, step_id: str, tool: Tool, arguments: dict[str, Any]) -> str:
    return digest(run_id, step_id, tool.name, tool.version, arguments)


def _difference(proposed: BaseModel, used: BaseModel) -> tuple[str, ...]:
    before, after = _plain(proposed), _plain(used)
    return tuple(sorted(name for name in after if after[name] != before.get(name)))


def _recorded(effect: Effect) -> ToolResult:
    return ToolResult.model_validate(effect.result)


def _result(answer: Output | Problem, changed: tuple[str, ...] = ()) -> ToolResult:
    if isinstance(answer, Problem):
        error = {**answer.model_dump(), "message": without_paths(answer.message)}
        return ToolResult(ok=False, content=bounded({"error": error}))
    note = {"changed_by_reviewer": changed} if changed else {}
    return ToolResult(ok=True, content=bounded({**answer.data, **note}), sources=answer.sources)
