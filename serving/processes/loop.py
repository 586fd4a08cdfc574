"""The loop that a worker runs on, which outlives a `sys.exit` of a graph."""

import asyncio
import logging

log = logging.getLogger(__name__)


class WorkerLoop(asyncio.SelectorEventLoop):
    """A SystemExit of one task ends asyncio's loop, and with it all runs of the process. Here it is that task's end
    alone: whoever awaits the task gets it."""

    def run_forever(self) -> None:
        while True:
            try:
                return super().run_forever()
            except SystemExit:
                log.warning("action=run_graph outcome=called_sys_exit")
