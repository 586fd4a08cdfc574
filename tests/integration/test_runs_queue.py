"""The run row is the queue entry: who is next, one at a time per thread, and what becomes of a dead worker's runs."""

import asyncio
import random
from collections import defaultdict
from datetime import timedelta
from typing import cast

import psycopg
import pytest

from graph.errors import FenceLost
from graph.events import Noted, RunFinished
from serving.database import Pool, Within, new_id
from serving.runs.log import AttemptLog
from serving.runs.queue import Claim, Queue
from tests.integration.checkpoint_house import config, put, saver
from tests.integration.run_house import House, gapless
from tests.integration.scripted_models import ScriptedModels

END = RunFinished(status="success")

_ENDED_RUNS = """
with thread as (
    insert into threads (thread_id) select gen_random_uuid() from generate_series(1, 3000) returning thread_id
), run as (
    insert into runs (run_id, thread_id, status, request, request_digest, fence)
    select gen_random_uuid(), thread_id, 'success', '{}', '', 1 from thread returning run_id, thread_id
), line as (
    insert into run_events (run_id, seq, kind, body, hash) select run_id, 1, 'model_called', '{}', '' from run
)
insert into state_checkpoints (tenant, thread_id, namespace, checkpoint_id, refs, sealed)
select 'default', thread_id, '', 'a', '', '' from run
"""
_READ = "select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) as rows from pg_stat_xact_user_tables"


async def end(house: House, claim: Claim) -> None:
    await house.queue.leave(claim, "success", END)


