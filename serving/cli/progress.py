"""Long work of a command: a person at a terminal sees how far it is, and Ctrl-C needn't wait for its end."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from threading import Thread
from typing import ParamSpec, TypeVar

from serving.cli.printable import printable

P = ParamSpec("P")
Result = TypeVar("Result")
_QUICK_S, _EVERY_S = 0.5, 0.2
_CLEARED = "\r\x1b[K"


async def apart(work: Callable[P, Result], *arguments: P.args, **named: P.kwargs) -> Result:
    """As `asyncio.to_thread`, in a thread that nobody waits for when this is cancelled, as the process ends."""
    future: Future[Result] = Future()

    def carry_out() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=carry_out, daemon=True).start()
    return await asyncio.wrap_future(future)


@asynccontextmanager
async def progress(text: Callable[[], str], *, quiet: bool = False) -> AsyncIterator[None]:
    """While the block lasts, a terminal's stderr has one line of `text` and the seconds; nothing else has."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    showing = asyncio.create_task(_show(text))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])


async def _show(text: Callable[[], str]) -> None:
    begun = time.monotonic()
    await asyncio.sleep(_QUICK_S)
    try:
        while True:
            so_far = f"{printable(text())[:100]}, {time.monotonic() - begun:.0f} s"
            print(_CLEARED + so_far, end="", file=sys.stderr, flush=True)
            await asyncio.sleep(_EVERY_S)
    finally:
        print(_CLEARED, end="", file=sys.stderr, flush=True)
