"""Code that runs in a thread of its own, as a graph's sync nodes do, asks the loop that serves it: by itself, or from a
loop that it runs there."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait_for(asked: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop, instead: str) -> Result:
    """What the coroutine gives on `loop`. Raises RuntimeError, with what to call `instead`, on the loop's own thread:
    there it would wait for itself."""
    try:
        running: Any = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is loop:
        asked.close()
        raise RuntimeError(f"in async code call {instead}")
    return asyncio.run_coroutine_threadsafe(asked, loop).result()


async def served_on(loop: asyncio.AbstractEventLoop, asked: Coroutine[Any, Any, Result]) -> Result:
    """What the coroutine gives on `loop`, awaited on any: what it waits for there wakes no other loop."""
    if asyncio.get_running_loop() is loop:
        return await asked
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, loop))
