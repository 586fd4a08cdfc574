"""What has died of a stack is started again, for as long as the command that owns it needs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TextIO

from serving.errors import StartFailed
from serving.processes.stack import Stack

_LOOK_S = 0.5


@asynccontextmanager
async def watched(stack: Stack, told: TextIO) -> AsyncIterator[None]:
    """Says what it starts in `told`, a line each."""
    watching = asyncio.create_task(_watch(stack, told))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(stack: Stack, told: TextIO) -> None:
    """A worker's runs have gone on elsewhere or will go on in the new one."""
    while True:
        for name in stack.restart():
            print(f"the {name} process ended; starting it again", file=told, flush=True)
        if stack.lost_database():
            print("Postgres ended; starting it again", file=told, flush=True)
            try:
                await stack.restart_database()
            except StartFailed as error:
                print(f"trireme: {error}", file=told, flush=True)
        await asyncio.sleep(_LOOK_S)
