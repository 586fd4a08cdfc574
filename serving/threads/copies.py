"""Threads that begin with a state: from a history that the caller sends, or from another thread."""

from typing import Any

from serving.database import new_id
from serving.threads.saved import Saved
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.threads.thread import NewThread


async def create(threads: ThreadStore, states: States, new: NewThread) -> dict[str, Any]:
    """A thread whose supersteps can't be applied isn't made. Raises as ThreadStore.create, and Unprocessable."""
    thread, made = await threads.create(new)
    if not (made and new.supersteps):
        return thread
    try:
        await states.replay(thread["thread_id"], (new.metadata or {}).get("graph_id"), new.supersteps)
    except BaseException:
        await threads.delete_all([thread["thread_id"]])
        raise
    return await threads.get(thread["thread_id"])


async def copy(threads: ThreadStore, saved: Saved, thread: str) -> dict[str, Any]:
    """Its checkpoints first: a copy that is seen is whole."""
    source, target = (await threads.get(thread))["thread_id"], new_id()
    try:
        await saved.copy(source, target)
        await threads.copy_row(source, target)
    except BaseException:
        await threads.delete_all([target])
        raise
    return await threads.get(target)
