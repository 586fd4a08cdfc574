"""`trireme up`: the whole stack in the foreground, until Ctrl-C."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from serving.cli.watch import watched
from serving.processes.stack import Stack
from serving.settings import load_settings

if TYPE_CHECKING:
    from serving.hosting.config import Hosting


async def stay_up(routes: Path | None, config: Path | None) -> int:
    settings = load_settings()
    named = {name: path for name, path in (("routes", routes), ("config", config)) if path}
    settings = settings.model_copy(update=named)
    hosting = _hosting(settings.config)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stack = Stack(settings)
    starting = asyncio.create_task(stack.start(settings.port, worker=True))
    await asyncio.wait([starting, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return 130
    url = starting.result()
    print(f"API        {url}      (docs: {url}/docs, metrics: {url}/metrics)")
    if hosting and hosting.graphs:
        print(f"Graphs     {', '.join(hosting.graphs)}")
    for line in hosting.unused if hosting else ():
        print(f"Note       {settings.config}: {line}")
    print(f"Postgres   {'DATABASE_URL' if settings.database_url else stack.dsn}")
    print(f"Logs       {settings.home / 'logs'}")
    print('Try        trireme run "..." --docs DIR      Ctrl-C stops', flush=True)
    try:
        async with watched(stack, sys.stdout):
            await stop.wait()
    finally:
        print("stopping; runs under way go on at the next start", flush=True)
        await stack.stop()
    return 0


def _hosting(config: Path | None) -> "Hosting | None":
    """What langgraph.json says. Raises SettingsError before anything starts."""
    from serving.hosting.config import read_hosting

    return read_hosting(config) if config else None
