"""Searching among 100,000 threads, and looking back at a thread of 500 checkpoints, as the SDK does it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, LiteralString

import psycopg
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.acceptance.conftest import Home
from tests.bench.figure import Figure, percentile, table
from tests.bench.running import new_home, running
from tests.sdk.conftest import CONFIG

_THREADS, _USERS, _SEARCHES, _LOOKS = 100_000, 1_000, 200, 20
_CHECKPOINTS: Final = 500
_FILL: LiteralString = """
insert into threads (thread_id, metadata, status, values, created_at, updated_at)
select gen_random_uuid(),
    jsonb_build_object('graph_id', 'chat', 'user', 'u-' || n %% %(users)s, 'tags', jsonb_build_array('t' || n %% 7)),
    case n %% 20 when 0 then 'interrupted' when 1 then 'error' else 'idle' end,
    jsonb_build_object('messages', jsonb_build_array(jsonb_build_object('type', 'human', 'content', repeat('x', 300)))),
    now() - n * interval '1 second', now() - (n * 7919 %% %(threads)s) * interval '1 second'
from generate_series(1, %(threads)s) n
"""


def measure() -> Iterator[Figure]:
    with new_home() as home:
        hosting = Home(home.path, {**home.settings, "TRIREME_CONFIG": str(CONFIG)})
        with running(hosting) as stack:
            with psycopg.connect(stack.dsn, autocommit=True) as connection:
                connection.execute(_FILL, {"users": _USERS, "threads": _THREADS})
                connection.execute("vacuum analyze threads")
            yield from asyncio.run(_figures(stack.url))


async def _figures(url: str) -> list[Figure]:
    async with get_client(url=url) as client:
        return [*await _search_figures(client), *await _history_figures(client)]


async def _search_figures(client: LangGraphClient) -> list[Figure]:
    def user() -> dict[str, Any]:
        return {"user": f"u-{random.randrange(_USERS)}"}

    searches: dict[str, Callable[[], Awaitable[Any]]] = {
        "by a user": lambda: client.threads.search(metadata=user()),
        "by a graph that all have": lambda: client.threads.search(metadata={"graph_id": "chat"}),
        "by graph and status": lambda: client.threads.search(metadata={"graph_id": "chat"}, status="interrupted"),
        "by a user, sorted by creation": lambda: client.threads.search(metadata=user(), sort_by="created_at"),
    }
    about = f"{_THREADS:,} threads, {_SEARCHES} searches one after another, over HTTP"
    return [
        Figure(f"thread search {name}, p95", percentile(await _times(search, _SEARCHES), 95) * 1_000, "ms", 50, about)
        for name, search in searches.items()
    ]


async def _history_figures(client: LangGraphClient) -> list[Figure]:
    figures = []
    for name, thread in (("counters", await _counted(client)), ("messages", await _talked(client))):
        for select in (None, ["next", "metadata", "checkpoint"]):

            async def look(thread: str = thread, select: Any = select) -> None:
                assert len(await client.threads.get_history(thread, limit=1_000, select=select)) == _CHECKPOINTS

            times = await _times(look, _LOOKS)
            what = f"history of {_CHECKPOINTS} checkpoints of {name}{', without values' if select else ''}, p50"
            figures.append(Figure(what, percentile(times, 50) * 1_000, "ms", 200, "all of it in one answer"))
    return figures


async def _counted(client: LangGraphClient) -> str:
    begin = [_step({"steps": 1_000}, "__input__"), _step({"steps": 1_000}, "__start__")]
    steps = [*begin, *([_step({"done": 1}, "step")] * (_CHECKPOINTS - 2))]
    return (await client.threads.create(graph_id="slow", supersteps=steps))["thread_id"]


async def _talked(client: LangGraphClient) -> str:
    """A message of 200 characters every fifth step, as agents talk between their tools."""
    steps = [
        _step(
            {"messages": [{"role": "assistant", "content": "y" * 200, "id": f"m{at}"}]} if at % 5 == 0 else {}, "agent"
        )
        for at in range(_CHECKPOINTS)
    ]
    return (await client.threads.create(graph_id="chat", supersteps=steps))["thread_id"]


def _step(values: dict[str, Any], as_node: str) -> dict[str, Any]:
    return {"updates": [{"values": values, "as_node": as_node}]}


async def _times(act: Callable[[], Awaitable[object]], repeat: int) -> list[float]:
    """The first fills caches, as in a server that is up for a while."""
    await act()
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        await act()
        times.append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    print(table(measure()))
