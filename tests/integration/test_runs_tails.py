"""Readers of a log: each sees every line exactly once, notices or not."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import cast

import orjson
import pytest

from graph.events import Noted, RunEvent, RunFinished
from serving.api.reader import Page, frame
from serving.api.stream import Tails
from serving.database import Row
from serving.runs.log import AttemptLog, event_of, read_tail
from serving.runs.notices import LOG_CHANNEL, listen
from serving.runs.queue import Claim
from serving.runs.view import TERMINAL
from tests.integration.run_house import House, gapless, kinds
from tests.integration.test_runs_log import END, claimed, note


async def followed(house: House, run_id: str, after: int = 0, tails: Tails | None = None) -> list[RunEvent]:
    tails = tails or Tails(house.pool)
    polling = asyncio.create_task(tails.serve())
    try:
        return [event_of(row) async for page in tails.follow(run_id, after) if page for row in page.lines]
    finally:
        polling.cancel()


async def test_a_reader_gets_every_line_once_although_every_notice_is_lost(house: House) -> None:
    """Nobody sends and nobody listens: the poll alone carries it."""
    run_id, claim, log = await claimed(house)
    reading = asyncio.create_task(followed(house, run_id))
    for n in range(3):
        await asyncio.sleep(0.01)
        await log.append(note(n))
    await asyncio.sleep(0.2)
    await house.queue.leave(claim, "success", END)
    async with asyncio.timeout(30):
        events = await reading
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6]
    assert kinds(events)[-1] == "run_finished"


@pytest.fixture
async def tails(house: House) -> AsyncIterator[Tails]:
    """Readers whose notices come over Postgres, as in the API process."""
    tails, listens = Tails(house.pool), asyncio.Event()

    def heard(payload: str) -> None:
        listens.set()
        tails.heard(payload)

    parts = [house.notices.serve(), listen(house.dsn, {LOG_CHANNEL: heard})]
    tasks = [asyncio.create_task(part) for part in parts]
    await asyncio.wait_for(listens.wait(), 30)
    yield tails
    for task in tasks:
        task.cancel()


async def test_many_readers_of_many_runs_each_see_their_own_lines_in_order(house: House, tails: Tails) -> None:
    runs = [await claimed(house) for _ in range(4)]
    readings = [asyncio.create_task(followed(house, run_id, 0, tails)) for run_id, _, _ in runs for _ in range(5)]

    async def write(run_id: str, claim: Claim, log: AttemptLog) -> None:
        for n in range(30):
            await log.append(note(f"{run_id} {n}"))
        await house.queue.leave(claim, "success", END)
        house.notices.touched(run_id)

    await asyncio.gather(*(write(*run) for run in runs))
    async with asyncio.timeout(30):
        all_read = await asyncio.gather(*readings)
    for at, events in enumerate(all_read):
        run_id = runs[at // 5][0]
        assert gapless(events)
        assert [e.body.message for e in events if isinstance(e.body, Noted)] == [f"{run_id} {n}" for n in range(30)]


@dataclass(frozen=True)
class Failing:
    """A framing that can't tell one kind of line."""

    kind: str

    def __call__(self, row: Row, body: str) -> str:
        if row["kind"] == self.kind:
            raise ValueError(body)
        return frame(row, body)

    def ends(self, status: str) -> bool:
        return status in TERMINAL


async def test_a_framing_that_raises_ends_its_own_readers_alone(
    house: House, tails: Tails, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, claim, log = await claimed(house)
    await log.append(note("told by some"))

    async def read(kind: str) -> list[str]:
        pages = [page async for page in tails.follow(run_id, 0, Failing(kind)) if page]
        return [row["kind"] for page in pages for row in page.lines]

    broken, others = [[asyncio.create_task(read(kind)) for _ in range(2)] for kind in ("noted", "none")]
    async with asyncio.timeout(30):
        ended = await asyncio.gather(*broken)
    await log.append(note("and on"))
    await house.queue.leave(claim, "success", END)
    house.notices.touched(run_id)
    async with asyncio.timeout(30):
        whole = await asyncio.gather(*others)
    assert ended == [[], []]
    assert whole == [["run_created", "run_claimed", "noted", "noted", "run_finished"]] * 2
    said = [record.getMessage() for record in caplog.records if "action=frame" in record.getMessage()]
    assert said == [f"action=frame run={run_id} error=ValueError"]


async def test_a_notice_wakes_a_reader_without_the_poll(house: House, tails: Tails) -> None:
    run_id, _, log = await claimed(house)
    following = cast(AsyncGenerator[Page | None, None], tails.follow(run_id, 2))
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.3)
    await log.append(note("now"))
    page = await asyncio.wait_for(waiting, 30)
    assert page is not None
    assert [event_of(row).body for row in page.lines] == [note("now")]
    await following.aclose()
    assert tails._tails == {}, "a reader that left is forgotten"


async def test_a_reader_goes_on_behind_the_last_line_it_had(house: House) -> None:
    run_id, claim, log = await claimed(house)
    await log.append(*(note(n) for n in range(5)))
    await house.queue.leave(claim, "success", END)
    everything = await followed(house, run_id)
    assert len(everything) == 8
    for had in range(8):
        assert await followed(house, run_id, had) == everything[had:]


async def test_a_reader_that_has_the_last_line_is_told_at_once_that_it_was_the_last(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reconnects with the final id must not hang on a run that is over, nor wait for the poll."""
    monkeypatch.setattr("serving.api.stream._POLL_S", 600.0)
    run_id, claim, _ = await claimed(house)
    await house.queue.leave(claim, "success", END)
    async with asyncio.timeout(30):
        assert await followed(house, run_id, 3) == []


async def test_a_run_that_failed_and_was_resumed_is_followed_to_its_second_end(house: House) -> None:
    run_id, claim, _ = await claimed(house)
    await house.queue.leave(claim, "error", RunFinished(status="error", code="model_unavailable"))
    await house.controls.resume(run_id, by="ops")
    again = await house.claim()
    reading = asyncio.create_task(followed(house, run_id, 2))
    await asyncio.sleep(0.05)
    assert not reading.done()
    await house.queue.leave(again, "success", END)
    async with asyncio.timeout(30):
        events = await reading
    assert kinds(events) == ["run_finished", "run_resumed", "run_claimed", "run_finished"]


async def test_a_frame_is_one_server_sent_event(house: House) -> None:
    run_id, _, log = await claimed(house)
    await log.append(note("two\nlines, ünd [EMAIL_1]"))
    event = log.history[-1]
    tail = await read_tail(house.pool, run_id, 2, 1 << 20)
    assert tail is not None
    (row,) = tail.lines
    lines = frame(row, row["body"]).split("\n")
    assert lines[:2] == [f"id: {event.seq}-{run_id[-12:]}", "event: noted"]
    assert lines[2].startswith('data: {"seq":3,')
    assert lines[3:] == ["", ""]
    assert orjson.loads(lines[2][6:]) == {"seq": 3, "at": event.at.isoformat(), **event.body.model_dump(mode="json")}
