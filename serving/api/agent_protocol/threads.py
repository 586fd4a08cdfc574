"""Threads of the Agent Protocol: the LangGraph SDK's, with their messages beside the other values."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from serving.api.agent_protocol.failures import ABSENT, UNFIT
from serving.api.agent_protocol.messages import Message, joined, split
from serving.api.refusal import refusals
from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import IdempotencyKey
from serving.api.sdk.threads import made
from serving.errors import Conflict, Unprocessable
from serving.search import Paged
from serving.services import ApiServices
from serving.threads.checkpoint import CheckpointRef
from serving.threads.copies import copy
from serving.threads.search import ThreadFilter, ThreadSearch, search
from serving.threads.thread import IfExists, NewThread, Status, ThreadChange, told

router = APIRouter(prefix="/threads", tags=["Threads"])


class Thread(BaseModel):
    thread_id: str
    created_at: datetime
    updated_at: datetime
    metadata: dict[str, Any]
    status: Status
    values: dict[str, Any] = {}
    messages: list[Message] = []


class ThreadCheckpoint(BaseModel):
    checkpoint_id: str


class ThreadState(BaseModel):
    checkpoint: ThreadCheckpoint
    values: dict[str, Any]
    messages: list[Message] = []
    metadata: dict[str, Any] = {}


class ThreadCreate(BaseModel):
    thread_id: str | None = None
    metadata: dict[str, Any] | None = None
    if_exists: IfExists = "raise"


class ThreadPatch(BaseModel):
    """`metadata` are merged; `values` and `messages` too, by the graph's reducers, as a new checkpoint on top of the
    latest or of the one that is named. A thread without runs has no state until its metadata name a `graph_id`."""

    checkpoint: CheckpointRef | None = None
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None
    messages: list[Message] | None = None


class ThreadSearchRequest(ThreadFilter, Paged):
    pass


@router.post("", response_model=Thread, responses=refusals(409, 422))
async def create_thread(body: ThreadCreate, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    return await _answer(services, await made(services, NewThread(**body.model_dump()), idempotency_key))


@router.post("/search", response_model=list[Thread], responses=UNFIT)
async def search_threads(body: ThreadSearchRequest, services: Services) -> Response:
    """Of those that changed last first; `X-Pagination-Next` is the offset of the next page."""
    found = await search(services.threads, ThreadSearch(**body.model_dump()))
    return answer([await _shown(services, thread) for thread in found.rows], found.headers)


@router.get("/{thread_id}", response_model=Thread, responses=ABSENT)
async def get_thread(thread_id: str, services: Services) -> Response:
    return await _answer(services, await services.threads.get(thread_id))


@router.patch("/{thread_id}", response_model=Thread, responses=ABSENT)
async def patch_thread(thread_id: str, body: ThreadPatch, services: Services) -> Response:
    """Nothing changes where a part of it can't be used; the state is committed before the metadata. 422 while a run of
    the thread is live, when the state is to change."""
    if body.values is None and body.messages is None:
        await services.threads.update(thread_id, ThreadChange(metadata=body.metadata))
    else:
        at, values = body.checkpoint or CheckpointRef(), joined(body.values, body.messages)
        try:
            await services.states.update(thread_id, at, values, None, body.metadata)
        except Conflict as error:
            raise _unprocessable(error) from None
    return await _answer(services, await services.threads.get(thread_id))


@router.delete("/{thread_id}", status_code=204, responses=ABSENT)
async def delete_thread(thread_id: str, services: Services) -> None:
    """With its runs, their logs and its checkpoints."""
    try:
        await services.threads.delete(thread_id)
    except Conflict as error:
        raise _unprocessable(error) from None


@router.post("/{thread_id}/copy", response_model=Thread, responses=ABSENT)
async def copy_thread(thread_id: str, services: Services) -> Response:
    """A new thread with the same metadata, state and history, and without runs."""
    return await _answer(services, await copy(services.threads, services.states.saved, thread_id))


@router.get("/{thread_id}/history", response_model=list[ThreadState], responses=ABSENT)
async def get_thread_history(
    thread_id: str,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 10,
    before: Annotated[str | None, Query(max_length=255)] = None,
) -> Response:
    """Newest first; `before` is a checkpoint's id."""
    until = CheckpointRef(checkpoint_id=before) if before else None
    found = await services.states.history(thread_id, CheckpointRef(), limit=limit, before=until, metadata=None)
    return answer([_state(state) for state in orjson.loads(found)])


def _state(state: dict[str, Any]) -> dict[str, Any]:
    return {"checkpoint": state["checkpoint"], "metadata": state["metadata"], **split(state["values"])}


async def _answer(services: ApiServices, thread: dict[str, Any]) -> Response:
    return answer(await _shown(services, thread))


async def _shown(services: ApiServices, thread: dict[str, Any]) -> dict[str, Any]:
    whole = await told(thread, services.restore)
    kept = {name: whole[name] for name in ("thread_id", "created_at", "updated_at", "metadata", "status")}
    return {**kept, **split(whole["values"])}


def _unprocessable(error: Conflict) -> Unprocessable:
    """The protocol has no 409 there."""
    return Unprocessable(error.message, error.hint, error.code)
