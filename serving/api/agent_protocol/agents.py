"""Agents of the Agent Protocol: the assistants, by another name."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from serving.api.agent_protocol.failures import ABSENT
from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.assistants import graph_of
from serving.assistants.assistant import Assistant
from serving.assistants.search import AssistantSearch, search
from serving.errors import NotFound, Unprocessable
from serving.hosting import describe
from serving.hosting.config import AGENT
from serving.hosting.errors import GraphFailed, UnknownGraph
from serving.search import Paged
from serving.services import ApiServices

router = APIRouter(prefix="/agents", tags=["Agents"])


class Agent(BaseModel):
    """`ap.io.messages` says whether messages stand in `messages`, of runs and of threads."""

    agent_id: str
    name: str
    description: str = ""
    metadata: dict[str, Any] = {}
    capabilities: dict[str, Any]


class AgentSchema(BaseModel):
    agent_id: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    state_schema: dict[str, Any] = {}
    config_schema: dict[str, Any] = {}


class AgentSearch(Paged):
    """`name` is found anywhere in the name, in either case."""

    name: str | None = Field(default=None, max_length=1_000)
    metadata: dict[str, Any] | None = None


@router.post("/search", response_model=list[Agent], responses=ABSENT)
async def search_agents(body: AgentSearch, services: Services) -> Response:
    """A page; `X-Pagination-Next` is the offset of the next one."""
    found = await search(services.assistants, AssistantSearch(**body.model_dump()))
    return answer([await _shown(services, Assistant(**row)) for row in found.rows], found.headers)


@router.get("/{agent_id}", response_model=Agent, responses=ABSENT)
async def get_agent(agent_id: str, services: Services) -> Response:
    """By its id, or by a hosted graph's."""
    return answer(await _shown(services, await _found(services, agent_id)))


@router.get("/{agent_id}/schemas", response_model=AgentSchema, responses=ABSENT)
async def get_agent_schemas(agent_id: str, services: Services) -> Response:
    """What the agent takes, gives and keeps, as JSON schemas; empty where it says nothing of it."""
    assistant = await _found(services, agent_id)
    async with graph_of(services, assistant.assistant_id) as (graph_id, graph):
        made = await asyncio.to_thread(describe.schemas, graph_id, graph)
    wanted = {name: made[name] or {} for name in AgentSchema.model_fields if name in made}
    return answer({"agent_id": assistant.assistant_id, **wanted})


async def _found(services: ApiServices, agent_id: str) -> Assistant:
    """What can't be an id is none there."""
    try:
        return await services.assistants.get(agent_id)
    except Unprocessable as error:
        raise NotFound(error.message, error.hint, "agent_not_found") from None


async def _shown(services: ApiServices, assistant: Assistant) -> dict[str, Any]:
    return {
        "agent_id": assistant.assistant_id,
        "name": assistant.name,
        "description": assistant.description or "",
        "metadata": assistant.metadata,
        "capabilities": {"ap.io.messages": await _has_messages(services, assistant), "ap.io.streaming": True},
    }


async def _has_messages(services: ApiServices, assistant: Assistant) -> bool:
    """One that can't be loaded, or that isn't hosted any more, has none."""
    if assistant.graph_id == AGENT:
        return True
    try:
        async with services.graphs.opened(assistant.graph_id, "assistants.read", assistant.config) as graph:
            return "messages" in graph.channels
    except (GraphFailed, UnknownGraph):
        return False
