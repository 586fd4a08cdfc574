"""Words on effects over HTTP that are late, doubled, foreign or malformed: each gets its code, and changes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from graph.ledger import EffectDecision
from serving.auth.callers import Callers
from serving.database import new_id
from serving.errors import NotFound
from serving.runs.attempts.in_flight import InFlight
from serving.runs.launches import Launches
from tests.integration.decisions_house import decide, state_of, wired_api
from tests.integration.notifier import CUT, Notifier, executor, goes_on, models, parked
from tests.integration.run_house import KEY, House, code_of


@pytest.fixture
async def api(house: House, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with wired_api(house, tmp_path) as client:
        yield client


async def test_an_unknown_effect_is_shown_and_decided_once(house: House, api: httpx.AsyncClient) -> None:
    view = await parked(house, Notifier([CUT]))
    key = view.effects[0].key
    run = (await api.get(f"/runs/{view.run_id}")).json()
    assert (run["phase"], run["effects"][0]["key"]) == ("waiting_for_human", key)
    for route in ("/effects?state=unknown", f"/runs/{view.run_id}/effects"):
        (shown,) = (await api.get(route)).json()["effects"]
        assert (shown["key"], shown["state"], shown["arguments"]) == (key, "unknown", {"text": "[EMAIL_1] s1"})
    said = {"decision": "did_not", "note": "ask bo@example.com", "by": "mia@example.com"}
    assert await decide(api, view.run_id, key, **said) == (200, "")
    assert await decide(api, view.run_id, key, **said) == (409, "effect_already_decided")
    note, by = house.execute("select note, decided_by from effects where key = %s", key)[0]
    assert "example.com" not in note + by, "what a person types is redacted like all that comes in"
    (shown,) = (await api.get(f"/runs/{view.run_id}/effects")).json()["effects"]
    assert (shown["note"], shown["decided_by"]) == ("ask bo@example.com", "mia@example.com (local)")
    assert (await api.get("/effects", params={"state": "unknown"})).json() == {"effects": [], "next": None}


async def test_an_unknown_effect_is_asked_about_like_an_approval_wherever_a_thread_is_shown(
    house: House, api: httpx.AsyncClient
) -> None:
    view = await parked(house, Notifier([CUT]))
    key, thread, at = view.effects[0].key, view.thread_id, f"/threads/{view.thread_id}"
    (asked,) = (await api.get(at)).json()["interrupts"][view.run_id]
    assert (asked["id"], asked["value"]["id"], asked["value"]["expires_at"]) == (key, key, None)
    (action,) = asked["value"]["action_requests"]
    assert (action["name"], action["args"]) == ("notify", {"text": "[EMAIL_1] s1"})
    assert CUT.args[0] in action["description"]
    assert asked["value"]["response_schema"]["properties"]["decision"]["enum"] == ["happened", "did_not", "retry"]
    (found,) = (await api.post("/threads/search", json={"status": "interrupted", "ids": [thread]})).json()
    state = (await api.get(f"{at}/state")).json()
    waited = (await api.get(f"{at}/runs/{view.run_id}/join")).json()
    shown = [found["interrupts"][view.run_id], state["interrupts"], state["tasks"][0]["interrupts"]]
    assert [*shown, waited["__interrupt__"]] == [[asked]] * 4
    streamed = (await api.get(f"{at}/runs/{view.run_id}/stream", headers={"Last-Event-ID": "-1"})).text
    updates = [json.loads(line[6:]) for line in streamed.splitlines() if '"__interrupt__"' in line]
    assert {json.dumps(each["__interrupt__"]) for each in updates} == {json.dumps([asked])}
    answer = {"interrupt_id": key, "response": {"type": "reject", "message": "I looked"}}
    for refused in ("", "no_such_interrupt"):
        command = {"id": 1, "method": "input.respond", "params": answer}
        assert (await api.post(f"{at}/commands", json=command)).json().get("error", "") == refused
    assert house.execute("select decision, note from effects where key = %s", key) == [("did_not", "I looked")]


@pytest.mark.parametrize(
    ("resume", "state", "verdict"),
    [
        ({"decisions": [{"type": "approve"}]}, "done", "happened"),
        ([{"type": "response", "args": "did not"}], "failed", "did_not"),
        ([{"interruptId": "KEY", "status": "resolved", "payload": {"type": "retry"}}], "approved", "retry"),
        ({"KEY": {"decision": "did_not", "note": "I asked bo@example.com", "by": "mia"}}, "failed", "did_not"),
    ],
)
async def test_an_unknown_effect_is_answered_by_resume_in_the_shapes_of_an_approval(
    house: House, api: httpx.AsyncClient, resume: Any, state: str, verdict: str
) -> None:
    notifier = Notifier([CUT])
    view = await parked(house, notifier)
    key, route = view.effects[0].key, f"/threads/{view.thread_id}/runs"
    answer = json.loads(json.dumps(resume).replace("KEY", key))
    body = {"assistant_id": "trireme", "command": {"resume": answer}}
    for unclear in ("perhaps", {"type": "ignore"}, {"nobodys": True, "another": True}):
        refusal = await api.post(route, json={**body, "command": {"resume": unclear}})
        assert (refusal.status_code, "happened, did_not or retry" in refusal.json()["hint"]) == (422, True)
    again = {"Idempotency-Key": "once"}
    taken = [await api.post(route, json=body, headers=again) for _ in range(2)]
    assert [(each.status_code, each.json()["run_id"]) for each in taken] == [(200, view.run_id)] * 2
    late = await api.post(route, json=body)
    assert (late.status_code, late.json()["code"]) == (409, "no_decision_pending")
    by, note = ("mia (local)", "I asked [EMAIL_S") if verdict == "did_not" and "note" in str(resume) else ("local", "")
    row = house.execute("select state, decision, decided_by, decided_at < now(), note from effects where key = %s", key)
    assert row[0][:4] == (state, verdict, by, True)
    assert row[0][4].startswith(note)
    (shown,) = (await api.get(f"/runs/{view.run_id}/effects")).json()["effects"]
    assert shown["note"] == note.replace("[EMAIL_S", "bo@example.com")
    assert (await api.get(f"/threads/{view.thread_id}")).json()["interrupts"] == {}
    assert (await goes_on(house, view.run_id, notifier)).status == "success"


@pytest.mark.parametrize("way", ["run", "thread", "rollback"])
async def test_an_effect_that_nobody_knows_of_outlives_its_run(house: House, api: httpx.AsyncClient, way: str) -> None:
    """Deleted while it waits for a person's word, or rolled back around the call: it is shown, and decided for the
    record."""
    if way == "rollback":
        run_id, key = await cut_around_a_call(house)
        await Launches(house.pool, house.notices, Callers(KEY)).cancel(None, run_id, "rollback", by="mia")
    else:
        view = await parked(house, Notifier([CUT]))
        run_id, key, thread = view.run_id, view.effects[0].key, view.thread_id
        path = f"/threads/{thread}/runs/{run_id}" if way == "run" else f"/threads/{thread}"
        assert (await api.delete(path)).status_code == 204
    assert (await api.get(f"/runs/{run_id}")).status_code == 404
    for route in ("/effects?state=unknown", f"/runs/{run_id}/effects"):
        (left,) = (await api.get(route)).json()["effects"]
        assert (left["key"], left["run_status"], left["arguments"]) == (key, "deleted", {"text": "[EMAIL_1] s1"})
    assert ("deleted" in left["reason"]) == (way == "rollback")
    assert await decide(api, run_id, key, decision="retry") == (409, "no_decision_pending")
    assert await decide(api, run_id, "0" * 64, decision="did_not") == (404, "run_not_found")
    assert await decide(api, run_id, key, decision="happened", note="it is there") == (200, "")
    assert await decide(api, run_id, key, decision="happened") == (409, "effect_already_decided")
    (noted,) = (await api.get(f"/runs/{run_id}/effects")).json()["effects"]
    assert (noted["state"], noted["decided_by"], noted["note"]) == ("done", "local", "it is there")


async def cut_around_a_call(house: House) -> tuple[str, str]:
    """(run, key) of a run whose worker went away during its tool's call."""
    notifier, run_id = Notifier([None]), await house.create()
    attempt = asyncio.create_task(executor(house, notifier.tool(), models()).attempt(await house.claim()))
    await notifier.called.wait()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    house.execute("update runs set status = 'pending', lease_until = null where run_id = %s", run_id)
    return run_id, notifier.keys[0]


