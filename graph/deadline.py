"""A time limit that keeps nothing of the run that it was for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[asyncio.Timeout]:
    """Like `asyncio.timeout`, whose timer holds the caller's context, and by it the whole run: the loop lets go of a
    timer that is not needed any more only when its time has come, a quarter of an hour after the run has ended."""
    async with asyncio.timeout(None) as limit:
        Context().run(limit.reschedule, asyncio.get_running_loop().time() + seconds)
        yield limit
