"""Threads as the LangGraph SDK calls them."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import IdempotencyKey
from serving.api.sdk.schemas import Pruned, Thread, ThreadPart
from serving.services import ApiServices
from serving.threads.copies import copy, create
from serving.threads.search import ThreadFilter, ThreadSearch, count, search
from serving.threads.sweep import prune
from serving.threads.thread import NewThread, ThreadChange, ThreadCopy, ThreadPrune, told

router = APIRouter(prefix="/threads", tags=["threads"])


@router.post("", response_model=Thread)
async def create_thread(body: NewThread, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """With `supersteps`, their updates are applied one after the other: a copy of a thread from elsewhere."""
    return answer(await told(await made(services, body, idempotency_key), services.restore))


async def made(services: ApiServices, body: NewThread, idempotency_key: str | None) -> dict[str, Any]:
    """A thread, for `told`; the same one however often it is sent with the same key."""
    async with services.idempotency.once("thread", idempotency_key, body) as claim:
        if claim:
            body = claim.named(body, "thread")
        return await create(services.threads, services.states, body, services.held, claim=claim)


@router.post("/search", response_model=list[ThreadPart])
async def search_threads(body: ThreadSearch, services: Services) -> Response:
    """A page; `X-Pagination-Next` is the offset of the next one."""
    found = await search(services.threads, body, agents=services.sees_the_agent)
    return answer([await told(thread, services.restore) for thread in found.rows], found.headers)


@router.post("/count", response_model=int)
async def count_threads(body: ThreadFilter, services: Services) -> Response:
    return answer(await count(services.threads, body, agents=services.sees_the_agent))


@router.post("/prune", response_model=Pruned)
async def prune_threads(body: ThreadPrune, services: Services) -> Response:
    """Deletes threads, or all that they keep but their latest state."""
    return answer({"pruned_count": await prune(services.threads, services.states.saved, body)})


@router.get("/{thread_id}", response_model=Thread)
async def get_thread(
    thread_id: str,
    services: Services,
    include: Annotated[str, Query(description="`ttl`: also when it is swept", max_length=200)] = "",
) -> Response:
    thread = await services.threads.get(thread_id, ttl="ttl" in include.split(","))
    return answer(await told(thread, services.restore))


@router.patch("/{thread_id}", response_model=Thread, responses={204: {"description": "Changed; not shown, as asked"}})
async def update_thread(
    thread_id: str, body: ThreadChange, services: Services, prefer: Annotated[str, Header()] = ""
) -> Response:
    """Merges the metadata. With `Prefer: return=minimal` the answer is 204, without a body."""
    id_ = await services.threads.update(thread_id, body)
    if "return=minimal" in prefer:
        return Response(status_code=204)
    return answer(await told(await services.threads.get(id_), services.restore))


@router.delete("/{thread_id}", status_code=204)
async def delete_thread(thread_id: str, services: Services) -> None:
    """With its runs, their logs and its checkpoints."""
    await services.threads.delete(thread_id)


@router.post("/{thread_id}/copy", response_model=Thread)
async def copy_thread(thread_id: str, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """A new thread with the same metadata, state and history, and without runs."""
    async with services.idempotency.once("copy", idempotency_key, ThreadCopy(thread_id=thread_id)) as claim:
        made = await copy(services.threads, services.states.saved, thread_id, claim)
    return answer(await told(made, services.restore))
