"""The processes that an attempt starts: they are known to it, and end with it.

They are known by the context they are started in, which travels with tasks, `asyncio.to_thread` and LangGraph's
executor. One that is to outlive its run is started in a context of its own (`contextvars.Context().run`).
"""

import asyncio
import subprocess
from contextvars import ContextVar
from functools import wraps
from threading import Lock, Thread
from typing import Any

from serving.errors import ServingError
from serving.processes.table import Processes, began, end, live

_OF_ATTEMPT: ContextVar["Children | None"] = ContextVar("children", default=None)
_LOOK_S = 0.02


class Children:
    """Of one attempt. A loop that is blocked must not keep them alive, so a thread of their own ends them."""

    def __init__(self) -> None:
        self._lock, self._ended = Lock(), False
        self._started: Processes = {}
        self._endings: list[Thread] = []

    def adopt(self) -> None:
        """From here on those that the current task starts."""
        _OF_ATTEMPT.set(self)

    def end(self) -> None:
        """From any thread, at once: SIGTERM, then SIGKILL, to what lives, with all below it. No more may start."""
        with self._lock:
            self._ended = True
            self._end_started()

    async def gone(self) -> None:
        """Once they are ended: until that is so, at most a second."""
        while any(thread.is_alive() for thread in self._endings):
            await asyncio.sleep(_LOOK_S)

    def live(self) -> bool:
        """Whether one of them is there."""
        with self._lock:
            return live(self._started)

    def refuse(self) -> None:
        """Raises ServingError for a graph that goes on behind its end."""
        if self._ended:
            raise ServingError("the run's attempt has ended: it starts no process any more", code="run_ended")

    def add(self, pid: int) -> None:
        with self._lock:
            self._started[pid] = began(pid)
            if self._ended:
                self._end_started()

    def _end_started(self) -> None:
        if self._started:
            started, self._started = self._started, {}
            self._endings.append(Thread(target=end, args=(started,), name="end-children"))
            self._endings[-1].start()


def watch() -> None:
    """From now on in this process `subprocess.Popen` tells the attempt, and so does all that is built on it, asyncio's
    subprocesses too."""
    begin = subprocess.Popen.__init__
    if hasattr(begin, "__wrapped__"):
        return

    @wraps(begin)
    def started(process: "subprocess.Popen[Any]", *arguments: Any, **options: Any) -> None:
        children = _OF_ATTEMPT.get()
        if children is None:
            begin(process, *arguments, **options)
            return
        children.refuse()
        begin(process, *arguments, **_grouped(options))
        children.add(process.pid)

    subprocess.Popen.__init__ = started  # type: ignore[assignment,method-assign]


def _grouped(options: dict[str, Any]) -> dict[str, Any]:
    """In a group of its own: by it those below are known when those between have ended. A caller's word stands."""
    if options.get("preexec_fn") or options.get("start_new_session") or "process_group" in options:
        return options
    return {**options, "process_group": 0}
