"""Approvals over HTTP that are late, doubled, foreign or malformed: each gets its code, and changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from serving.database import new_id
from serving.keys.key import create
from tests.integration.decisions_house import ASK, decide, state_of, wired_api
from tests.integration.notifier import CUT, Notifier, executor, models, parked
from tests.integration.run_house import House

EDIT = {"decision": "edit", "arguments": {"text": "Better"}}


@pytest.fixture
async def api(house: House, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with wired_api(house, tmp_path) as client:
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
