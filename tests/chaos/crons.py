"""A cron that is due every second, while whoever makes its runs is struck: each time has one run."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.chaos.arena import Arena, rows
from tests.chaos.bout import Bout
from tests.chaos.http import Broken, request

_PATIENCE_S = 30
_CRON = {"assistant_id": "trireme", "schedule": "* * * * * *", "input": {"goal": "What is 2 + 2?"}}
_TWICE = """
select metadata ->> 'cron_id', metadata ->> 'cron_due', count(*) from runs
where metadata ? 'cron_due' group by 1, 2 having count(*) > 1
"""


@asynccontextmanager
async def ticking(bout: Bout) -> AsyncIterator[None]:
    cron = await asyncio.wait_for(_made(bout), _PATIENCE_S)
    try:
        yield
    finally:
        rows(bout.arena.dsn, "update crons set enabled = false where cron_id = %s", cron["cron_id"])
        bout.missed += doubled(bout.arena)


def doubled(arena: Arena) -> Iterator[str]:
    for cron_id, due, times in rows(arena.dsn, _TWICE):
        yield f"cron {cron_id} made {times} runs for {due}"


async def _made(bout: Bout) -> Any:
    """An API that is struck just now may not answer."""
    while True:
        for port in bout.arena.ports:
            with suppress(Broken):
                answer = await request(port, "POST", "/runs/crons", _CRON)
                if answer.status == 200:
                    return answer.json()
        await asyncio.sleep(0.1)
