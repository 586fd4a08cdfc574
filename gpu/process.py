"""One vLLM process under our care: started, awaited until it serves, drained and stopped with all its children."""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

import httpx

from gpu.engines import API_KEY_VARIABLE, Engine, launch_arguments
from gpu.errors import EngineError, EngineUnavailable
from gpu.probe import is_healthy

POLL_SECONDS = 1.0


def command(engine: Engine, host: str, port: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The argv for a deployment that pins and guards the engine by environment variables.

    Raises EngineError when the API key or the revision is missing: an open or unpinned server never starts.
    """
    if not environment.get(API_KEY_VARIABLE):
        raise EngineError(f"engine {engine.name!r}: set {API_KEY_VARIABLE}, or anyone could use the GPU")
    return launch_arguments(engine.pinned(environment.get(engine.revision_variable, "")), host, port)


class EngineProcess:
    """Owns a server process and its group. `stop` is safe to call at any time and more than once."""

    def __init__(self, argv: Sequence[str]) -> None:
        """Starts at once. Raises EngineError when the program isn't there."""
        self._stopped = False
        try:
            self._process = subprocess.Popen(argv, start_new_session=True)
        except OSError as error:
            raise EngineError(f"can't start {argv[0]!r}: {error.strerror}; is vLLM installed in this image?") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until_healthy(self, url: str, timeout_s: float, poll_s: float = POLL_SECONDS) -> None:
        """Returns when `url`/health answers 200. Else stops the process and raises EngineUnavailable."""
        deadline = time.monotonic() + timeout_s
        async with httpx.AsyncClient() as client:
            while not await is_healthy(client, url):
                if (status := self._process.poll()) is not None:
                    raise EngineUnavailable(f"the server ended with status {status} while loading; its log says why")
                if time.monotonic() > deadline:
                    await self.stop(grace_s=5)
                    raise EngineUnavailable(f"{url} not healthy after {timeout_s:g} s; its log says how far it came")
                await asyncio.sleep(poll_s)

    async def stop(self, grace_s: float) -> int:
        """SIGTERM lets vLLM drain; what is left after `grace_s` is killed. Returns the exit status."""
        if not self._stopped:
            self._stopped = True
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, grace_s)
            # Engine cores are processes of their own: a parent that died early would leave them on the GPU.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return await asyncio.to_thread(self._process.wait)
