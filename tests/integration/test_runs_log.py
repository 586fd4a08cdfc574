"""The log: append-only, gapless in commit order, fenced."""

import asyncio
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from graph.errors import FenceLost, StorageLost
from graph.events import AnswerDelta, CancelRequested, EventBody, Noted, RunFinished, ToolStarted
from serving.runs.log import AttemptLog, append_unfenced, encoded, read
from serving.runs.notices import LOG_CHANNEL, Notices, listen
from serving.runs.queue import Claim
from tests.integration.run_house import House, gapless, kinds, until

END = RunFinished(status="success")


def note(text: Any) -> Noted:
    return Noted(code="n", message=str(text))


async def claimed(house: House) -> tuple[str, Claim, AttemptLog]:
    run_id = await house.create()
    claim = await house.claim()
    log = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    await log.load()
    return run_id, claim, log


async def write_outside(house: House, run_id: str, *bodies: EventBody) -> None:
    async with house.pool.connection() as connection, connection.transaction():
        await append_unfenced(connection, run_id, *bodies)


async def test_fifty_writers_at_once_leave_no_gap_and_a_reader_never_sees_one(house: House) -> None:
    """Half of them are steps of the attempt, half the API; some write several lines at a time."""
    run_id, _, log = await claimed(house)
    pages: list[list[int]] = []

    async def reader() -> None:
        after = 0
        while True:
            events, _ = await read(house.pool, run_id, after)
            page = [event.seq for event in events]
            pages.append(page)
            after = page[-1] if page else after
            await asyncio.sleep(0)

    async def step(number: int) -> None:
        for turn in range(4):
            await log.append(*(note(f"{number} {turn} {line}") for line in range(1 + number % 3)))

    async def api(number: int) -> None:
        for _ in range(4):
            await write_outside(house, run_id, CancelRequested(by=f"api {number}"))

    reading = asyncio.create_task(reader())
    await asyncio.gather(*(step(n) for n in range(25)), *(api(n) for n in range(25)))
    reading.cancel()
    events = await house.events(run_id)
    assert gapless(events)
    assert len(events) == 2 + 4 * sum(1 + n % 3 for n in range(25)) + 100
    seen = [seq for page in pages for seq in page]
    assert seen == list(range(1, len(seen) + 1)), "a line came to light behind a later one"
    assert len([page for page in pages if page]) > 2, "the reader was not there while it happened"
    written = [event for event in events if event.body.kind != "cancel_requested"]
    assert list(log.history) == written, "the attempt holds its own lines in the order of the log"


async def test_lines_written_together_stay_together(house: House) -> None:
    run_id, _, log = await claimed(house)
    await asyncio.gather(*(log.append(*(note(f"{n}") for _ in range(5))) for n in range(20)))
    said = [event.body.message for event in log.history if isinstance(event.body, Noted)]
    assert said == [text for text in said[::5] for _ in range(5)]
    assert gapless(await house.events(run_id))


async def test_an_attempt_holds_what_the_next_one_will_read(house: House) -> None:
    """Byte for byte, or a resumed run's prompts would differ: key order, NUL, huge numbers, floats."""
    run_id, claim, log = await claimed(house)
    odd = {"zeta": 1, "a": [10**30, "\x00x", 1e22, 0.1], "longer": {"b": "\ud800", "aa": None}}
    await log.append(ToolStarted(step_id="s1", attempt=1, call_id="c", tool="t", arguments=odd), note("a\x00b"))
    await log.append(AnswerDelta(text="x"))
    fresh = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    await fresh.load()
    assert encoded([e.body for e in fresh.history]) == encoded([e.body for e in log.history])
    assert [event.model_dump_json() for event in fresh.history] == [event.model_dump_json() for event in log.history]
    assert fresh.history[-2].body == note("ab")


async def test_a_long_log_is_loaded_whole(house: House) -> None:
    run_id, claim, log = await claimed(house)
    await log.append(*(note(n) for n in range(1_300)))
    fresh = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    await fresh.load()
    assert gapless(fresh.history)
    assert len(fresh.history) == 1_302


async def test_an_old_attempt_writes_nothing_once_a_newer_one_has_claimed(house: House) -> None:
    run_id, old, log = await claimed(house)
    await log.append(note("mine"))
    await house.queue.release(old)
    new = await house.claim()
    assert (new.fence, new.attempts) == (old.fence + 1, 2)
    before = await house.events(run_id)
    for write in (log.append(note("late"), note("later")), house.queue.leave(old, "success", END)):
        with pytest.raises(FenceLost):
            await write
    assert await house.events(run_id) == before
    assert [event.body for event in log.history if isinstance(event.body, Noted)] == [note("mine")]
    await house.queue.release(old)
    assert await house.queue.claim() == (), "nor does it end the new attempt's lease"
    assert (await house.store.get(run_id)).status == "running"
    await AttemptLog(house.pool, run_id, new.fence, house.notices).append(note("new"))