@pytest.mark.parametrize("way", ["cancelled", "deleted"])
async def test_a_call_that_outlives_its_run_is_decided_by_nobody_who_looked_before_it_ended(
    house: House, api: httpx.AsyncClient, way: str
) -> None:
    run_id, key = await cut_around_a_call(house)
    worker, stranger = InFlight(house.dsn, "vm-7"), house.decisions.of(house.store.of("acme"))
    async with worker.alone(key, 0):
        await Launches(house.pool, house.notices, Callers(KEY)).cancel(
            None, run_id, "interrupt" if way == "cancelled" else "rollback", by="mia"
        )
        (open_,) = (await api.get("/effects?state=unknown")).json()["effects"]
        assert (open_["key"], open_["run_status"], open_["in_flight"]) == (key, way, True)
        answer = await api.post(f"/runs/{run_id}/effects/{key}", json={"decision": "did_not"})
        assert (answer.status_code, answer.json()["code"]) == (409, "effect_in_flight")
        assert "vm-7" in answer.json()["message"]
        assert f"trireme effects {run_id}" in answer.json()["hint"]
    await worker.close()
    word = EffectDecision(decision="did_not", by="eve")
    assert await code_of(stranger.decide_effect(run_id, key, word), NotFound) == "run_not_found"
    assert await stranger.decide_left_effect(run_id, key, word) is None
    assert await decide(api, run_id, key, decision="did_not") == (409, "effect_look_again"), "and no stranger's word"
    assert await decide(api, run_id, key, decision="did_not") == (200, "")


