"""`trireme up`: the whole stack in the foreground, until Ctrl-C."""

import asyncio
import signal
from pathlib import Path

from serving.errors import StartFailed
from serving.settings import load_settings
from serving.stack import Stack

_LOOK_S = 0.5


async def stay_up(routes: Path | None) -> int:
    settings = load_settings()
    if routes:
        settings = settings.model_copy(update={"routes": routes})
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
    print(f"Postgres   {'DATABASE_URL' if settings.database_url else stack.dsn}")
    print(f"Logs       {settings.home / 'logs'}")
    print('Try        trireme run "..." --docs DIR      Ctrl-C stops', flush=True)
    try:
        await _watch(stack, stop)
    finally:
        print("stopping; runs under way go on at the next start", flush=True)
        await stack.stop()
    return 0


async def _watch(stack: Stack, stop: asyncio.Event) -> None:
    """Starts what died again; a worker's runs have gone on elsewhere or will go on in the new one."""
    while not stop.is_set():
        for name in stack.restart():
            print(f"the {name} process ended; starting it again", flush=True)
        if stack.lost_database():
            print("Postgres ended; starting it again", flush=True)
            try:
                await stack.restart_database()
            except StartFailed as error:
                print(f"trireme: {error}", flush=True)
        try:
            async with asyncio.timeout(_LOOK_S):
                await stop.wait()
        except TimeoutError:
            continue
