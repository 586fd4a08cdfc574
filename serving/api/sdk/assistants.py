"""Assistants as the LangGraph SDK calls them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, Field

from serving.api.runs import Services
from serving.api.sdk.answer import answer, page
from serving.api.sdk.schemas import AssistantPart, Drawing, Schemas
from serving.assistants.assistant import Assistant, AssistantChange, AssistantVersion, NewAssistant
from serving.assistants.search import AssistantFilter, AssistantSearch, count, search
from serving.auth.user import with_configurable
from serving.errors import Unprocessable
from serving.hosting import describe
from serving.search import Paged
from serving.services import ApiServices

if TYPE_CHECKING:
    from serving.hosting.factory import Graph

router = APIRouter(prefix="/assistants", tags=["assistants"])


class Versions(Paged):
    metadata: dict[str, object] | None = None


class Latest(BaseModel):
    version: int = Field(ge=1, lt=2**31)


@router.post("", response_model=Assistant)
async def create_assistant(
    body: NewAssistant, services: Services, idempotency_key: Annotated[str | None, Header()] = None
) -> Response:
    """A hosted graph with settings of your own."""
    async with services.idempotency.once("assistant", idempotency_key, body) as claim:
        if claim:
            body = claim.named(body, "assistant")
        made = await services.assistants.create(body, services.held)
    return answer(made)


@router.post("/search", response_model=list[AssistantPart])
async def search_assistants(body: AssistantSearch, services: Services) -> Response:
    """A page; `X-Pagination-Next` is the offset of the next one."""
    return page(await search(services.assistants, body, agents=services.sees_the_agent))


@router.post("/count", response_model=int)
async def count_assistants(body: AssistantFilter, services: Services) -> Response:
    return answer(await count(services.assistants, body, agents=services.sees_the_agent))


@router.get("/{assistant_id}", response_model=Assistant)
async def get_assistant(assistant_id: str, services: Services) -> Response:
    """By its id, or by a hosted graph's."""
    return answer(await services.assistants.get(assistant_id))


@router.patch("/{assistant_id}", response_model=Assistant)
async def update_assistant(assistant_id: str, body: AssistantChange, services: Services) -> Response:
    """Adds a version, which counts from then on."""
    return answer(await services.assistants.update(assistant_id, body))


@router.delete("/{assistant_id}", status_code=204)
async def delete_assistant(
    assistant_id: str,
    services: Services,
    delete_threads: Annotated[bool, Query(description="also the threads whose metadata name it")] = False,
) -> None:
    await services.assistants.delete(assistant_id, threads=delete_threads)


@router.post("/{assistant_id}/versions", response_model=list[AssistantVersion])
async def assistant_versions(assistant_id: str, body: Versions, services: Services) -> Response:
    """Newest first."""
    return answer(await services.assistants.versions(assistant_id, body.metadata, body.limit, body.offset))


@router.post("/{assistant_id}/latest", response_model=Assistant)
async def set_latest_version(assistant_id: str, body: Latest, services: Services) -> Response:
    return answer(await services.assistants.set_latest(assistant_id, body.version))


@router.get("/{assistant_id}/schemas", response_model=Schemas)
async def assistant_schemas(assistant_id: str, services: Services) -> Response:
    """What its graph takes, gives and keeps, as JSON schemas."""
    async with graph_of(services, assistant_id) as (graph_id, graph):
        return answer(await asyncio.to_thread(describe.schemas, graph_id, graph))


@router.get("/{assistant_id}/graph", response_model=Drawing)
async def assistant_graph(
    assistant_id: str,
    services: Services,
    xray: Annotated[str, Query(description="true: with all subgraphs; a number: down to that depth")] = "false",
) -> Response:
    """Nodes and edges."""
    depth = _xray(xray)
    async with graph_of(services, assistant_id) as (_, graph):
        return answer(await asyncio.to_thread(describe.drawing, graph, depth))


@router.get("/{assistant_id}/subgraphs", response_model=dict[str, Schemas])
@router.get("/{assistant_id}/subgraphs/{namespace}", response_model=dict[str, Schemas])
async def assistant_subgraphs(
    assistant_id: str,
    services: Services,
    namespace: str | None = None,
    recurse: Annotated[bool, Query(description="with the subgraphs of subgraphs")] = False,
) -> Response:
    """Schemas of the graph's subgraphs, by namespace."""
    async with graph_of(services, assistant_id) as (_, graph):
        return answer(await asyncio.to_thread(describe.subgraphs, graph, namespace, recurse))


@asynccontextmanager
async def graph_of(services: ApiServices, assistant_id: str) -> "AsyncIterator[tuple[str, Graph]]":
    assistant = await services.assistants.get(assistant_id)
    config = with_configurable(assistant.config, services.told)
    async with services.graphs.opened(assistant.graph_id, "assistants.read", config) as graph:
        yield assistant.graph_id, graph


def _xray(text: str) -> bool | int:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isascii() and text.isdecimal() and 0 < len(text) < 5 and int(text) > 0:
        return int(text)
    raise Unprocessable(f"xray: {text[:20]!r} is no depth", "send true, false, or a number from 1", "bad_xray")
