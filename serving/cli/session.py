"""A command's connection to a server: the one that runs already, or one started for as long as the command takes."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serving.cli.client import Client
from serving.cli.watch import watched
from serving.processes.stack import Stack
from serving.settings import Settings


@asynccontextmanager
async def connected(settings: Settings, *, worker: bool) -> AsyncIterator[Client]:
    """TRIREME_URL, else the stack of this home, else a stack of our own that is stopped at the end."""
    key = settings.api_key.get_secret_value() if settings.api_key else None
    if settings.url:
        async with Client(settings.server_url, key) as client:
            yield client
        return
    # One for a single command needs nobody from elsewhere, and no keys for them.
    stack = Stack(settings.model_copy(update={"host": "127.0.0.1"}))
    if other := await stack.join(worker=worker):
        async with Client(other.url, key) as client:
            yield client
        return
    url = await stack.start(0, worker=worker)
    try:
        async with watched(stack, sys.stderr), Client(url, key) as client:
            yield client
    finally:
        await stack.stop(patient=True)
