"""An assistant: a graph with a name and settings, in numbered versions."""

import uuid
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import BadRequest
from serving.runs.requests.run_config import RunConfig

# Ids of the assistants that every hosted graph has: the same on every server, as LangGraph's clients count on.
_GRAPHS: Final = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
Config = dict[str, Any]
IfExists = Literal["raise", "do_nothing"]


def system_assistant_id(graph_id: str) -> str:
    return str(uuid.uuid5(_GRAPHS, graph_id))


class AssistantVersion(BaseModel):
    """As the LangGraph SDK knows it; `created_at` is the version's."""

    assistant_id: str
    version: int
    graph_id: str
    config: Config
    context: dict[str, Any]
    metadata: dict[str, Any]
    name: str
    description: str | None
    created_at: datetime


class Assistant(AssistantVersion):
    """With the content of the version that counts; `created_at` is the assistant's own."""

    updated_at: datetime


class NewAssistant(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"graph_id": "trireme", "name": "Reports"}]})

    graph_id: str = Field(max_length=200)
    assistant_id: str | None = None
    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = Field(default=None, max_length=1_000)
    description: str | None = Field(default=None, max_length=10_000)
    if_exists: IfExists = "raise"


class AssistantChange(BaseModel):
    """What isn't given stays; `metadata` is merged, the rest replaced."""

    graph_id: str | None = Field(default=None, max_length=200)
    config: RunConfig | None = None
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    name: str | None = Field(default=None, max_length=1_000)
    description: str | None = Field(default=None, max_length=10_000)


def settled(config: Config | None, context: dict[str, Any] | None) -> tuple[Config | None, dict[str, Any] | None]:
    """`context` and `config.configurable` are two names of one thing: who sends one has set both.

    Raises BadRequest for two that differ.
    """
    configurable = (config or {}).get("configurable") or None
    if configurable and context and configurable != context:
        raise BadRequest(
            "both config.configurable and context are given, and they differ", "send context alone", "two_contexts"
        )
    if configurable and context is None:
        return config, configurable
    if context:
        return {**(config or {}), "configurable": context}, context
    return config, context
