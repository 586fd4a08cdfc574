"""What LangGraph calls a run's config, as callers send it: a mapping, whose known fields have their types."""

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ConfigDict
from typing_extensions import TypedDict

if TYPE_CHECKING:
    RunConfig: TypeAlias = dict[str, Any]
else:

    class RunConfig(TypedDict, total=False):
        """Other fields are kept as they come."""

        __pydantic_config__ = ConfigDict(extra="allow")

        configurable: dict[str, Any] | None
        metadata: dict[str, Any] | None
        tags: list[str] | None
        recursion_limit: int | None
        max_concurrency: int | None
        run_name: str | None
