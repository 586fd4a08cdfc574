"""A tool as data, and the registry that knows them all. Nothing registers itself: whoever composes passes the tools."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from graph.ports import ToolSchema
from graph.state import Source, Value

Risk: TypeAlias = Annotated[int, Field(ge=0, le=4)]
READ, LOCAL_WRITE, EXTERNAL_DRAFT, EXTERNAL_EFFECT, HIGH_RISK = range(5)
REPORT: Final = "report"


class Arguments(BaseModel):
    """Parent of every tool's parameters: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Output(Value):
    """What a tool found or did. `sources` are the places in the caller's documents that it rests on."""

    data: dict[str, Any]
    sources: tuple[Source, ...] = ()


class Problem(Value):
    """Why a tool did nothing: a value that the model reads and can mend, not an exception."""

    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Where a call belongs. `key` is the same for the same action at every attempt: pass it on to what honours keys."""

    run_id: str
    step_id: str
    key: str


# Any: each tool takes its own `parameters` class, which the runner has validated.
Call: TypeAlias = Callable[[Any, ToolContext], Awaitable[Output | Problem]]
Check: TypeAlias = Callable[[Any, ToolContext], Awaitable[Output | None]]


@dataclass(frozen=True, slots=True)
class CanCheck:
    """The tool can be asked what became of a call: `check` gives what it did, or None when nothing happened."""

    check: Check


Reconcile: TypeAlias = Literal["pure", "honours_key", "ask_a_person"] | CanCheck
"""What to do when nobody knows whether a call had its effect: `pure`: call again, it changes nothing that lasts;
`honours_key`: call again with the same key; `CanCheck`: ask, then call if need be; `ask_a_person`: the run waits."""


@dataclass(frozen=True, slots=True)
class Tool:
    """`risk`: 0 read, 1 local write, 2 external draft, 3 external effect, 4 high risk; from 1 on `reconcile` is due.

    `in_clear` names the arguments that it can't use while they hold placeholders whose values nobody has shown it.
    """

    name: str
    description: str
    parameters: type[BaseModel]
    call: Call
    risk: int = READ
    version: str = "1"
    reconcile: Reconcile | None = None
    timeout_s: float = 60.0
    in_clear: tuple[str, ...] = ()

    def schema(self) -> ToolSchema:
        return _schema(self.name, self.description, self.parameters)


class Report(Arguments):
    """How a worker ends its step. A control: the worker reads it, no tool runs."""

    status: Literal["done", "failed"] = Field(description="done only when the step's done-when is met")
    finding: str = Field(description="what was found, with the figures and names the goal asks for")
    sources: list[str] = Field(default_factory=list, description="refs that tools returned and the finding rests on")
    missing: str = Field(default="", description="what could not be found")


class Registry:
    """The tools of one deployment, by name, and the control `report`."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        listed = sorted(tools, key=lambda tool: tool.name)
        self._tools = {tool.name: tool for tool in listed}
        if len(self._tools) != len(listed) or REPORT in self._tools:
            raise ValueError(f"tool names must be unique and not {REPORT!r}: {[tool.name for tool in listed]}")
        if silent := [tool.name for tool in listed if tool.risk >= LOCAL_WRITE and tool.reconcile is None]:
            raise ValueError(f"tools that have effects must say how they `reconcile`: {', '.join(silent)}")
        report = _schema(REPORT, "End the step: say what was found and which refs it rests on.", Report)
        schemas = [report, *(tool.schema() for tool in listed)]
        self.schemas = tuple(sorted(schemas, key=lambda schema: schema.name))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def find(self, name: str) -> Tool | None:
        return self._tools.get(name)


@cache
def _schema(name: str, description: str, parameters: type[BaseModel]) -> ToolSchema:
    schema: dict[str, Any] = _untitled(parameters.model_json_schema())
    schema.pop("description", None)
    return ToolSchema(name=name, description=description, parameters=schema)


def _untitled(value: Any) -> Any:
    """pydantic's titles repeat the field names and cost tokens; a property that is itself called title stays."""
    if isinstance(value, dict):
        return {key: _untitled(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    return [_untitled(item) for item in value] if isinstance(value, list) else value
