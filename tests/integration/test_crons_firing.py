"""A cron's run is made once: whoever looks, whoever dies, however long nobody looked."""

import asyncio
import multiprocessing
import signal
import time
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from graph.faults import Faults, install
from privacy.detect import Detector
from privacy.redact import Redactor
from serving.assistants.assistant import system_assistant_id
from serving.assistants.store import AssistantStore
from serving.auth.callers import Callers
from serving.crons.cron import NewCron
from serving.crons.firing import Clockwork, Maker
from serving.crons.store import CronStore
from serving.database import Pool, open_pool
from serving.hosting.config import AGENT
from serving.hosting.graphs import Graphs
from serving.profiles.store import ProfileStore
from serving.runs.launches import Launches
from serving.runs.notices import Notices
from serving.vault import PostgresVault
from tests.integration.run_house import KEY

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.integration.test_crons_firing"])
_GOAL = {"input": {"goal": "What is new? Tell bo@example.com"}}


class Place:
    """A database with crons of the agent, which are due when they are told to be."""

    def __init__(self, pool: Pool, dsn: str) -> None:
        self.pool, self.dsn = pool, dsn
        self.crons, self.assistants = CronStore(pool), AssistantStore(pool, Graphs())

    def clockwork(self) -> Clockwork:
        redactor = Redactor(Detector(), PostgresVault(self.dsn, KEY))
        maker = Maker(
            self.assistants, Launches(self.pool, Notices(self.pool), Callers(KEY)), ProfileStore(self.pool), redactor
        )
        return Clockwork(self.pool, lambda _: maker)

    async def cron(self, thread: str | None = None, **asked: Any) -> str:
        await self.assistants.get(AGENT)
        given = {"schedule": "0 0 1 1 *", **_GOAL, **asked}
        new = NewCron.model_validate({"assistant_id": AGENT, **given})
        payload = new.payload() | {"assistant_id": system_assistant_id(AGENT)}
        return str((await self.crons.create(new, thread, payload, None))["cron_id"])

    def due(self, cron: str, ago: timedelta = timedelta()) -> None:
        self.rows("update crons set next_run_date = now() - %s where cron_id = %s", ago, cron)

    def next(self, cron: str) -> datetime | None:
        ((found,),) = self.rows("select next_run_date from crons where cron_id = %s", cron)
        date: datetime | None = found
        return date

    def runs(self) -> list[Any]:
        return self.rows("select metadata ->> 'cron_id', metadata ->> 'cron_due', status, request from runs")

    def rows(self, query: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            done = connection.execute(query.encode(), values)
            return done.fetchall() if done.description else []


@pytest.fixture
def place(pool: Pool, database: str) -> Place:
    return Place(pool, database)


async def test_one_run_is_made_whoever_looks(place: Place) -> None:
    cron = await place.cron()
    works = [place.clockwork() for _ in range(4)]
    for times in (1, 2, 3):
        place.due(cron)
        assert sum(await asyncio.gather(*(work.fire() for work in works))) == 1
        assert len(place.runs()) == times
        date = place.next(cron)
        assert date
        assert date.minute == 0
    assert {run[0] for run in place.runs()} == {cron}
    assert len({run[1] for run in place.runs()}) == 3
    assert sum(await asyncio.gather(*(work.fire() for work in works))) == 0


async def test_what_a_run_is_asked_holds_no_personal_value(place: Place) -> None:
    cron = await place.cron()
    place.due(cron)
    await place.clockwork().fire()
    ((*_, request),) = place.runs()
    assert request["goal"].startswith("What is new? Tell [EMAIL")


async def test_what_was_missed_is_made_once(place: Place) -> None:
    cron = await place.cron(schedule="0 0 1 * *")
    place.due(cron, timedelta(days=400))
    work = place.clockwork()
    assert await work.fire() == 1
    assert await work.fire() == 0
    assert len(place.runs()) == 1


async def test_behind_its_end_a_cron_makes_nothing(place: Place) -> None:
    over, last = await place.cron(), await place.cron()
    for cron, minutes in ((over, -1), (last, 1)):
        place.due(cron)
        end = timedelta(minutes=minutes)
        place.rows("update crons set end_time = now() + %s, schedule = '0 0 1 1 *' where cron_id = %s", end, cron)
    assert await place.clockwork().fire() == 2
    assert [place.next(cron) for cron in (over, last)] == [None, None]
    assert [run[0] for run in place.runs()] == [last]


async def test_a_cron_at_rest_makes_nothing_and_misses_nothing_when_it_goes_on(place: Place) -> None:
    cron = await place.cron(enabled=False)
    place.due(cron)
    assert await place.clockwork().fire() == 0
    body = {"enabled": True}
    row = await place.crons.get(cron)
    await place.crons.update(cron, NewCron.model_validate({**row["payload"], **body}), {**row["payload"], **body})
    assert await place.clockwork().fire() == 0
    assert place.runs() == []


async def test_a_busy_thread_that_rejects_others_skips_the_run(place: Place) -> None:
    thread = "22222222-2222-2222-2222-222222222222"
    place.rows("insert into threads (thread_id) values (%s)", thread)
    cron, work = await place.cron(thread, multitask_strategy="reject"), place.clockwork()
    for _ in range(2):
        place.due(cron)
        assert await work.fire() == 1
    assert len(place.runs()) == 1
    place.rows("update runs set status = 'success', finished_at = now()")
    place.due(cron)
    assert await work.fire() == 1
    assert len(place.runs()) == 2


async def test_a_cron_that_cannot_be_made_keeps_no_other_from_it(place: Place) -> None:
    broken, well = await place.cron(), await place.cron()
    place.rows('update crons set payload = \'{"input": {"goal": ""}}\' where cron_id = %s', broken)
    place.rows("update crons set schedule = 'once a version could read this' where cron_id = %s", broken)
    for cron in (broken, well):
        place.due(cron)
    assert await place.clockwork().fire() == 2
    assert [run[0] for run in place.runs()] == [well]
    assert place.next(broken) is None


@pytest.mark.parametrize(("point", "made"), [("cron.ready", 0), ("cron.committed", 1)])
async def test_a_worker_that_is_killed_loses_and_doubles_nothing(place: Place, point: str, made: int) -> None:
    cron = await place.cron()
    place.due(cron)
    process = _PROCESSES.Process(target=_killed, args=(place.dsn, f"{point}=kill"))
    process.start()
    await asyncio.to_thread(process.join, 120)
    assert process.exitcode == -signal.SIGKILL
    assert len(place.runs()) == made
    work, until = place.clockwork(), time.monotonic() + 60
    while await work.fire() != 1 - made:  # until Postgres has noticed that it is gone
        assert time.monotonic() < until
    ((whose, _, status, _),) = place.runs()
    assert (whose, status) == (cron, "pending")
    assert await work.fire() == 0


def _killed(dsn: str, faults: str) -> None:
    asyncio.run(_fire(dsn, faults))


async def _fire(dsn: str, faults: str) -> None:
    async with open_pool(dsn) as pool:
        install(Faults(faults, RuntimeError))
        await Place(pool, dsn).clockwork().fire()