async def test_a_word_that_was_on_its_way_while_the_call_went_out_again_is_not_taken(
    house: House, api: httpx.AsyncClient
) -> None:
    view, worker = await parked(house, Notifier([CUT])), InFlight(house.dsn, "vm-7")
    run_id, key = view.run_id, view.effects[0].key
    with psycopg.connect(house.dsn) as faster:
        faster.execute("select from runs where run_id = %s for update", (run_id,))
        slow = asyncio.create_task(decide(api, run_id, key, decision="did_not"))
        await house.until_one_waits_for_a_lock()
        async with worker.alone(key, 0):
            for state in ("approved", "prepared", "unknown"):  # a retry, whose worker then stands still in the call
                faster.execute("update effects set state = %s where key = %s", (state, key))
            faster.commit()
            assert await slow == (409, "effect_look_again")
    await worker.close()
    assert await decide(api, run_id, key, decision="did_not") == (200, "")


async def test_a_word_on_an_effect_that_is_foreign_late_or_malformed_is_refused(
    house: House, api: httpx.AsyncClient
) -> None:
    view, other = await parked(house, Notifier([CUT])), await parked(house, Notifier([CUT]))
    run_id, key, foreign = view.run_id, view.effects[0].key, other.effects[0].key
    assert await decide(api, run_id, foreign, decision="retry") == (404, "effect_not_found")
    assert await decide(api, new_id(), key, decision="retry") == (404, "run_not_found")
    assert await decide(api, "nothing", key, decision="retry") == (404, "run_not_found")
    assert await decide(api, run_id, "x" * 10_000, decision="retry") == (404, "effect_not_found")
    assert await decide(api, run_id, "%00", decision="retry") == (404, "effect_not_found")
    assert await decide(api, run_id, key, decision="perhaps") == (422, "invalid_request")
    assert await decide(api, run_id, key) == (422, "invalid_request")
    assert await decide(api, run_id, key, decision="retry", note="x" * 2_001) == (422, "invalid_request")
    await api.post(f"/runs/{other.run_id}/cancel")
    assert await decide(api, other.run_id, foreign, decision="retry") == (409, "no_decision_pending")
    assert state_of(house, run_id) == ("unknown", "interrupted")
    assert await decide(api, run_id, key, decision="retry") == (200, "")


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("state=lost", (422, "invalid_request")),
        ("limit=0", (422, "invalid_request")),
        ("limit=201", (422, "invalid_request")),
        ("after=there", (400, "bad_cursor")),
        ("after=%00.%00", (400, "invalid_request")),
    ],
)
async def test_a_page_that_is_none_is_refused(
    house: House, api: httpx.AsyncClient, query: str, refusal: tuple[int, str]
) -> None:
    answer = await api.get(f"/effects?{query}")
    assert (answer.status_code, answer.json()["code"]) == refusal


async def test_a_run_that_waits_for_a_word_says_so_to_who_wants_to_approve(
    house: House, api: httpx.AsyncClient
) -> None:
    view = await parked(house, Notifier([CUT]))
    answer = await api.post(f"/runs/{view.run_id}/approve", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_decision_pending")
    assert f"trireme effects {view.run_id}" in answer.json()["hint"]
