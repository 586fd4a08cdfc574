"""Who waits for a run's end and for nothing else: one question for the status of many runs, and no line of a log."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TypeAlias

import psycopg
from psycopg_pool import PoolTimeout

from serving.database import Pool
from serving.runs.log import standings

Ends: TypeAlias = Callable[[str], bool]  # whether a run that stands so has ended, for who asks
log = logging.getLogger(__name__)


class Endings:
    """Of the process. Asking is its work: who goes away cancels no query."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, dict[asyncio.Future[bool], Ends]] = {}
        self._due: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def over(self, run_id: str, ends: Ends, patience_s: float) -> bool | None:
        """True when the run has ended or is gone, None when it goes on for so long, False when this process stops."""
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(run_id, {})[ended] = ends
        self.ask(run_id)
        try:
            async with asyncio.timeout(patience_s):
                return await ended
        except TimeoutError:
            return None
        finally:
            self._waiting[run_id].pop(ended)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    def ask(self, run_id: str) -> None:
        """Its status may have changed."""
        if run_id in self._waiting:
            self._due.add(run_id)
            self._task = self._task or asyncio.create_task(self._ask())

    def ask_all(self) -> None:
        for run_id in list(self._waiting):
            self.ask(run_id)

    def close(self) -> None:
        for waiting in self._waiting.values():
            _tell(waiting, False)
        if self._task:
            self._task.cancel()

    async def _ask(self) -> None:
        try:
            while self._due:
                run_ids, self._due = list(self._due), set()
                known = await standings(self._pool, run_ids)
                for run_id in run_ids:
                    waiting = self._waiting.get(run_id, {})
                    status = known[run_id][0] if run_id in known else None
                    _tell([ended for ended, ends in waiting.items() if status is None or ends(status)], True)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=endings error=%s outcome=left_to_the_poll", type(error).__name__)
        finally:
            self._task = None


def _tell(waiting: Iterable[asyncio.Future[bool]], over: bool) -> None:
    for ended in waiting:
        if not ended.done():
            ended.set_result(over)
