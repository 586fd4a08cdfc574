"""What a client of the SDK sends."""

from collections.abc import Callable
from typing import Any

import httpx
from langgraph_sdk.client import LangGraphClient


def watch(client: Any, seen: list[httpx.Request]) -> None:
    """Every request from here on is `seen`."""

    async def heard(request: httpx.Request) -> None:
        seen.append(request)

    hook: Callable[..., Any] = heard if isinstance(client, LangGraphClient) else seen.append
    client.http.client.event_hooks["request"].append(hook)
