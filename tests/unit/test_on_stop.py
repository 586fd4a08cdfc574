"""Which signals stop a worker."""

import subprocess
import sys

_PROCESS = """
import asyncio, os, signal
from serving.processes.serve import on_stop

async def main():
    stopped = asyncio.Event()
    signal.signal(signal.SIGUSR1, lambda *_: print("the node's"))
    on_stop(lambda: print("at once"), stopped.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.sleep(0.3)
    print("goes on")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(stopped.wait(), 60)

asyncio.run(main())
"""


def test_a_signal_that_a_node_handles_stops_nothing_and_sigterm_does() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, timeout=90)
    assert done.stdout.splitlines() == ["the node's", "goes on", "at once"], done.stderr
