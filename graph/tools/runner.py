"""The one way every tool call goes: known, valid, permitted, done once, recorded. Errors are values."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from graph.approval import decide
from graph.ledger import Ledger
from graph.ports import ApprovalRequest, Approvals, ToolCall, ToolResult, ToolSchema
from graph.tools.action import Action, told
from graph.tools.content import clean, digest
from graph.tools.effects import Effects
from graph.tools.policy import DEFAULT_POLICY, Policy
from graph.tools.registry import LOCAL_WRITE, Problem, Registry, Tool


class _Refused(Exception):
    """The call ends here, with a problem that the model reads."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code)
        self.problem = Problem(code=code, message=message, hint=hint)


class ToolRunner:
    """Port `Tools` for one run. Raises LangGraph's interrupts, and what a port raises to end the attempt."""

    def __init__(
        self,
        registry: Registry,
        ledger: Ledger,
        approvals: Approvals,
        run_id: str,
        policy: Policy = DEFAULT_POLICY,
        approval_ttl_s: float = 7 * 86_400,
    ) -> None:
        self._registry, self._effects, self._approvals = registry, Effects(ledger), approvals
        self._run_id, self._policy, self._approval_ttl_s = run_id, policy, approval_ttl_s

    def schemas(self) -> tuple[ToolSchema, ...]:
        return self._registry.schemas

    async def run(self, call: ToolCall, step_id: str, seconds: float = math.inf) -> ToolResult:
        try:
            tool = self._known(call.name)
            proposed = Action(self._run_id, step_id, tool, _validated(tool, call.arguments), seconds)
            action = await self._permitted(proposed, seconds)
        except _Refused as refused:
            return told(refused.problem)
        changed = _difference(proposed, action)
        if tool.risk < LOCAL_WRITE:
            return told((await action.call()).answer, changed)
        return await self._effects.once(action, changed)

    def _known(self, name: str) -> Tool:
        tool = self._registry.find(name)
        if tool is None:
            close = get_close_matches(name, self._registry.names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"the tools are: {', '.join(self._registry.names)}"
            raise _Refused("unknown_tool", f"there is no tool {clean(name)[:80]!r}", hint)
        return tool

    async def _permitted(self, proposed: Action, seconds: float) -> Action:
        """The action to carry out: the one proposed, or what a person made of it."""
        tool = proposed.tool
        permission = self._policy.action(tool)
        if permission == "deny":
            raise _Refused("denied_by_policy", f"policy does not allow {tool.name}", "go on without it and say so")
        if permission == "allow":
            return proposed
        decision = await decide(self._approvals, self._request(proposed))
        if decision.type == "reject":
            reason = decision.reason or "no reason given"
            raise _Refused("rejected", f"a person did not approve {tool.name}: {reason}", "don't propose it again")
        if decision.arguments is None:
            return proposed
        return Action(self._run_id, proposed.effect.step_id, tool, _validated(tool, decision.arguments), seconds)

    def _request(self, action: Action) -> ApprovalRequest:
        tool, call = action.tool, action.effect
        bound = digest(tool.name, tool.version, call.arguments)
        expires = datetime.now(UTC) + timedelta(seconds=self._approval_ttl_s)
        return ApprovalRequest(
            id=f"tool-{digest(self._run_id, call.step_id, bound)[:24]}",
            kind="tool",
            name=tool.name,
            arguments=call.arguments,
            description=f"Step {call.step_id} asks to run {tool.name}: {tool.description}",
            digest=bound,
            expires_at=expires.isoformat(),
            step_id=call.step_id,
            parameters=tool.schema().parameters,
            effect_key=call.key if tool.risk >= LOCAL_WRITE else "",
            in_clear=tool.in_clear,
        )


def _validated(tool: Tool, arguments: Mapping[str, Any]) -> BaseModel:
    try:
        return tool.parameters.model_validate(clean(arguments))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        said = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in problems[:5])
        fields = tool.parameters.model_fields.items()
        takes = ", ".join(f"{name} (required)" if field.is_required() else name for name, field in fields)
        raise _Refused("bad_arguments", said, f"{tool.name} takes: {takes}") from None


def _difference(proposed: Action, used: Action) -> tuple[str, ...]:
    before, after = proposed.effect.arguments, used.effect.arguments
    return tuple(sorted(name for name in after if after[name] != before.get(name)))
