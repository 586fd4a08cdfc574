"""Decisions over HTTP that are late, doubled, foreign or malformed: each gets its code, and changes nothing."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from graph.ledger import EffectDecision
from graph.tools.policy import Policy, Rule
from serving.api.app import create_app
from serving.auth.callers import Callers
from serving.database import new_id
from serving.errors import NotFound
from serving.keys.key import create
from serving.runs.attempts.in_flight import InFlight
from serving.runs.launches import Launches
from serving.settings import Settings
from serving.wiring import open_api_services
from tests.integration.notifier import CUT, Notifier, executor, goes_on, models, parked
from tests.integration.run_house import KEY, House, code_of

ASK = Policy(rules=(Rule(action="ask"),))
EDIT = {"decision": "edit", "arguments": {"text": "Better"}}


@pytest.fixture
async def api(house: House, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings.model_validate(
        {"home": tmp_path, "DATABASE_URL": house.dsn, "vault_key": b64encode(KEY).decode()}
    )
    app = create_app(lambda: open_api_services(settings))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


@pytest.fixture
async def key(house: House) -> AsyncIterator[str]:
    owner = psycopg.AsyncConnection.connect(house.dsn, autocommit=True, row_factory=dict_row)
    async with await owner as connection:
        yield (await create(connection, "default", "desk", ["read", "write"], None))[1]
        await connection.execute("delete from api_keys")


async def asking(house: House, notifier: Notifier) -> tuple[str, str]:
    """(run, approval) of a run that waits for a person to allow its tool call."""
    run_id = await house.create()
    await executor(house, notifier.tool(), models(), ASK).attempt(await house.claim())
    view = await house.store.get(run_id)
    return run_id, view.approvals[0].approval_id


async def approve(api: httpx.AsyncClient, run_id: str, **body: Any) -> tuple[int, str]:
    answer = await api.post(f"/runs/{run_id}/approve", json=body)
    return answer.status_code, answer.json().get("code", "")


async def decide(api: httpx.AsyncClient, run_id: str, key: str, **body: Any) -> tuple[int, str]:
    answer = await api.post(f"/runs/{run_id}/effects/{key}", json=body)
    return answer.status_code, answer.json().get("code", "")


def state_of(house: House, run_id: str) -> tuple[str, str]:
    """(the effect's state, the run's status)."""
    query = "select state, status from effects join runs using (run_id) where run_id = %s"
    state, status = house.execute(query, run_id)[0]
    return state, status


# ---------------------------------------------------------------- approvals


async def test_an_approval_is_decided_once(house: House, api: httpx.AsyncClient) -> None:
    run_id, approval_id = await asking(house, Notifier())
    assert state_of(house, run_id) == ("proposed", "interrupted")
    assert await approve(api, run_id, approval_id=approval_id) == (200, "")
    assert state_of(house, run_id) == ("approved", "pending")
    for second in ({"decision": "approve"}, {"decision": "reject"}, EDIT):
        assert await approve(api, run_id, approval_id=approval_id, **second) == (409, "approval_already_decided")
    assert await approve(api, run_id) == (409, "no_decision_pending")
    assert state_of(house, run_id) == ("approved", "pending")


async def test_all_answers_of_one_response_are_taken_or_none(house: House, api: httpx.AsyncClient) -> None:
    run_id, first = await asking(house, Notifier())
    another = """insert into approvals (approval_id, run_id, kind, request, digest, expires_at)
        select 'second', run_id, kind, request || '{"id": "second", "effect_key": ""}', digest, expires_at
        from approvals where run_id = %s"""
    house.execute(another, run_id)

    async def answered(*ids: str) -> int:
        said: dict[str, Any] = {"type": "mcp_approval_response", "approve": True}
        items = [{**said, "approval_request_id": f"mcpr_{id_}"} for id_ in ids]
        asked = {"model": "trireme", "background": True, "previous_response_id": f"resp_{run_id.replace('-', '')}"}
        return (await api.post("/v1/responses", json={**asked, "input": items})).status_code

    for wrong in ((first, "nobodys"), ("nobodys", first), (first, "second", first)):
        assert await answered(*wrong) in (400, 404, 409)
        assert state_of(house, run_id) == ("proposed", "interrupted")
    assert await answered(first, "second") == 200
    assert house.execute("select count(*) from approvals where run_id = %s and decision is null", run_id) == [(0,)]


async def test_an_approval_that_expired_is_late(house: House, api: httpx.AsyncClient) -> None:
    notifier = Notifier()
    run_id, approval_id = await asking(house, notifier)
    house.execute("update approvals set expires_at = now() - interval '1 second' where run_id = %s", run_id)
    for late in ({"decision": "approve"}, {"decision": "reject"}, EDIT):
        assert await approve(api, run_id, approval_id=approval_id, **late) == (409, "approval_expired")
    house.execute("update runs set run_at = now() where run_id = %s", run_id)
    await executor(house, notifier.tool(), models(), ASK).attempt(await house.claim())
    assert state_of(house, run_id) == ("failed", "success")
    assert notifier.keys == []


async def test_an_approval_of_a_cancelled_run_is_late(house: House, api: httpx.AsyncClient) -> None:
    run_id, approval_id = await asking(house, Notifier())
    assert (await api.post(f"/runs/{run_id}/cancel")).status_code == 200
    assert await approve(api, run_id, approval_id=approval_id) == (409, "no_decision_pending")
    assert state_of(house, run_id) == ("proposed", "cancelled")


async def test_an_approval_of_another_run_is_unknown_here(house: House, api: httpx.AsyncClient) -> None:
    run_id, _ = await asking(house, Notifier())
    other, foreign = await asking(house, Notifier())
    assert await approve(api, run_id, approval_id=foreign) == (409, "approval_of_another_run")
    assert await approve(api, new_id(), approval_id=foreign) == (404, "run_not_found")
    assert await approve(api, run_id, approval_id="nobody asked") == (404, "not_found")
    assert state_of(house, run_id) == state_of(house, other) == ("proposed", "interrupted")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"decision": "edit"}, (400, "edit_without_arguments")),
        ({"decision": "edit", "arguments": {}}, (400, "bad_arguments")),
        ({"decision": "edit", "arguments": {"text": 7}}, (400, "bad_arguments")),
        ({"decision": "edit", "arguments": {"text": "x", "more": 1}}, (400, "bad_arguments")),
        ({"decision": "edit", "arguments": ["text"]}, (422, "invalid_request")),
        ({"decision": "perhaps"}, (422, "invalid_request")),
        ({"decision": "approve", "sure": True}, (422, "invalid_request")),
    ],
)
async def test_what_cannot_be_a_decision_is_refused_and_the_question_is_still_open(
    house: House, api: httpx.AsyncClient, body: dict[str, Any], refusal: tuple[int, str]
) -> None:
    notifier = Notifier()
    run_id, approval_id = await asking(house, notifier)
    assert await approve(api, run_id, approval_id=approval_id, **body) == refusal
    assert state_of(house, run_id) == ("proposed", "interrupted")
    assert await approve(api, run_id, approval_id=approval_id, **EDIT) == (200, "")
    await executor(house, notifier.tool(), models(), ASK).attempt(await house.claim())
    states = house.execute("select state from effects where run_id = %s order by created_at", run_id)
    assert states == [("failed",), ("done",)], "what was proposed gave way to what the person made of it"
    assert len(notifier.keys) == 1


async def test_an_approval_without_the_values_that_its_tool_needs_uses_nothing_up(
    house: House, api: httpx.AsyncClient
) -> None:
    notifier = Notifier()
    tool = notifier.tool(in_clear=("text",))
    run_id = await house.create()
    await executor(house, tool, models(), ASK).attempt(await house.claim())
    answer = await api.post(f"/runs/{run_id}/approve", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "reveal_needed")
    assert answer.json()["message"].endswith("needs the values behind [EMAIL_1]")
    hidden = {"decision": "edit", "arguments": {"text": "[EMAIL_2] and ann@example.com"}}
    answer = await api.post(f"/runs/{run_id}/approve", json=hidden)
    assert answer.json()["message"].endswith("needs the values behind [EMAIL_2]"), "the server's own are at hand"
    assert state_of(house, run_id) == ("proposed", "interrupted")
    assert await approve(api, run_id, reveal={"[EMAIL_1]": "bo@example.com"}) == (200, "")
    await executor(house, tool, models(), ASK).attempt(await house.claim())
    assert (state_of(house, run_id), len(notifier.keys)) == (("done", "success"), 1)


async def test_a_decision_that_is_refused_shows_its_run_nothing(house: House, api: httpx.AsyncClient) -> None:
    run_id, approval_id = await asking(house, Notifier())
    shown, query = {"[EMAIL_1]": "bo@example.com"}, "select placeholder from vault where scope = %s"
    assert (await approve(api, run_id, approval_id="nobody asked", reveal=shown))[0] == 404
    assert await approve(api, run_id, decision="edit", arguments={}, reveal=shown) == (400, "bad_arguments")
    assert await decide(api, run_id, "0" * 64, decision="retry", reveal=shown) == (404, "effect_not_found")
    assert house.execute(query, run_id) == []
    assert await approve(api, run_id, approval_id=approval_id, reveal=shown) == (200, "")
    assert house.execute(query, run_id) == [("[EMAIL_1]",)]
    assert await approve(api, run_id, approval_id=approval_id, reveal={"[EMAIL_2]": "x"}) == (
        409,
        "approval_already_decided",
    )
    assert house.execute(query, run_id) == [("[EMAIL_1]",)]


async def test_a_retry_without_the_values_that_were_forgotten_is_not_taken(
    house: House, api: httpx.AsyncClient
) -> None:
    tool, shown = Notifier([CUT]).tool(in_clear=("text",)), {"[EMAIL_1]": "bo@example.com"}
    run_id = await house.create()
    await executor(house, tool, models(), ASK).attempt(await house.claim())
    assert await approve(api, run_id, reveal=shown) == (200, "")
    await executor(house, tool, models(), ASK).attempt(await house.claim())
    house.execute("update vault set expires_at = now() where scope = %s", run_id)
    ((key,),) = house.execute("select key from effects where run_id = %s", run_id)
    assert await decide(api, run_id, key, decision="retry") == (409, "reveal_needed")
    assert state_of(house, run_id) == ("unknown", "interrupted")
    assert await decide(api, run_id, key, decision="retry", reveal=shown) == (200, "")


async def test_whose_key_it_was_is_told_beside_who_it_says(house: House, api: httpx.AsyncClient, key: str) -> None:
    prefix = key[:12]
    api.headers["X-Api-Key"] = key
    view, (run_id, approval_id) = await parked(house, Notifier([CUT])), await asking(house, Notifier())
    assert await approve(api, run_id, approval_id=approval_id, by="Ann") == (200, "")
    assert await decide(api, view.run_id, view.effects[0].key, decision="did_not", by="Bo") == (200, "")
    query = "select body ->> 'by' from run_events where run_id = any(%s) and kind like '%%_decided' order by at"
    assert house.execute(query, [run_id, view.run_id]) == [(f"Ann ({prefix})",), (f"Bo ({prefix})",)]


# ---------------------------------------------------------------- effects


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
