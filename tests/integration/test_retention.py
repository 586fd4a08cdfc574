"""What ended runs leave behind goes when its days are over: whole, as announced, and nothing else."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from datetime import UTC, datetime

import psycopg
import pytest

from graph.ledger import EffectDecision
from serving.database import new_id
from serving.errors import Conflict
from serving.idempotency import Claim
from serving.runs.fork import Fork
from tests.integration.pruning import (
    ended_long_ago,
    full_run,
    keep,
    left,
    planned,
    pruned,
    pruning,
    state_rows,
)
from tests.integration.run_house import House, gapless, until
from tests.integration.scripted_models import ScriptedModels, after, finds_and_reports

pytestmark = pytest.mark.usefixtures("no_terms")


async def test_a_dry_run_announces_to_the_byte_what_then_goes(house: House) -> None:
    both = new_id()
    old = [await full_run(house, thread_id=both), await full_run(house, thread_id=both), await full_run(house)]
    other, young = await full_run(house), await full_run(house)
    house.execute(
        """
        with run as (update runs set tenant = 'other' where run_id = %s returning thread_id)
        update threads set tenant = 'other' where thread_id in (select thread_id from run)""",
        other,
    )
    ended_long_ago(house, *old, other, days=40)
    ended_long_ago(house, young, days=10)
    await keep(house, events=30, checkpoints=7, artifacts=30)
    await keep(house, "other", events=None)

    before = {run_id: left(house, run_id) for run_id in (*old, other, young)}
    announced = await planned(house)
    assert {run_id: left(house, run_id) for run_id in before} == before
    assert {(share.tenant, share.kind) for share in announced} == {
        *(("default", kind) for kind in ("events", "approvals", "effects", "artifacts", "checkpoints", "shown values")),
        ("other", "artifacts"),
    }
    assert all(share.bytes > 0 for share in announced)
    events = sum(before[run_id]["events"] for run_id in old)
    assert next(share.rows for share in announced if share.kind == "events") == events

    assert await pruned(house) == announced
    assert [left(house, run_id) for run_id in old] == [dict.fromkeys(before[young], 0)] * 3
    assert left(house, other) == {**before[other], "files": 0}
    assert left(house, young) == before[young]
    assert state_rows(house, both) == 0
    assert await pruned(house) == await planned(house) == []


async def test_a_log_stays_until_a_person_has_said_what_became_of_its_runs_effects(house: House) -> None:
    run_id = await full_run(house)
    house.execute(
        "insert into effects (run_id, key, tool, arguments_digest, state, fence) "
        "values (%s, 'open', 'send_email', '', 'prepared', 1)",
        run_id,
    )
    house.execute("update effects set state = 'unknown' where run_id = %s and key = 'open'", run_id)
    ended_long_ago(house, run_id)
    await keep(house, events=30)
    before = left(house, run_id)
    assert {share.kind for share in await planned(house)} == {"shown values"}
    await pruned(house)
    assert left(house, run_id) == before
    await house.decisions.decide_effect(run_id, "open", EffectDecision(decision="happened", by="mia"))
    assert {share.kind for share in await pruned(house)} >= {"events", "effects"}
    assert left(house, run_id)["effects"] == 0


async def test_a_dry_run_counts_parents_that_go_after_their_forks(house: House) -> None:
    async def forked(run_id: str) -> str:
        fork, _ = await house.forks.fork(run_id, Fork(), "mia", None)
        await house.executor(ScriptedModels()).attempt(await house.claim())
        return fork.run_id

    parent = await full_run(house)
    child = await forked(parent)
    needed = await full_run(house)
    young = await forked(await forked(needed))
    old = [run_id for (run_id,) in house.execute("select run_id::text from runs") if run_id != young]
    ended_long_ago(house, *old)
    await keep(house, events=30)
    announced = await planned(house)
    assert await pruned(house) == announced
    assert [left(house, run_id)["events"] > 0 for run_id in (parent, child, needed, young)] == [
        False,
        False,
        True,
        True,
    ]


async def test_what_is_not_over_stays_however_long_ago_it_was(house: House) -> None:
    await keep(house, events=0, checkpoints=0, artifacts=0)
    live = {status: await full_run(house) for status in ("pending", "running", "interrupted")}
    for status, run_id in live.items():
        house.execute("update runs set status = %s where run_id = %s", status, run_id)
    ended_long_ago(house, *live.values())
    threads = [(await house.store.get(run_id)).thread_id for run_id in live.values()]
    before = [left(house, run_id) for run_id in live.values()], [state_rows(house, thread) for thread in threads]
    assert {share.kind for share in await pruned(house)} == {"shown values"}
    after = [left(house, run_id) for run_id in live.values()], [state_rows(house, thread) for thread in threads]
    assert after == before


async def test_pruning_beside_workers_touches_no_run_of_theirs(house: House) -> None:
    await keep(house, checkpoints=0)
    ended = [await full_run(house) for _ in range(3)]
    threads = [(await house.store.get(run_id)).thread_id for run_id in ended]
    async with house.worker(ScriptedModels(worker=after(0.05, finds_and_reports))):
        runs = [await house.create(thread_id=thread) for thread in threads for _ in range(3)]
        while house.execute("select count(*) from runs where status in ('pending', 'running')")[0][0]:
            await pruned(house)
        assert {(await house.ended(run_id)).status for run_id in runs} == {"success"}
    for run_id in runs:
        assert gapless(await house.events(run_id))


async def test_a_second_prune_says_that_one_is_at_work(house: House) -> None:
    await keep(house, events=0)
    async with pruning(house) as first, pruning(house) as second:
        async with first._alone():
            with pytest.raises(Conflict, match="another prune is at work"):
                await second.apply()
            await second.plan()
        await second.apply()


def many_runs(house: House, count: int, lines: int) -> None:
    """Ended ones, with a log as long as that of a run of the demo."""
    house.execute(
        """
        with thread as (
            insert into threads (thread_id) select gen_random_uuid() from generate_series(1, %s) returning thread_id
        ), run as (
            insert into runs (run_id, thread_id, status, request, request_digest, finished_at, last_seq)
            select gen_random_uuid(), thread_id, 'success', '{}', '', now() - interval '9 days', %s from thread
            returning run_id, thread_id
        ), line as (
            insert into run_events (run_id, seq, kind, body, hash)
            select run_id, seq, 'noted', '{"kind": "noted"}', '' from run, generate_series(1, %s) seq
        )
        insert into state_checkpoints (tenant, thread_id, namespace, checkpoint_id, refs, sealed)
        select 'default', thread_id, '', number, '{}', 'sealed' from run, generate_series(1, 4) number
    """,
        count,
        lines,
        lines,
    )


async def prune_process(house: House) -> Process:
    environment = {**os.environ, "DATABASE_URL": house.dsn}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "serving", "prune", env=environment, stdout=PIPE)


async def test_killed_at_any_moment_a_log_is_whole_or_gone_and_the_next_prune_goes_on(house: House) -> None:
    await keep(house, events=7)
    many_runs(house, 1_000, 8)
    marked = "select count(*) from runs where pruned_at is not null"
    torn = """
        select count(*) from runs run where (run.pruned_at is null) <> (
            (select count(*) from run_events where run_events.run_id = run.run_id) = run.last_seq)"""
    alone = """select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database
        where locktype = 'advisory' and datname = current_database()"""
    [(last,)] = house.execute("select run_id from runs limit 1")
    house.execute("update runs set finished_at = finished_at + interval '1 day' where run_id = %s", last)
    with psycopg.connect(house.dsn) as holding:  # so that it can't have come to its end
        holding.execute("select from run_events where run_id = %s for update", (last,))
        process = await prune_process(house)
        await until(lambda: house.execute(marked)[0][0] > 0)
        await asyncio.sleep(random.uniform(0, 0.1))
        process.kill()
        await process.wait()
    await until(lambda: house.execute(alone) == [(0,)])  # Postgres has seen that its client is gone
    assert 0 < house.execute(marked)[0][0] < 1_000
    assert house.execute(torn)[0][0] == 0
    again = await prune_process(house)
    assert b"gone:" in (await again.communicate())[0]
    assert house.execute(marked)[0][0] == 1_000
    assert (
        house.execute("select (select count(*) from run_events) + (select count(*) from state_checkpoints)")[0][0] == 0
    )


async def test_idempotency_keys_go_after_their_days_but_not_before_the_last_run_that_they_made(house: House) -> None:
    live, over = await house.create(), await house.create()
    first, second = Claim(new_id(), again=False, at=datetime.now(UTC)).ids(2)
    house.execute("update runs set status = 'success', finished_at = now() where run_id = %s", over)
    of_a_batch = """insert into runs (run_id, thread_id, status, request, request_digest)
        select %s, thread_id, %s, '{}', '' from runs where run_id = %s"""
    house.execute(of_a_batch, first, "success", over)
    house.execute(of_a_batch, second, "interrupted", over)
    query = """insert into idempotency_keys (tenant, kind, key, digest, id, created_at)
        select 'default', kind, kind || ' ' || key, '', id, now() - age * interval '1 day'
        from (values ('run', 'live', %s::uuid, 99), ('run', 'over', %s, 31), ('run', 'new', %s, 29),
            ('batch', 'live', %s, 31), ('batch', 'over', %s, 31), ('thing', 'over', gen_random_uuid(), 31)
        ) made (kind, key, id, age)"""
    house.execute(query, live, over, over, first, over)
    (share,) = await planned(house)
    assert (share.tenant, share.kind, share.rows, share.bytes > 0) == ("default", "keys", 3, True)
    assert await pruned(house) == [share]
    left = [key for (key,) in house.execute("select key from idempotency_keys order by key")]
    assert left == ["batch live", "run live", "run new"]
    await keep(house, keys=None)
    assert await planned(house) == []


async def test_a_decided_effect_of_a_deleted_run_goes_as_a_log_does(house: House) -> None:
    query = """insert into effects (run_id, key, tool, arguments_digest, state, fence)
        values (%s, %s, 't', '', 'prepared', 1)"""
    runs = [await house.create() for _ in range(3)]
    for run_id in runs:
        house.execute(query, run_id, run_id)
    house.execute("select forget_runs('default', %s::uuid[])", runs)
    decided = "update effects set state = 'failed', decided_at = now() - %s * interval '1 day' where key = %s"
    house.execute(decided, 31, runs[0])
    house.execute(decided, 29, runs[1])
    assert await planned(house) == [], "logs are kept for ever"
    await keep(house, events=30)
    (share,) = await pruned(house)
    assert (share.kind, share.rows) == ("effects", 1)
    assert sorted(house.execute("select key from effects")) == sorted([(runs[1],), (runs[2],)])


async def test_an_effect_of_a_deleted_run_stays_while_nobody_knows_of_its_last_round(house: House) -> None:
    run_id = await house.create()
    house.execute(
        """insert into effects (run_id, key, tool, arguments_digest, state, fence)
        values (%s, 'k', 't', '', 'prepared', 1)""",
        run_id,
    )
    house.execute("update effects set state = 'unknown'")
    house.execute("update effects set state = 'approved', decided_at = now() - interval '40 days', round = 2")
    house.execute("update effects set state = 'prepared'")
    house.execute("select forget_runs('default', %s::uuid[])", [run_id])
    await keep(house, events=30)
    assert await pruned(house) == []
    assert house.execute("select state from effects") == [("unknown",)]
