"""The loop that a worker runs on, which outlives a `sys.exit` of a graph."""

import asyncio
import logging
from collections.abc import Awaitable, Generator
from typing import Any, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")


class WorkerLoop(asyncio.SelectorEventLoop):
    """A SystemExit of one task ends asyncio's loop, and with it all runs of the process. Here it is that task's end
    alone: whoever awaits the task gets it, and so does whoever runs the loop for it."""

    def run_forever(self) -> None:
        while True:
            try:
                return super().run_forever()
            except SystemExit:
                log.warning("action=run_graph outcome=called_sys_exit")

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        work = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        work.add_done_callback(lambda _: self.stop())  # asyncio's own doesn't for a SystemExit
        return super().run_until_complete(work)
