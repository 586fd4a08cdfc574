"""Assistants as the LangGraph SDK calls them."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from serving.api.runs import Services
from serving.api.sdk.answer import answer, page
from serving.assistants.assistant import Assistant, AssistantChange, AssistantVersion, NewAssistant
from serving.assistants.search import AssistantFilter, AssistantSearch, count, search

router = APIRouter(prefix="/assistants", tags=["assistants"])


class Versions(BaseModel):
    metadata: dict[str, object] | None = None
    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, le=2**31)


class Latest(BaseModel):
    version: int = Field(ge=1, lt=2**31)


@router.post("", response_model=Assistant)
async def create_assistant(body: NewAssistant, services: Services) -> Response:
    """A hosted graph with settings of your own."""
    return answer(await services.assistants.create(body))


@router.post("/search", response_model=list[Assistant])
async def search_assistants(body: AssistantSearch, services: Services) -> Response:
    """A page; `X-Pagination-Next` is the offset of the next one."""
    return page(await search(services.assistants, body))


@router.post("/count", response_model=int)
async def count_assistants(body: AssistantFilter, services: Services) -> Response:
    return answer(await count(services.assistants, body))


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
