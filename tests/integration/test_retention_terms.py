"""How long what runs leave behind is kept, who may say so, and what a run is without it."""

from typing import Any

import httpx
import orjson
import psycopg
import pytest

from graph.errors import ModelUnavailable
from serving.cli.retention import prune, show_retention
from serving.errors import BadRequest, Gone
from serving.runs.prune import Pruning
from serving.runs.retention import EVERYONE, set_terms, terms
from tests.integration.pruning import ended_long_ago, full_run, keep, pruned, state_rows
from tests.integration.run_house import House, gapless
from tests.integration.scripted_models import ScriptedModels, fails

pytestmark = pytest.mark.usefixtures("no_terms")


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
