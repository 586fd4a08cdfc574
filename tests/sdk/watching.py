"""What a client of the SDK sends, and when it is answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from langgraph_sdk.client import LangGraphClient


def watch(client: Any, seen: list[httpx.Request]) -> None:
    """Every request from here on is `seen`."""

    async def heard(request: httpx.Request) -> None:
        seen.append(request)

    hook: Callable[..., Any] = heard if isinstance(client, LangGraphClient) else seen.append
    client.http.client.event_hooks["request"].append(hook)


@asynccontextmanager
async def until_answered(client: Any) -> AsyncIterator[None]:
    """Behind the block, the head of the next answer has come. A stream's server knows by then where the reader is."""
    loop, answered = asyncio.get_running_loop(), asyncio.Event()

    def heard(_: httpx.Response) -> None:
        loop.call_soon_threadsafe(answered.set)

    async def heard_on_the_loop(_: httpx.Response) -> None:
        answered.set()

    hooks = client.http.client.event_hooks["response"]
    hooks.append(heard_on_the_loop if isinstance(client, LangGraphClient) else heard)
    yield
    await asyncio.wait_for(answered.wait(), 60)
    hooks.pop()
