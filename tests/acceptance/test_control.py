"""Control over HTTP: a fork that waits, its plan edited, resumed; everything late, doubled or broken has its code."""

import uuid
from typing import Any

import httpx
import orjson
import pytest

from tests.acceptance.conftest import Up
from tests.acceptance.test_http import MISSING, failed

GOAL = "What did the workshop write to eleni@example.com?"


@pytest.fixture(scope="module")
def parent(up: Up) -> dict[str, Any]:
    view: dict[str, Any] = httpx.post(f"{up.url}/runs", params={"wait": True}, json={"goal": GOAL}, timeout=60).json()
    assert view["status"] == "success"
    return view


@pytest.fixture
def paused(api: httpx.Client, parent: dict[str, Any]) -> dict[str, Any]:
    """A fork that waits behind its parent's first step."""
    points = api.get(f"/runs/{parent['run_id']}/checkpoints").json()
    assert all(set(point) == {"seq", "next", "at"} for point in points)
    at = [point["seq"] for point in points if point["next"] == ["critic"]][-1]
    answer = api.post(f"/runs/{parent['run_id']}/fork", json={"at": at, "paused": True})
    assert answer.status_code == 202
    fork: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/runs/{fork['run_id']}"
    assert (fork["phase"], fork["forked_from"], fork["forked_seq"]) == ("paused", parent["run_id"], at)
    assert (fork["plan"], fork["steps"], fork["cost_usd"]) == (parent["plan"], parent["steps"], 0.0)
    return fork


def step(id_: str, *needs: str) -> dict[str, Any]:
    return {"id": id_, "goal": "Find who may use it", "depends_on": list(needs), "done_when": "it is said who"}


def edit(api: httpx.Client, run: dict[str, Any], *steps: Any, **fields: Any) -> httpx.Response:
    body = {"plan": {"steps": list(steps)}, "last_seq": run["last_seq"], **fields}
    return api.put(f"/runs/{run['run_id']}/plan", json=body)


def test_a_paused_run_takes_an_edited_plan_and_goes_on_with_it(api: httpx.Client, paused: dict[str, Any]) -> None:
    """What is done holds a redacted address, and is still known for what it was when it comes back restored."""
    done = paused["plan"]["steps"]
    assert "eleni@example.com" in orjson.dumps(done).decode()
    edited = edit(api, paused, *done, step("s9", done[0]["id"]))
    assert edited.status_code == 200, edited.text
    again = edit(api, paused, *done, step("s9", done[0]["id"]))
    assert again.json()["last_seq"] == edited.json()["last_seq"]
    failed(edit(api, paused, *done), 409, "plan_changed")
    run_id = paused["run_id"]
    assert api.post(f"/runs/{run_id}/resume", json={"bounds": {"tokens": 400_000}}).json()["status"] == "pending"
    failed(api.post(f"/runs/{run_id}/resume"), 409, "not_resumable")
    with api.stream("GET", f"/runs/{run_id}/events") as stream:
        kinds = [line.removeprefix("event: ") for line in stream.iter_lines() if line.startswith("event: ")]
    assert kinds[:6] == ["run_created", "run_forked", "run_paused", "plan_edited", "bounds_changed", "run_resumed"]
    view = api.get(f"/runs/{run_id}").json()
    assert view["status"] == "success"
    assert {each["step_id"] for each in view["steps"]} == {*(each["id"] for each in done), "s9"}
    failed(api.post(f"/runs/{run_id}/pause"), 409, "run_ended")
    failed(edit(api, view, step("s1")), 409, "run_ended")


def test_a_plan_that_cannot_be_is_refused_with_its_place(api: httpx.Client, paused: dict[str, Any]) -> None:
    done = paused["plan"]["steps"]
    for steps, said in (
        ((*done, step("s8", "s9"), step("s9", "s8")), "plan: steps s8, s9 depend on each other"),
        ((*done, step("s9", "s7")), "step s9 depends on s7"),
        ((*done, *done), "share an id"),
        ((), "steps"),
        (("s1",), "steps.0"),
    ):
        assert said in failed(edit(api, paused, *steps), 400, "bad_plan")["message"]
    for steps in ((step("s9"),), ({**done[0], "goal": "Something else"},)):
        assert f"step {done[0]['id']} has begun" in failed(edit(api, paused, *steps), 400, "step_begun")["message"]
    failed(edit(api, paused, *done, step("s9"), last_seq=9_999), 400, "bad_last_seq")
    failed(api.put(f"/runs/{paused['run_id']}/plan", json={"plan": {"steps": done}}), 422, "invalid_request")
    failed(api.put(f"/runs/{paused['run_id']}/plan", json={"plan": [], "last_seq": 1}), 422, "invalid_request")
    assert api.get(f"/runs/{paused['run_id']}").json()["plan"] == paused["plan"]
    failed(api.post(f"/runs/{paused['run_id']}/pause"), 409, "already_paused")
    failed(api.post(f"/runs/{paused['run_id']}/resume", json={"bounds": {"seconds": -1}}), 400, "bad_bounds")


def test_a_fork_at_a_point_that_does_not_exist_is_refused(api: httpx.Client, parent: dict[str, Any]) -> None:
    fork = f"/runs/{parent['run_id']}/fork"
    for at in (0, -1, 1, parent["last_seq"] + 1, 2**80):
        hint = failed(api.post(fork, json={"at": at}), 400, "bad_fork_point")["hint"]
        assert f"to {parent['last_seq']}" in hint
    for body in ({"at": "latest"}, {"at": 1.5}, {"line": 3}, {"bounds": {"tokens": "many"}}):
        failed(api.post(fork, json=body), 422, "invalid_request")
    failed(api.post(fork, json={"bounds": {"money": 1}}), 400, "bad_bounds")
    for method, path in (("POST", "fork"), ("POST", "pause"), ("GET", "checkpoints")):
        failed(api.request(method, f"/runs/{MISSING}/{path}"), 404, "run_not_found")
    failed(
        api.put(f"/runs/{MISSING}/plan", json={"plan": {"steps": [step("s1")]}, "last_seq": 1}), 404, "run_not_found"
    )


def test_the_same_key_makes_one_fork(api: httpx.Client, parent: dict[str, Any]) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = (api.post(f"/runs/{parent['run_id']}/fork", json={}, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["run_id"] == again.json()["run_id"]
    failed(api.post(f"/runs/{parent['run_id']}/fork", json={"paused": True}, headers=key), 409, "idempotency_mismatch")


def test_control_is_in_the_openapi_document_with_examples(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    for route in ("pause", "resume", "cancel", "fork", "checkpoints", "plan"):
        (operation,) = document["paths"][f"/runs/{{run_id}}/{route}"].values()
        assert operation["description"]
    for name in ("Fork", "EditPlan", "Resume"):
        assert document["components"]["schemas"][name]["examples"]
