"""Policy is data: ordered rules over tool names and risk levels; the first that matches wins, no match denies."""

from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from graph.state import Value
from graph.tools.registry import HIGH_RISK, READ, Risk, Tool

Action: TypeAlias = Literal["allow", "ask", "deny"]


class Rule(Value):
    """`tool` is a glob over names; the risk range includes both ends."""

    action: Action
    tool: str = "*"
    min_risk: Risk = READ
    max_risk: Risk = HIGH_RISK

    def matches(self, tool: Tool) -> bool:
        return self.min_risk <= tool.risk <= self.max_risk and fnmatchcase(tool.name, self.tool)


class Policy(Value):
    rules: tuple[Rule, ...] = ()

    def action(self, tool: Tool) -> Action:
        return next((rule.action for rule in self.rules if rule.matches(tool)), "deny")


DEFAULT_POLICY = Policy(
    rules=(
        Rule(action="allow", max_risk=2),
        Rule(action="ask", min_risk=3, max_risk=3),
        Rule(action="deny", min_risk=4),
    )
)
