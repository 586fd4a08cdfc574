"""Tools that this model was not written for: chosen by what they say of themselves, filled by their schema."""

import re
from collections.abc import Mapping
from typing import Any, Final

from graph.ports import ToolSchema
from graph.state import Step
from serving.models.offline import vocabulary as v
from serving.models.offline.language import number_of, quantities
from serving.models.offline.question import content

KNOWN: Final = v.words(
    "search_documents read_document calculate query_table write_artifact draft_email send_email report"
)


def fitting(step: Step, tools: Mapping[str, ToolSchema]) -> ToolSchema | None:
    """The tool that the step hints at, else the one whose name and description share three of its words."""
    others = [tools[name] for name in sorted(tools) if name not in KNOWN]
    hinted = next((tool for tool in others if tool.name in step.tools), None)
    wanted = content(step.goal)
    scored = [(len(wanted & content(f"{tool.name.replace('_', ' ')} {tool.description}")), tool) for tool in others]
    score, chosen = max(scored, key=lambda pair: pair[0], default=(0, None))
    return hinted or (chosen if score >= 3 else None)


def fill(tool: ToolSchema, text: str) -> dict[str, Any]:
    """Required arguments by their type: an enum's value that the text says, its numbers in order, quoted text."""
    properties: dict[str, dict[str, Any]] = tool.parameters.get("properties", {})
    numbers = [quantity.amount for quantity in quantities(text)]
    quoted = re.findall(r"[\"“]([^\"”]+)[\"”]", text)
    arguments: dict[str, Any] = {}
    for name in tool.parameters.get("required", list(properties)):
        schema = properties.get(name, {})
        kind = schema.get("type", "string")
        if "enum" in schema:
            arguments[name] = next((e for e in schema["enum"] if str(e).lower() in text.lower()), schema["enum"][0])
        elif kind in ("number", "integer"):
            value = numbers.pop(0) if numbers else number_of("0")
            arguments[name] = int(value or 0) if kind == "integer" else float(value or 0)
        elif kind == "boolean":
            arguments[name] = True
        else:
            arguments[name] = quoted.pop(0) if quoted else text
    return arguments