async def test_nothing_is_written_behind_the_end(house: House) -> None:
    run_id, claim, log = await claimed(house)
    await house.queue.leave(claim, "success", END)
    with pytest.raises(FenceLost):
        await log.append(note("late"))
    with pytest.raises(FenceLost):
        await house.queue.leave(claim, "error", RunFinished(status="error"))
    assert kinds(await house.events(run_id))[-1] == "run_finished"


async def test_a_hundred_appends_of_a_lost_attempt_and_of_its_successor_do_not_mix(house: House) -> None:
    """The claim falls into a storm of appends: all that came in before it stands, all after it is refused."""
    run_id, old, log = await claimed(house)
    results = asyncio.gather(*(log.append(note(f"old {n}")) for n in range(100)), return_exceptions=True)
    await asyncio.sleep(0.005)
    await house.queue.release(old)
    new = await house.claim()
    after = AttemptLog(house.pool, run_id, new.fence, house.notices)
    await asyncio.gather(*(after.append(note(f"new {n}")) for n in range(20)))
    refused = sum(isinstance(result, FenceLost) for result in await results)
    events = await house.events(run_id)
    assert gapless(events)
    said = [event.body.message.split()[0] for event in events if isinstance(event.body, Noted)]
    assert said == ["old"] * (100 - refused) + ["new"] * 20


async def test_the_log_can_be_neither_changed_nor_shortened(house: House) -> None:
    run_id, _, log = await claimed(house)
    await log.append(note("x"))
    for statement in (
        "update run_events set seq = seq + 100 where run_id = %s",
        "delete from run_events where run_id = %s",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            house.execute(statement, run_id)
    assert gapless(await house.events(run_id))


async def test_notices_of_many_runs_are_sent_together(house: House) -> None:
    heard: list[str] = []
    sent = Notices(house.pool)
    tasks = [asyncio.create_task(listen(house.dsn, {LOG_CHANNEL: heard.append})), asyncio.create_task(sent.serve())]
    await until(lambda: heard == [""])  # whoever listens again may have missed something
    for n in range(250):
        sent.touched(f"{n:036}")
    ids = [f"{n:036}" for n in range(250)]
    await until(lambda: sorted(id_ for payload in heard[1:] for id_ in payload.split(",")) == ids)
    for task in tasks:
        task.cancel()
    payloads = heard[1:]
    assert len(payloads) == 3


async def test_lines_of_runs_that_write_together_share_commits_and_one_that_lost_its_run_fails_alone(
    house: House,
) -> None:
    for _ in range(16):
        await house.create()
    claims = [await house.claim() for _ in range(16)]
    await house.queue.release(claims[3])
    await house.claim()
    logs = [AttemptLog(house.pool, claim.run_id, claim.fence, house.notices) for claim in claims]
    outcomes = await asyncio.gather(*(log.append(note(0), note(1)) for log in logs), return_exceptions=True)
    [(commits,)] = house.execute("select count(distinct xmin::text) from run_events where kind = 'noted'")
    assert [number for number, outcome in enumerate(outcomes) if outcome is not None] == [3]
    assert isinstance(outcomes[3], FenceLost)
    assert commits <= 6
    for number, claim in enumerate(claims):
        events = await house.events(claim.run_id)
        assert gapless(events)
        assert [event.body.kind for event in events].count("noted") == (0 if number == 3 else 2)


async def test_a_line_is_never_written_twice_when_its_connection_is_cut(house: House) -> None:
    """Whether it was committed is open then: the attempt ends, and the next one reads what stands in the log."""
    await house.create()
    claim = await house.claim()
    log = AttemptLog(house.pool, claim.run_id, claim.fence, house.notices)
    kill = """select pg_terminate_backend(pid) from pg_stat_activity
        where strpos(query, 'append_events(owned') > 0 and pid <> pg_backend_pid()"""
    written: list[str] = []
    for number in range(60):
        cut = asyncio.create_task(asyncio.to_thread(house.execute, kill)) if number % 10 == 5 else None
        with suppress(StorageLost):
            await log.append(note(number))
            written.append(str(number))
        if cut:
            await cut
    said = [body.message for body in await house.bodies(claim.run_id, "noted")]
    assert len(said) == len(set(said))
    assert set(written) <= set(said)
    assert len(written) > 40
