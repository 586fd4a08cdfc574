"""Who is next: by priority and by the time it has waited, in batches, and what a run costs that may not start yet."""

import re
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from serving.database import new_id
from serving.runs.queue import _CLAIM
from serving.runs.requests.request import RunRequest
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels


async def ids_in_claim_order(house: House) -> list[str]:
    found = []
    while claims := await house.queue.claim():
        found += [claim.run_id for claim in claims]
    return found


async def test_a_higher_priority_goes_first_then_the_longer_wait(house: House) -> None:
    names = {name: await house.create() for name in ("low", "first", "second", "urgent", "later")}
    house.execute("update runs set priority = 5 where run_id = %s", names["urgent"])
    house.execute("update runs set priority = -5 where run_id = %s", names["low"])
    house.execute("update runs set run_at = now() + interval '1 hour' where run_id = %s", names["later"])
    house.execute("update runs set created_at = now() - interval '1 hour' where run_id = %s", names["second"])
    claimed = await ids_in_claim_order(house)
    assert [name for id_ in claimed for name in names if names[name] == id_] == ["urgent", "second", "first", "low"]


async def test_a_batch_holds_the_next_runs_in_order_and_one_of_a_thread(house: House) -> None:
    thread = new_id()
    first = [await house.create(thread_id=thread) for _ in range(3)]
    urgent = await house.create(priority=7)
    others = [await house.create() for _ in range(3)]
    claims = await house.queue.claim(4)
    assert [claim.run_id for claim in claims] == [urgent, first[0], *others[:2]]
    assert {claim.fence for claim in claims} == {1}
    assert [claim.run_id for claim in await house.queue.claim(4)] == [others[2]], "the thread is busy"


async def test_a_batch_takes_lapsed_and_due_and_new_runs_alike(house: House) -> None:
    lapsed, due, new = [await house.create() for _ in range(3)]
    (held,) = await house.queue.claim()
    assert held.run_id == lapsed
    house.execute("update runs set lease_until = now() where run_id = %s", lapsed)
    house.execute("update runs set run_at = now() where run_id = %s", due)
    assert {claim.run_id for claim in await house.queue.claim(9)} == {lapsed, due, new}


async def test_a_claim_reads_no_run_that_has_ended(house: House) -> None:
    house.execute(
        "with thread as (insert into threads (thread_id) select gen_random_uuid() from generate_series(1, 50)"
        " returning thread_id) insert into runs (run_id, thread_id, status, request, request_digest)"
        " select gen_random_uuid(), thread_id, 'success', '{}', '' from thread, generate_series(1, 400)"
    )
    thread = str(house.execute("select thread_id from threads limit 1")[0][0])
    for _ in range(20):
        await house.create(thread_id=thread)
    house.execute("analyze runs")
    with psycopg.connect(house.dsn) as connection, psycopg.ClientCursor(connection) as cursor:
        claim = b"explain (analyze, buffers, timing off) " + _CLAIM.encode()
        cursor.execute(claim, house.queue.parameters(8, idle=True))
        plan = "\n".join(str(row[0]) for row in cursor.fetchall())
        connection.rollback()
    assert "Seq Scan on runs" not in plan, plan
    assert all(f"using {index}" in plan for index in ("runs_ready", "runs_due", "runs_live_by_thread")), plan
    assert int(re.findall(r"shared hit=(\d+)", plan)[0]) < 1_000, plan


async def test_a_run_that_is_to_start_later_starts_then_and_keeps_nobody_waiting(house: House) -> None:
    thread = new_id()
    later = await house.create(thread_id=thread, after_seconds=0.4)
    far = await house.create(after_seconds=3_600)
    newer = await house.create(thread_id=thread)
    views = [await house.store.get(run_id) for run_id in (later, await house.create(after_seconds=0.6))]
    due = [view.run_at for view in views if view.run_at]
    assert (due[0] - views[0].created_at).total_seconds() == pytest.approx(0.4)
    async with house.worker(ScriptedModels()):
        assert (await house.ended(newer)).status == "success"
        assert {(await house.ended(view.run_id)).status for view in views} == {"success"}
    claimed = [each.at for view in views for each in await house.events(view.run_id) if each.body.kind == "run_claimed"]
    late = [(at - since).total_seconds() for at, since in zip(claimed, due, strict=True)]
    assert 0 <= min(late) < 1, late  # of the two: other work on the machine may hold up one
    assert (await house.store.get(far)).status == "pending"


async def test_a_run_that_is_to_start_later_keeps_its_time_through_pause_cancel_and_resume(house: House) -> None:
    later = await house.create(after_seconds=3_600)
    due = (await house.store.get(later)).run_at
    for stop in (house.controls.pause, house.controls.cancel):
        await stop(later, by="mia")
        resumed = await house.controls.resume(later, by="mia")
        assert (resumed.status, resumed.run_at) == ("pending", due)
        assert await house.queue.claim() == ()
    await house.controls.pause(later, by="mia")
    house.execute("update runs set created_at = now() - interval '2 hours' where run_id = %s", later)
    assert (await house.controls.resume(later, by="mia")).run_at is None
    assert (await house.claim()).run_id == later


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 101},
        {"priority": 1.5},
        {"after_seconds": -1},
        {"after_seconds": float("nan")},
        {"after_seconds": 1e9},
    ],
)
def test_a_priority_or_a_wait_beyond_reason_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunRequest(goal="x", **wrong)
