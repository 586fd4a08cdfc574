"""A subscription followed through a thread's stream, over whatever carries it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from serving.api.reader import Framing, Page
from serving.api.thread_streams.agent_framing import agent_events
from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.framing import EventFraming
from serving.api.thread_streams.subscription import Subscription
from serving.database import Row
from serving.hosting.config import AGENT
from serving.services import ApiServices
from serving.threads.places import Place

_WATCHING_BEHIND_S: Final = 0.05
_ASKS: Final = b'"input.requested"'


async def beginning(services: ApiServices, thread_id: str, wanted: Subscription, since: int | None) -> Place:
    """Behind `since`. Raises Refused for a seq that the thread's stream hasn't."""
    if since is None:
        return await services.thread_tails.begin(services.places, thread_id, watches=wanted.watches)
    asked = Place.of(since)
    if not await services.places.knows(thread_id, asked):
        raise Refused("invalid_argument", f"event {since} is not in this thread's stream; 0 tells all of it")
    return min(asked, await services.places.end(thread_id))


async def fall_behind(wanted: Subscription, data: bytes, *, first: bool) -> None:
    """A client that watches beside its streams of data ends those when it hears of an end or a question: they are told
    of what leads to it first. A question that was there before it came is told at once."""
    if wanted.watches and not (first and _ASKS in data):
        await asyncio.sleep(_WATCHING_BEHIND_S)


async def followed(
    services: ApiServices, thread_id: str, wanted: Subscription, start: Place
) -> AsyncGenerator[Page | None]:
    async with aclosing(stepwise(services, thread_id, wanted, start, plain=False)) as found:
        async for page, _ in found:
            yield page


async def stepwise(
    services: ApiServices, thread_id: str, wanted: Subscription, start: Place, *, plain: bool
) -> AsyncGenerator[tuple[Page | None, int]]:
    """With each page, the seq up to which everything has been told by it."""
    run, reached = start.run, start.seq

    async def framing_of(row: Row, heard: int) -> Framing:
        nonlocal run
        graph, run_id, run = row["graph"] or AGENT, str(row["run_id"]), row["place"]
        if graph == AGENT:
            return await agent_events(services, row, wanted, heard, plain=plain)
        own = bool((row["launch"] or {}).get("all_channels"))
        return EventFraming(run_id, thread_id, graph, row["place"], wanted, heard, plain, own)

    pages = services.thread_tails.follow(services.places, thread_id, start, framing_of)
    async with aclosing(pages) as found:  # type: ignore[type-var]
        async for page in found:
            if page is not None:
                reached = Place(run + 1).seq - 1 if page.over else Place(run, page.last + 1).seq - 1
            yield page, reached
