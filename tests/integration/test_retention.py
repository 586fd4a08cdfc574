"""What ended runs leave behind goes when its days are over: whole, as announced, and nothing else."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import psycopg
import pytest
from psycopg.rows import dict_row

from graph.errors import ModelUnavailable
from graph.ledger import EffectDecision
from memory.store import MemoryStore
from serving.api.openai.draft import id_of
from serving.cli.retention import prune, show_retention
from serving.database import Connection, new_id
from serving.errors import BadRequest, Conflict, Gone
from serving.idempotency import Claim
from serving.runs.fork import Fork
from serving.runs.prune import Pruning, Share
from serving.runs.retention import EVERYONE, set_terms, terms
from tests.integration.api_house import open_api
from tests.integration.run_house import House, gapless
from tests.integration.scripted_models import ScriptedModels, after, fails, finds_and_reports


@pytest.fixture(autouse=True)
def no_terms(house: House) -> None:
    house.execute("delete from retention where tenant <> '*'")
    house.execute(
        "update retention set events_days = null, checkpoints_days = null, artifacts_days = null, keys_days = 30"
    )
    house.execute("delete from vault")


@pytest.fixture
async def api(house: House, runs_memory: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    async with open_api(house, runs_memory) as client:
        yield client


def as_owner(house: House) -> Awaitable[Connection]:
    return psycopg.AsyncConnection.connect(house.dsn, autocommit=True, row_factory=dict_row)


@asynccontextmanager
async def pruning(house: House) -> AsyncIterator[Pruning]:
    async with await as_owner(house) as connection:
        yield Pruning(connection)


async def keep(house: House, tenant: str = EVERYONE, **days: int | None) -> None:
    async with await as_owner(house) as connection:
        await set_terms(connection, tenant, days)


async def planned(house: House) -> list[Share]:
    async with pruning(house) as work:
        await work.plan()
        return work.shares


async def pruned(house: House) -> list[Share]:
    async with pruning(house) as work:
        await work.apply()
        return work.shares


def ended_long_ago(house: House, *run_ids: str, days: int = 100) -> None:
    query = "update runs set finished_at = finished_at - %s * interval '1 day' where run_id = any(%s)"
    house.execute(query, days, list(run_ids))


async def full_run(house: House, **options: Any) -> str:
    """One that has ended, with a file, an effect, a question and a value shown to it, beside log and checkpoints."""
    run_id = (await house.finish(ScriptedModels(), **options)).run_id
    house.execute("insert into artifacts values (%s, 'report.md', 'text/markdown', 'It is 42.', now())", run_id)
    house.execute(
        "insert into effects (run_id, key, tool, arguments_digest, state, result, fence) "
        """values (%s, 'k', 'send_email', '', 'prepared', '{"sent": true}', 1)""",
        run_id,
    )
    house.execute("update effects set state = 'done' where run_id = %s", run_id)
    house.execute(
        "insert into approvals (approval_id, run_id, kind, request, digest, expires_at) "
        "values ('a', %s, 'tool', '{}', '', now())",
        run_id,
    )
    house.execute(
        "insert into vault values ('default', %s, '[EMAIL_1]', 'EMAIL', 0, 'x', 'sealed', now() - interval '1 second')",
        run_id,
    )
    return run_id


def left(house: House, run_id: str) -> dict[str, int]:
    query = """
        select (select count(*) from run_events where run_id = run), (select count(*) from effects where run_id = run),
            (select count(*) from approvals where run_id = run),
            (select count(*) from artifacts where run_id = run and content is not null)
        from (select %s::uuid as run) asked"""
    return dict(zip(("events", "effects", "approvals", "files"), house.execute(query, run_id)[0], strict=True))


def state_rows(house: House, thread_id: str) -> int:
    query = """
        select count(*) from (
            select thread_id from state_checkpoints union all select thread_id from state_values
            union all select thread_id from state_items union all select thread_id from state_writes
        ) row where thread_id = %s"""
    rows: int = house.execute(query, thread_id)[0][0]
    return rows


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


async def hosted_run(house: House, status: str) -> tuple[str, str]:
    """(run, thread) of one of a graph of langgraph.json, as its rows stand when it has left its thread so."""
    view = await house.finish(ScriptedModels())
    secret = {"text": "a secret"}
    launch = {"input": secret, "command": {"update": secret}, "context": secret, "config": {"configurable": secret}}
    asked = {"kept": {"model": "chat", "instructions": "a secret", "user": "a secret"}}
    house.execute(
        "update runs set graph = 'chat', launch = %s, asked = %s where run_id = %s",
        orjson.dumps(launch | {"stream_mode": ["values"]}).decode(),
        orjson.dumps(asked).decode(),
        view.run_id,
    )
    house.execute(
        """update threads set status = %s, values = '{"text": "a secret"}', error = '{"message": "a secret"}'
        where thread_id = %s""",
        status,
        view.thread_id,
    )
    return view.run_id, view.thread_id


def kept_of(house: House, thread_id: str) -> str:
    """What the rows of a thread and of its runs hold, as text."""
    query = "select concat(threads.*::text, runs.*::text) from threads join runs using (thread_id) where thread_id = %s"
    return str(house.execute(query, thread_id)[0][0])


async def test_what_a_hosted_graph_was_given_and_came_to_goes_with_its_log(house: House) -> None:
    run_id, thread = await hosted_run(house, "idle")
    ended_long_ago(house, run_id)
    await keep(house, events=30)
    announced = await planned(house)
    assert {share.kind for share in announced} == {"checkpoints", "events", "inputs", "thread values"}
    assert "a secret" in kept_of(house, thread)
    assert await pruned(house) == announced
    assert "a secret" not in kept_of(house, thread)
    assert await pruned(house) == await planned(house) == []


@pytest.mark.parametrize("place", ["input", "command", "context", "config", "instructions", "user"])
async def test_what_a_hosted_graph_was_given_goes_from_wherever_it_stood(house: House, place: str) -> None:
    run_id, thread = await hosted_run(house, "idle")
    launch = dict.fromkeys(("input", "command", "context")) | {"config": {"configurable": {}}}
    kept: dict[str, Any] = {"model": "chat", "instructions": None, "user": None}
    (launch if place in launch else kept)[place] = {"text": "a secret"} if place in launch else "a secret"
    house.execute(
        "update runs set launch = %s, asked = %s where run_id = %s",
        orjson.dumps(launch).decode(),
        orjson.dumps({"kept": kept}).decode(),
        run_id,
    )
    ended_long_ago(house, run_id)
    await keep(house, events=30)
    announced = await planned(house)
    assert [share.rows for share in announced if share.kind == "inputs"] == [1]
    assert await pruned(house) == announced
    assert "a secret" not in kept_of(house, thread)


async def test_a_pruned_response_of_a_hosted_graph_is_gone(house: House, api: httpx.AsyncClient) -> None:
    run_id, _ = await hosted_run(house, "idle")
    ended_long_ago(house, run_id)
    await keep(house, events=30)
    await pruned(house)
    for path in ("", "/input_items"):
        answer = await api.get(f"/v1/responses/{id_of(run_id)}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "pruned")


async def test_a_thread_that_waits_for_a_person_keeps_the_state_that_the_answer_goes_on_from(house: House) -> None:
    run_id, thread = await hosted_run(house, "interrupted")
    ended_long_ago(house, run_id)
    await keep(house, events=30)
    announced = await planned(house)
    assert {share.kind for share in announced} == {"events", "inputs"}
    before = state_rows(house, thread)
    assert await pruned(house) == announced
    assert state_rows(house, thread) == before > 0
    house.execute("update threads set status = 'idle' where thread_id = %s", thread)
    assert {share.kind for share in await pruned(house)} == {"checkpoints", "thread values"}


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
    await house.store.decide_effect(run_id, "open", EffectDecision(decision="happened", by="mia"))
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


async def test_the_running_processes_may_neither_prune_nor_change_what_is_kept(house: House) -> None:
    await keep(house, events=30)
    ended_long_ago(house, await full_run(house))
    async with house.pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await set_terms(connection, EVERYONE, {"events": 0})
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await Pruning(connection).apply()


async def test_the_log_stays_closed_but_for_runs_marked_as_pruned_and_only_ended_ones_can_be(house: House) -> None:
    run_id = await full_run(house)
    for change in ("delete from run_events", "update run_events set kind = 'x'"):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            house.execute(f"{change} where run_id = %s", run_id)
    house.execute("update runs set pruned_at = now() where run_id = %s", run_id)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        house.execute("update run_events set kind = 'x' where run_id = %s", run_id)
    with pytest.raises(psycopg.errors.CheckViolation, match="runs_pruned_have_ended"):
        house.execute("update runs set status = 'pending' where run_id = %s", run_id)


async def test_a_pruned_run_says_what_it_was_and_that_its_log_is_gone(house: House, api: httpx.AsyncClient) -> None:
    await keep(house, events=30, artifacts=30)
    run_id = await full_run(house)
    ended_long_ago(house, run_id)
    await pruned(house)
    view = await house.store.get(run_id)
    assert (view.status, view.answer, view.artifacts) == ("success", None, ("report.md",))
    assert view.pruned_at is not None
    day = f"{view.pruned_at:%Y-%m-%d}"
    run = (await api.get(f"/runs/{run_id}")).json()
    assert run["pruned_at"].startswith(day)
    for path in (f"/runs/{run_id}/events", f"/runs/{run_id}/artifacts/report.md"):
        answer = await api.get(path)
        assert (answer.status_code, answer.json()["code"]) == (410, "pruned")
        assert f"pruned on {day} by retention" in answer.json()["message"]
    audit = await api.get(f"/runs/{run_id}/audit")
    assert (audit.status_code, audit.json()["code"]) == (410, "pruned")
    has_all = await api.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": str(view.last_seq)})
    assert has_all.status_code == 204


async def test_a_failed_run_that_was_pruned_is_not_resumed(house: House) -> None:
    await keep(house, events=30)
    run_id = (await house.finish(ScriptedModels(planner=fails(ModelUnavailable("away"))))).run_id
    assert (await house.store.get(run_id)).status == "error"
    ended_long_ago(house, run_id)
    await pruned(house)
    with pytest.raises(Gone, match="pruned on"):
        await house.controls.resume(run_id, by="ann")


async def test_the_same_key_gives_the_same_run_after_its_log_is_gone(house: House, api: httpx.AsyncClient) -> None:
    await keep(house, events=30)
    run_id = await full_run(house)
    house.execute("update runs set idempotency_key = 'k1' where run_id = %s", run_id)
    request = house.execute("select request from runs where run_id = %s", run_id)[0][0]
    ended_long_ago(house, run_id)
    await pruned(house)
    again = await api.post("/runs", json=request, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.json()["run_id"]) == (200, run_id)
    waited = await api.post("/runs?wait=true", json=request, headers={"Idempotency-Key": "k1"})
    assert waited.json()["status"] == "success"
    live = {"Idempotency-Key": "k1", "Accept": "text/event-stream"}
    assert (await api.post("/runs", json=request, headers=live)).status_code == 410


async def test_a_compacted_thread_goes_on_and_a_failed_run_of_it_can_be_retried(house: House) -> None:
    await keep(house, checkpoints=7)
    first = await house.finish(ScriptedModels())
    thread = first.thread_id
    failed = (await house.finish(ScriptedModels(worker=fails(ModelUnavailable("away"))), thread_id=thread)).run_id
    assert (await house.store.get(failed)).status == "error"
    before = state_rows(house, thread)
    ended_long_ago(house, first.run_id, failed)
    shares = await pruned(house)
    assert [share.kind for share in shares] == ["checkpoints"]
    assert shares[0].rows == before - state_rows(house, thread) > 0
    assert house.execute("select count(*) from state_checkpoints where thread_id = %s", thread)[0][0] == 1

    await house.controls.resume(failed, by="ann")
    models = ScriptedModels()
    await house.executor(models).attempt(await house.claim())
    retried = await house.store.get(failed)
    assert retried.status == "success"
    assert not models.by("planner"), "it went on from its checkpoint"
    assert (await house.finish(ScriptedModels(), thread_id=thread)).status == "success"
    assert gapless(await house.events(failed))


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
    many_runs(house, 1_500, 8)
    marked = "select count(*) from runs where pruned_at is not null"
    torn = """
        select count(*) from runs run where (run.pruned_at is null) <> (
            (select count(*) from run_events where run_events.run_id = run.run_id) = run.last_seq)"""
    process = await prune_process(house)
    while not house.execute(marked)[0][0] > 0:
        await asyncio.sleep(0.005)
    await asyncio.sleep(random.uniform(0, 0.1))
    process.kill()
    await process.wait()
    await asyncio.sleep(0.1)  # for Postgres to see that its client is gone
    assert 0 < house.execute(marked)[0][0] < 1_500
    assert house.execute(torn)[0][0] == 0
    again = await prune_process(house)
    assert b"gone:" in (await again.communicate())[0]
    assert house.execute(marked)[0][0] == 1_500
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


async def test_the_commands_show_set_and_apply_what_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", house.dsn)
    ended_long_ago(house, await full_run(house))
    everyone = {"events": "90d", "checkpoints": "7", "artifacts": "forever"}
    assert await show_retention(None, everyone, json=False) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["*", "90d", "7d", "forever", "30d"]
    await show_retention("garden", {"events": None, "artifacts": "30d"}, json=True)
    told = orjson.loads(capsys.readouterr().out)
    assert told[1] == {"tenant": "garden", "events": 90, "checkpoints": 7, "artifacts": 30, "keys": 30}
    async with house.pool.connection() as connection:
        assert [each.tenant for each in await terms(connection)] == ["*", "garden"]
    await prune(True, json=True)
    announced = orjson.loads(capsys.readouterr().out)
    await prune(False, json=True)
    assert announced["shares"] == orjson.loads(capsys.readouterr().out)["shares"] != []
    await prune(False, json=False)
    assert capsys.readouterr().out.startswith("nothing is over")


@pytest.mark.parametrize(
    ("tenant", "new", "complaint"),
    [
        (None, {"events": "soon"}, "--events takes days, as in 90d, or forever, not 'soon'"),
        (None, {"events": "-1"}, "--events takes days"),
        (None, {"artifacts": "1.5d"}, "--artifacts takes days"),
        (None, {"keys": "0d"}, "--keys takes days"),
        ("a\tb", {"events": "1d"}, "--tenant takes 1 to 100 visible characters"),
        ("*", {"checkpoints": "999999"}, "--checkpoints takes days"),
    ],
)
async def test_bad_terms_are_refused_before_anything_is_done(tenant: str | None, new: Any, complaint: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await show_retention(tenant, new, json=False)
    assert refused.value.message.startswith(complaint)
