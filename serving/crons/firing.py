"""Makes the runs of crons that are due; in every worker, and each run once.

A run and the date of its cron's next one are one transaction: whoever dies before its commit leaves the cron due, and
whoever dies behind it has made the run. What was due while no worker was there is made once, not once for each time.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from graph.faults import point
from privacy.redact import Redactor
from serving.assistants.store import AssistantStore
from serving.crons.schedule import following
from serving.database import Connection, Pool, Row, fetch_all
from serving.errors import ServingError
from serving.profiles.store import ProfileStore
from serving.runs.launches import Asked, Launches, Told
from serving.runs.requests.asking import asked_of
from serving.runs.requests.launch import NewRun

_POLL_S: Final = 0.5
_MOST: Final = 100
_DUE: LiteralString = """
select *, now() from crons where enabled and next_run_date <= now() order by next_run_date limit %s
"""
# A run's row is locked before its thread's, and that before the cron's, as when a thread is deleted: so this lock comes
# first, and it is for those who fire alone.
_MINE: LiteralString = """
select from crons where cron_id = %(cron_id)s and next_run_date = %(next_run_date)s and updated_at = %(updated_at)s
    and enabled and pg_try_advisory_xact_lock(hashtextextended(cron_id::text, 0))
"""
_MOVE: LiteralString = """
update crons set next_run_date = %(next)s
where cron_id = %(cron_id)s and next_run_date = %(next_run_date)s and updated_at = %(updated_at)s and enabled
"""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Maker:
    """What runs are made with; one tenant's."""

    assistants: AssistantStore
    launches: Launches
    profiles: ProfileStore
    redactor: Redactor


class Clockwork:
    """`maker_of` gives what a tenant's runs are made with."""

    def __init__(self, pool: Pool, maker_of: Callable[[str], Maker]) -> None:
        self._pool, self._maker_of = pool, maker_of

    async def serve(self) -> None:
        """For ever."""
        while True:
            try:
                while await self.fire() == _MOST:
                    pass
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("action=fire error=%s retry_s=%s", type(error).__name__, _POLL_S)
            await asyncio.sleep(_POLL_S)

    async def fire(self) -> int:
        """Makes the runs that are due; returns how many crons have gone on to their next one."""
        due = await fetch_all(self._pool, _DUE, (_MOST,))
        return sum([await self._fired(cron) for cron in due])

    async def _fired(self, cron: Row) -> bool:
        """What goes wrong with one cron keeps no other from being due."""
        try:
            maker = self._maker_of(cron["tenant"])
            return await self._made(cron, maker, await _asked(maker, cron))
        except Exception as error:
            log.warning("action=fire cron=%s error=%s retry_s=%s", cron["cron_id"], type(error).__name__, _POLL_S)
            return False

    async def _made(self, cron: Row, maker: Maker, asked: Asked | None) -> bool:
        """False when another worker makes it, or the cron was changed meanwhile."""
        moved = False
        told: Told = ()
        async with self._pool.connection() as connection, connection.transaction():
            if not (await connection.execute(_MINE, cron)).rowcount:
                return False
            told = await _created(connection, cron, maker, asked)
            point("cron.ready")
            moved = bool((await connection.execute(_MOVE, {**cron, "next": _next(cron)})).rowcount)
            if not moved:
                raise psycopg.Rollback
        if moved:
            point("cron.committed")
            maker.launches.tell(told)
        return moved


async def _asked(maker: Maker, cron: Row) -> Asked | None:
    """None where there is nothing to be made: its end has come, or what it asks for is gone."""
    if cron["end_time"] and cron["end_time"] < cron["now"]:
        return None
    thread_id = cron["thread_id"] and str(cron["thread_id"])
    try:
        new = NewRun.model_validate({**cron["payload"], "on_completion": cron["on_run_completed"] or "keep"})
        assistant = await maker.assistants.get(str(cron["assistant_id"]))
        asked = await asked_of(maker, thread_id, new, assistant)
    except (ServingError, ValidationError) as error:
        _skipped(cron, error)
        return None
    whose = {"cron_id": str(cron["cron_id"]), "cron_due": cron["next_run_date"].isoformat()}
    return replace(asked, metadata={**asked.metadata, **whose})


async def _created(connection: Connection, cron: Row, maker: Maker, asked: Asked | None) -> Told:
    """A busy thread that is to refuse other runs refuses this one."""
    if asked is None:
        return ()
    try:
        row, told = await maker.launches.create_in(connection, asked)
    except ServingError as error:
        _skipped(cron, error)
        return ()
    log.info("action=fire cron=%s run=%s due=%s", cron["cron_id"], row["run_id"], cron["next_run_date"])
    return told


def _next(cron: Row) -> datetime | None:
    try:
        due = following(cron["schedule"], cron["timezone"], cron["now"])
    except ServingError as error:  # of a schedule that an older version took
        _skipped(cron, error)
        return None
    return due if due and (cron["end_time"] is None or due <= cron["end_time"]) else None


def _skipped(cron: Row, error: ServingError | ValidationError) -> None:
    why = error.code if isinstance(error, ServingError) else "invalid_request"
    log.warning("action=fire cron=%s due=%s outcome=skipped code=%s", cron["cron_id"], cron["next_run_date"], why)
