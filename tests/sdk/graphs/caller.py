"""A graph that asks the server it runs in, through a client without an address, and keeps what it loads in a cache."""

import asyncio
from datetime import timedelta
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph_sdk import get_client
from langgraph_sdk.cache import cache_get, cache_set, swr
from typing_extensions import TypedDict

client = get_client()
_loaded: list[str] = []


class State(TypedDict, total=False):
    key: str
    thread: str
    waited: Any
    streamed: list[str]
    asked: Any
    cached: list[Any]


async def wait(state: State) -> State:
    """For a run of its own: nothing of this one's config goes with it."""
    thread = (await client.threads.create(metadata={"made_by": "caller"}))["thread_id"]
    return {"thread": thread, "waited": await client.runs.wait(thread, "slow", input={"steps": 2})}


async def stream(state: State) -> State:
    """Of a run that goes on for minutes, as far as its first word."""
    thread, events = (await client.threads.create())["thread_id"], []
    async for part in client.runs.stream(thread, "slow", input={"delay": 100.0}, stream_mode="custom"):
        events.append(part.event)
        if part.event == "custom":
            break
    await client.threads.delete(thread)
    return {"streamed": events}


def ask(state: State) -> State:
    """A node that isn't async has a loop of its own."""

    async def asked() -> Any:
        return await get_client().threads.get(state["thread"])

    return {"asked": asyncio.run(asked())}


async def remember(state: State) -> State:
    key = state["key"]

    async def load() -> str:
        _loaded.append(key)
        return f"{key} {_loaded.count(key)}"

    found = [(await swr(key, load, fresh_for=timedelta(minutes=1))).value for _ in range(2)]
    before = await cache_get(f"{key} plain")
    await cache_set(f"{key} plain", {"n": 1}, ttl=timedelta(minutes=1))
    return {"cached": [*found, before, await cache_get(f"{key} plain")]}


graph = StateGraph(State).add_sequence([wait, stream, ask, remember]).add_edge(START, "wait")