async def test_a_claim_says_whose_it_is_and_writes_its_line(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    assert (claim.run_id, claim.fence, claim.attempts, claim.cancel_requested) == (run_id, 1, 1, False)
    line = (await house.bodies(run_id, "run_claimed"))[0]
    assert (line.fence, line.attempt) == (1, 1)
    assert await house.queue.claim() == ()


async def test_a_claim_knows_whether_a_checkpoint_can_be_there(house: House) -> None:
    async def claimed(thread_id: str) -> Claim:
        await house.create(thread_id=thread_id)
        return await house.claim()

    first = await claimed(thread_id := new_id())
    assert first.fresh
    await house.queue.hand_over(first)
    again = await house.claim()
    assert not again.fresh, "what the attempt before had begun to write may come to light only now"
    await put(saver(house.pool, again.run_id, again.fence), config(thread_id))
    await end(house, again)
    assert not (await claimed(thread_id)).fresh
    assert (await claimed(new_id())).fresh


async def test_what_an_attempt_reads_of_the_tables_does_not_grow_with_them(house: House) -> None:
    house.execute(_ENDED_RUNS)
    house.execute("analyze threads, runs, run_events, state_checkpoints")
    run_id = await house.create(thread_id=(thread_id := new_id()))
    house.execute("update threads set bundle = jsonb_build_object('of', 'before') where thread_id = %s", thread_id)
    async with house.pool.connection() as connection, connection.transaction():
        # As by a worker that is up for a while: for any values, not for these.
        await connection.execute("set local plan_cache_mode = force_generic_plan")
        pool = cast(Pool, Within(connection))
        queue = Queue(pool, "a", 10.0, house.bundle)
        (claim,) = await queue.claim()
        log = AttemptLog(pool, claim.run_id, claim.fence, house.notices)
        await log.load()
        await log.append(Noted(code="a", message="b"))
        kept = saver(pool, claim.run_id, claim.fence)
        await put(kept, config(thread_id))
        await kept.aget_tuple(config(thread_id))
        await queue.leave(claim, "success", END)
        done = await connection.execute(_READ)
        read = {row["relname"]: row["rows"] for row in await done.fetchall()}
    assert claim.run_id == run_id
    assert {table: rows for table, rows in read.items() if rows > 50} == {}


async def test_twenty_workers_never_run_two_of_a_thread_and_keep_its_order(house: House) -> None:
    threads = [new_id() for _ in range(10)]
    created: dict[str, list[str]] = defaultdict(list)
    for at in range(30):
        thread = threads[at % 10]
        created[thread].append(await house.create(thread_id=thread))
    running: set[str] = set()
    begun: dict[str, list[str]] = defaultdict(list)
    beside_each_other = asyncio.Event()

    async def worker(name: int) -> None:
        queue, chance = Queue(house.pool, f"worker-{name}", 10.0), random.Random(name)
        while sum(map(len, begun.values())) < 30:
            claims = await queue.claim(chance.randint(1, 3))
            assert not running & {claim.thread_id for claim in claims}
            running.update(claim.thread_id for claim in claims)
            for claim in claims:
                begun[claim.thread_id].append(claim.run_id)
                if len(running) >= 5:
                    beside_each_other.set()
                await beside_each_other.wait()
                await asyncio.sleep(chance.random() * 0.01)
                running.discard(claim.thread_id)
                await queue.leave(claim, "success", END)
            await asyncio.sleep(0.001)

    async with asyncio.timeout(60):
        await asyncio.gather(*(worker(n) for n in range(20)))
    assert dict(begun) == dict(created)
    assert house.execute("select count(*) from runs where status = 'success'") == [(30,)]


async def test_ids_made_one_after_the_other_sort_by_their_making() -> None:
    """FIFO within a thread hangs on it."""
    ids = [new_id() for _ in range(2_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 2_000


async def test_the_database_itself_refuses_two_running_runs_of_a_thread(house: House) -> None:
    thread = new_id()
    for _ in range(2):
        await house.create(thread_id=thread)
    with pytest.raises(psycopg.errors.UniqueViolation):
        house.execute("update runs set status = 'running'")


async def test_a_lapsed_lease_is_taken_over_and_the_log_says_so(house: House) -> None:
    run_id = await house.create()
    dies = Queue(house.pool, "dies", 10.0)
    (first,) = await dies.claim()
    assert await house.queue.claim() == (), "its lease still runs"
    house.execute("update runs set lease_until = now() - interval '1 millisecond'")
    second = await house.claim()
    assert (second.run_id, second.fence, second.attempts) == (run_id, 2, 2)
    assert [(line.fence, line.attempt) for line in await house.bodies(run_id, "run_claimed")] == [(1, 1), (2, 2)]
    with pytest.raises(FenceLost):
        await dies.leave(first, "success", END)


async def test_a_run_that_is_handed_over_is_anybodys_at_once_and_the_attempt_does_not_count(house: House) -> None:
    run_id = await house.create()
    for fence in range(1, 15):
        claim = await house.claim()
        assert (claim.fence, claim.attempts) == (fence, 1)
        await house.queue.hand_over(claim)
        with pytest.raises(FenceLost):
            await house.queue.hand_over(claim)
    assert (await house.store.get(run_id)).status == "pending"
    assert gapless(await house.events(run_id))
    assert len(await house.bodies(run_id, "run_handed_over")) == 14


async def test_an_attempt_that_failed_is_followed_at_once_and_later_and_later(house: House) -> None:
    await house.create()
    for waits in (0.0, 0.5, 1.0):
        claim = await house.claim()
        [(before,)] = house.execute("select clock_timestamp()")
        await house.queue.release(claim)
        [(until, after)] = house.execute("select lease_until, clock_timestamp() from runs")
        assert before <= until - timedelta(seconds=waits) <= after
        house.execute("update runs set lease_until = now()")


async def test_a_resumed_older_run_and_a_lapsed_newer_one_do_not_wait_for_each_other(house: House) -> None:
    thread = new_id()
    older, newer = await house.create(thread_id=thread), await house.create(thread_id=thread)
    await house.queue.leave(await house.claim(), "error", RunFinished(status="error"))
    lapsing = await house.claim()
    assert lapsing.run_id == newer
    await house.controls.resume(older, by="ops")
    assert await house.queue.claim() == (), "one at a time"
    await house.queue.release(lapsing)
    taken_over = await house.claim()
    assert (taken_over.run_id, taken_over.attempts) == (newer, 2)
    await end(house, taken_over)
    assert (await house.claim()).run_id == older


async def test_a_run_that_never_ends_is_given_up(house: House) -> None:
    run_id = await house.create()
    house.execute("update runs set attempts = 10 where run_id = %s", run_id)
    models = ScriptedModels()
    await house.executor(models).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert view.status == "error"
    assert view.error is not None
    assert view.error.code == "gave_up"
    assert view.error.message.startswith("the run was taken up 10 times and never ended")
    assert f"trireme resume {view.run_id}" in view.error.message
    assert models.calls == []
    assert await house.queue.claim() == ()
    await house.controls.resume(run_id, by="ops")
    await house.executor(models).attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "success", "a person may still try again"


async def test_a_run_whose_log_cannot_be_read_ends_instead_of_going_round_for_ever(house: House) -> None:
    run_id = await house.create()
    house.execute('select append_events(%s, null, \'[{"kind": "from_the_future"}]\')', run_id)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    assert house.execute("select status from runs") == [("error",)]
    assert await house.queue.claim() == ()


async def test_a_request_that_this_version_does_not_know_ends_with_an_error(house: House) -> None:
    run_id = await house.create()
    house.execute("update runs set request = request || '{\"hologram\": true}' where run_id = %s", run_id)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.status, view.error and view.error.code) == ("error", "internal_error")


async def test_a_run_that_was_cancelled_while_its_worker_was_dead_does_nothing_more(house: House) -> None:
    run_id = await house.create()
    dead = await house.claim()
    await house.controls.cancel(run_id, by="ops")
    assert (await house.store.get(run_id)).status == "running"
    await house.queue.release(dead)
    models = ScriptedModels()
    await house.executor(models).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert view.status == "cancelled"
    assert models.calls == []
    events = await house.events(run_id)
    assert gapless(events)
    assert [e.body.kind for e in events] == [
        "run_created",
        "run_claimed",
        "cancel_requested",
        "run_claimed",
        "run_finished",
    ]


async def test_a_process_that_stands_still_in_a_transaction_holds_no_run_for_long(house: House) -> None:
    """Its row lock would make every claim skip the run."""
    async with house.pool.connection() as connection:
        row = await (await connection.execute("show idle_in_transaction_session_timeout")).fetchone()
    assert row == {"idle_in_transaction_session_timeout": "5s"}


async def test_a_database_error_leaves_the_run_to_the_next_attempt(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    models = ScriptedModels()

    async def breaks(*_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection")

    executor = house.executor(models)
    executor._make_deps = breaks  # type: ignore[assignment]
    await executor.attempt(claim)
    assert (await house.store.get(run_id)).status == "running"
    assert isinstance((await house.events(run_id))[-1].body, Noted) is False
    await house.queue.release(claim)
    await house.executor(models).attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "success"
