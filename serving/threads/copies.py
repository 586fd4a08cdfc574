"""Threads that begin with a state: from a history that the caller sends, or from another thread."""

from contextlib import nullcontext, suppress
from typing import Any

from serving.auth.filters import EVERYTHING, Held
from serving.database import new_id
from serving.errors import Conflict, ServingError
from serving.idempotency import Claim
from serving.threads.saved import Saved
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.threads.thread import NewThread


async def create(
    threads: ThreadStore, states: States, new: NewThread, held: Held = EVERYTHING, *, claim: Claim | None = None
) -> dict[str, Any]:
    """A thread whose supersteps can't be applied isn't made; of a `claim` they may be left from an earlier try. Takes
    and raises what ThreadStore.create does."""
    thread, made = await threads.create(new, held)
    again = claim is not None and claim.again
    if not new.supersteps or not (made or (again and thread["values"] is None)):
        return thread
    try:
        await states.replay(thread["thread_id"], (new.metadata or {}).get("graph_id"), new.supersteps)
    except BaseException as error:
        if made and _is_nobodys(claim, error):
            await threads.delete_all([thread["thread_id"]])
        raise
    return await threads.get(thread["thread_id"])


async def copy(threads: ThreadStore, saved: Saved, thread: str, claim: Claim | None = None) -> dict[str, Any]:
    """Its checkpoints first: a copy that is seen is whole. With a `claim` it is made once; what an earlier try has left
    is finished."""
    target, again = claim.id if claim else new_id(), claim is not None and claim.again
    if again and await threads.has(target):
        return await threads.get(target)
    source = (await threads.get(thread))["thread_id"]
    try:
        with suppress(Conflict) if again else nullcontext():  # they are there, whole
            await saved.copy(source, target)
        await threads.copy_row(source, target)
    except BaseException as error:
        if _is_nobodys(claim, error):
            await threads.delete_all([target])
        raise
    return await threads.get(target)


def _is_nobodys(claim: Claim | None, error: BaseException) -> bool:
    """Whether what is half made is to go: with a claim, another request may make it whole, now or later."""
    return claim is None or isinstance(error, ServingError)
