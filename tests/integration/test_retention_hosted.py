"""What hosted graphs were given and came to goes with their logs."""

from typing import Any

import httpx
import orjson
import pytest

from serving.api.openai.draft import id_of
from tests.integration.pruning import ended_long_ago, keep, planned, pruned, state_rows
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels

pytestmark = pytest.mark.usefixtures("no_terms")


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
        """update threads set status = %s, values = '{"text": "a secret"}', error = '{"message": "a secret"}',
            config = '{"configurable": {"text": "a secret"}}'
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
