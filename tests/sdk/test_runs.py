"""`runs`: create, wait, list, get, join, cancel, delete, batch; and what a run does to others of its thread."""

import asyncio
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.errors import ConflictError, NotFoundError, UnprocessableEntityError
from langgraph_sdk.schema import Run

from tests.acceptance.conftest import Up
from tests.quickest import quickest

NOBODY = "11111111-1111-1111-1111-111111111111"
LONG: dict[str, Any] = {"steps": 400, "delay": 0.05}


async def begun(client: Any, thread: str, **options: Any) -> Run:
    """A long run that is under way."""
    run: Run = await client.runs.create(thread, "slow", input=LONG, **options)
    async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
        if part.event == "values":
            break
    return run


async def status(client: Any, run: Run) -> str:
    return str((await client.runs.get(run["thread_id"], run["run_id"]))["status"])


async def test_a_created_run_waits_runs_and_is_joined(client: Any, thread: str) -> None:
    run = await client.runs.create(thread, "slow", input={"steps": 2}, metadata={"trip": "Poros"})
    assert (run["status"], run["thread_id"], run["multitask_strategy"]) == ("pending", thread, "enqueue")
    assert run["metadata"] is not None
    assert run["metadata"].items() >= {"trip": "Poros", "graph_id": "slow", "assistant_id": run["assistant_id"]}.items()
    assert await client.runs.join(thread, run["run_id"]) == {"steps": 2, "done": 2}
    ended = await client.runs.get(thread, run["run_id"])
    assert (ended["status"], ended["metadata"]) == ("success", run["metadata"])
    state = await client.threads.get(thread)
    assert (state["status"], state["values"]) == ("idle", {"steps": 2, "done": 2})
    assert state["metadata"] == {"graph_id": "slow", "assistant_id": run["assistant_id"]}


async def test_wait_answers_with_the_values_and_the_thread_goes_on_from_them(client: Any, thread: str) -> None:
    assert await client.runs.wait(thread, "slow", input={"steps": 2}) == {"steps": 2, "done": 2}
    assert await client.runs.wait(thread, "slow", input={"steps": 3}) == {"steps": 3, "done": 3}


async def test_wait_raises_what_the_graph_raised(client: Any, thread: str) -> None:
    with pytest.raises(Exception, match="ValueError: the mast broke"):
        await client.runs.wait(thread, "slow", input={"fail_at": 1})
    found = await client.runs.wait(thread, "slow", input={"fail_at": 1, "steps": 1}, raise_error=False)
    assert found == {"__error__": {"error": "ValueError", "message": "the mast broke"}}
    broken = await client.threads.get(thread)
    assert (broken["status"], broken["values"]) == ("error", {"fail_at": 1, "steps": 1, "done": 0})
    (_, run) = await client.runs.list(thread)
    assert run["status"] == "error"


async def test_a_graph_that_quits_ends_its_own_run_alone(client: Any, thread: str, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    other = await client.threads.create()
    beside = await client.runs.create(other["thread_id"], "slow", input={"steps": 16, "hold": str(hold)})
    found = await client.runs.wait(thread, "slow", input={"quit_at": 2}, raise_error=False)
    assert found == {"__error__": {"error": "SystemExit", "message": "nobody at the helm"}}
    hold.touch()
    assert (await client.runs.join(other["thread_id"], beside["run_id"]))["done"] == 16
    attempts = [state["metadata"]["run_attempt"] for state in await client.threads.get_history(other["thread_id"])]
    assert {*attempts} == {1}


async def test_a_thread_of_runs_is_listed_by_pages_and_status(client: Any, thread: str) -> None:
    for steps in (1, 2, 3):
        await client.runs.wait(thread, "slow", input={"steps": steps})
    await client.runs.wait(thread, "slow", input={"fail_at": 4, "steps": 9}, raise_error=False)
    every = await client.runs.list(thread)
    assert [run["status"] for run in every] == ["error", "success", "success", "success"]
    assert await client.runs.list(thread, limit=2, offset=1) == every[1:3]
    assert await client.runs.list(thread, status="error") == every[:1]
    assert await client.runs.list(thread, limit=1, select=["run_id", "status"]) == [
        {"run_id": every[0]["run_id"], "status": "error"}
    ]


async def test_a_run_is_deleted_with_its_checkpoints(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    (run,) = await client.runs.list(thread)
    await client.runs.delete(thread, run["run_id"])
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    assert await client.runs.wait(thread, "slow", input={"steps": 1}) == {"steps": 1, "done": 1}


async def test_a_cancelled_run_stops_within_a_second(client: Any, thread: str) -> None:
    run: Any = None

    async def cancelled_after_s() -> float:
        nonlocal run
        run, asked = await begun(client, thread), time.monotonic()
        await client.runs.cancel(thread, run["run_id"], wait=True)
        return time.monotonic() - asked

    assert await quickest(cancelled_after_s, 1.5) < 1.5
    assert await status(client, run) == "interrupted"
    assert (await client.threads.get(thread))["status"] == "interrupted"
    with pytest.raises(NotFoundError):
        await client.runs.cancel(thread, run["run_id"])
    done = (await client.runs.join(thread, run["run_id"]))["done"]
    assert await client.runs.wait(thread, "slow", input={"steps": 1}) == {"steps": 1, "delay": 0.05, "done": done + 1}


async def test_a_cancel_with_rollback_leaves_nothing(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    run = await begun(client, thread)
    await client.runs.cancel(thread, run["run_id"], wait=True, action="rollback")
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, run["run_id"])
    assert await client.runs.wait(thread, "slow", input={"steps": 2}) == {"steps": 2, "done": 2}


async def test_many_are_cancelled_at_once(client: Any, thread: str) -> None:
    running = await begun(client, thread)
    waiting = [await client.runs.create(thread, "slow", input=LONG) for _ in range(2)]
    await client.runs.cancel_many(thread_id=thread, run_ids=[waiting[0]["run_id"]])
    assert [await status(client, run) for run in waiting] == ["interrupted", "pending"]
    await client.runs.cancel_many(thread_id=thread, status="pending")
    assert await status(client, waiting[1]) == "interrupted"
    await client.runs.cancel_many(thread_id=thread, status="all")
    await client.runs.join(thread, running["run_id"])
    assert await status(client, running) == "interrupted"
    with pytest.raises(NotFoundError):
        await client.runs.cancel_many(thread_id=thread, status="all")


async def test_a_stateless_run_keeps_its_thread_when_asked(client: Any) -> None:
    gone = await client.runs.create(None, "slow", input={"steps": 1})
    assert await client.runs.join(gone["thread_id"], gone["run_id"]) == {"steps": 1, "done": 1}
    shown = await client.threads.get(gone["thread_id"], include=["ttl"])
    assert (shown["ttl"]["strategy"], shown["ttl"]["ttl_minutes"]) == ("delete", 0.5)
    kept: Any = {"input": {"steps": 1}, "on_completion": "keep"}
    run = await client.runs.create(None, "slow", **kept)
    await client.runs.join(run["thread_id"], run["run_id"])
    ttl = (await client.threads.get(run["thread_id"], include=["ttl"]))["ttl"]
    assert ttl is None


async def test_a_list_in_an_address_may_be_one_json_text(client: Any, thread: str, server: Up) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    async with httpx.AsyncClient(base_url=f"{server.url}/threads/{thread}") as http:
        (run,) = (await http.get("/runs", params={"select": '["run_id","status"]'})).json()
        assert (set(run), run["status"]) == ({"run_id", "status"}, "success")
        assert (await http.get("/state", params={"select": '["next"]'})).json() == {"next": []}
        stream = await http.get(f"/runs/{run['run_id']}/stream", params={"stream_mode": '["values"]', "after": 0})
        assert "event: values" in stream.text
        unknown = await http.get(f"/runs/{run['run_id']}/stream", params={"stream_mode": '["tea"]'})
        assert (unknown.status_code, "stream_mode" in unknown.json()["message"]) == (422, True)


async def test_a_batch_is_queued_in_order(client: Any) -> None:
    batch: Any = [{"assistant_id": "slow", "input": {"steps": steps}} for steps in (1, 2)]
    runs = await client.runs.create_batch(batch)
    assert [await client.runs.join(run["thread_id"], run["run_id"]) for run in runs] == [
        {"steps": 1, "done": 1},
        {"steps": 2, "done": 2},
    ]


async def test_a_batch_is_made_once_and_whole(server: Up) -> None:
    batch = [{"assistant_id": "slow", "input": {"steps": steps}} for steps in (1, 2)]
    once = {"Idempotency-Key": str(uuid4())}
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        made = [(await http.post("/runs/batch", json=batch, headers=once)).json() for _ in range(2)]
        assert [[run["run_id"] for run in runs] for runs in made] == [[run["run_id"] for run in made[0]]] * 2
        assert [run["kwargs"]["input"] for run in made[0]] == [each["input"] for each in batch]
        other = await http.post("/runs/batch", json=batch[:1], headers=once)
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_mismatch")
        mark = {"metadata": {"graph_id": "slow"}}
        before = (await http.post("/threads/count", json=mark)).json()
        refused = await http.post("/runs/batch", json=[*batch, {"assistant_id": NOBODY}])
        assert refused.status_code == 404
        assert (await http.post("/threads/count", json=mark)).json() <= before  # others are swept


async def test_runs_of_a_thread_wait_for_each_other(client: Any, thread: str) -> None:
    runs = [await client.runs.create(thread, "slow", input={"steps": 1, "delay": 0.1}) for _ in range(3)]
    found = [await client.runs.join(thread, run["run_id"]) for run in runs]
    assert [each["done"] for each in found] == [1, 2, 3]


async def test_reject_refuses_beside_another_run(client: Any, thread: str) -> None:
    run = await begun(client, thread)
    with pytest.raises(ConflictError):
        await client.runs.create(thread, "slow", input={}, multitask_strategy="reject")
    await client.runs.cancel(thread, run["run_id"], wait=True)
    free = await client.runs.create(thread, "slow", input={"steps": 1}, multitask_strategy="reject")
    assert free["multitask_strategy"] == "reject"


async def test_interrupt_stops_the_others_and_keeps_what_they_did(client: Any, thread: str) -> None:
    running, waiting = await begun(client, thread), await client.runs.create(thread, "slow", input=LONG)
    last = await client.runs.create(thread, "slow", input={"steps": 1}, multitask_strategy="interrupt")
    found = await client.runs.join(thread, last["run_id"])
    assert [await status(client, run) for run in (running, waiting, last)] == ["interrupted", "interrupted", "success"]
    assert (found["done"], found["delay"]) == ((await client.runs.join(thread, running["run_id"]))["done"] + 1, 0.05)


async def test_rollback_forgets_the_others(client: Any, thread: str) -> None:
    running, waiting = await begun(client, thread), await client.runs.create(thread, "slow", input=LONG)
    last = await client.runs.create(thread, "slow", input={"steps": 1}, multitask_strategy="rollback")
    assert await client.runs.join(thread, last["run_id"]) == {"steps": 1, "done": 1}
    assert [run["run_id"] for run in await client.runs.list(thread)] == [last["run_id"]]
    for gone in (running, waiting):
        with pytest.raises(NotFoundError):
            await client.runs.get(thread, gone["run_id"])


async def test_a_thread_is_made_for_a_run_that_asks_for_it(client: Any) -> None:
    missing: Any = f"22222222-2222-2222-2222-{time.time_ns() % 10**12:012d}"
    with pytest.raises(NotFoundError):
        await client.runs.create(missing, "slow", input={"steps": 1})
    waited = await client.runs.wait(missing, "slow", input={"steps": 1}, if_not_exists="create")
    assert waited == {"steps": 1, "done": 1}
    assert (await client.threads.get(missing))["status"] == "idle"


async def test_a_run_starts_after_its_seconds(client: Any, thread: str) -> None:
    asked = time.monotonic()
    run = await client.runs.create(thread, "slow", input={"steps": 1}, after_seconds=1)
    assert run["status"] == "pending"
    await client.runs.join(thread, run["run_id"])
    assert time.monotonic() - asked > 1


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_states_are_kept_as_durably_as_asked(client: Any, thread: str, durability: Any) -> None:
    assert await client.runs.wait(thread, "slow", input={"steps": 2}, durability=durability) == {"steps": 2, "done": 2}
    assert await client.runs.wait(thread, "slow", input={"steps": 3}) == {"steps": 3, "done": 3}


async def test_a_reader_that_leaves_may_cancel_its_run(client: Any, thread: str) -> None:
    async for part in client.runs.stream(thread, "slow", input=LONG, on_disconnect="cancel"):
        if part.event == "values":
            break
    (run,) = await client.runs.list(thread)
    await asyncio.wait_for(client.runs.join(thread, run["run_id"]), 30)
    assert await status(client, run) == "interrupted"
    async for part in client.runs.stream(thread, "slow", input={"steps": 1, "delay": 0.2}):
        if part.event == "metadata":
            break
    (last, *_) = await client.runs.list(thread)
    await client.runs.join(thread, last["run_id"])
    assert await status(client, last) == "success"


async def test_what_is_asked_stays_with_the_run(client: Any, thread: str) -> None:
    run: Any = await client.runs.create(
        thread, "slow", input={"steps": 1, "b": 1, "a": 2}, webhook="https://example.com/hook", context={"who": "Ann"}
    )
    assert list(run["kwargs"]["input"]) == ["steps", "b", "a"]
    assert (run["kwargs"]["webhook"], run["kwargs"]["context"]) == ("https://example.com/hook", {"who": "Ann"})


def test_the_sync_client_does_the_same(sync_client: Any) -> None:
    thread = sync_client.threads.create()["thread_id"]
    assert sync_client.runs.wait(thread, "slow", input={"steps": 1}) == {"steps": 1, "done": 1}
    run = sync_client.runs.create(thread, "slow", input=LONG)
    sync_client.runs.cancel(thread, run["run_id"], wait=True)
    assert [each["status"] for each in sync_client.runs.list(thread)] == ["interrupted", "success"]
    sync_client.runs.delete(thread, run["run_id"])
    (left,) = sync_client.runs.list(thread)
    assert sync_client.runs.join(thread, left["run_id"]) == {"steps": 1, "done": 1}


async def test_what_cannot_be_used_is_refused_as_the_client_expects(client: Any, thread: str) -> None:
    strange: Any = "strange"
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(strange, "slow", input={})
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread, "slow", input={}, multitask_strategy=strange)
    with pytest.raises(UnprocessableEntityError):
        await client.runs.create(thread, strange, input={})
    with pytest.raises(NotFoundError):
        await client.runs.create(thread, NOBODY, input={})
    with pytest.raises(NotFoundError):
        await client.runs.get(thread, NOBODY)
    with pytest.raises(NotFoundError):
        await client.runs.list(NOBODY)


def test_a_goal_and_a_graph_go_to_the_same_path(server: Up) -> None:
    with httpx.Client(base_url=server.url) as http:
        wrong = http.post("/runs", json={"assistant_id": "slow", "multitask_strategy": "x"})
        assert (wrong.status_code, wrong.json()["message"].partition(":")[0]) == (422, "multitask_strategy")
        neither = http.post("/runs", json={"input": {}})
        assert (neither.status_code, neither.json()["message"].partition(":")[0]) == (422, "goal")
        goal = http.post("/runs?wait=true", json={"goal": "What is 2 + 2?"})
        assert goal.json()["status"] == "success"


async def test_who_stops_waiting_may_cancel_the_run(client: Any, thread: str, server: Up) -> None:
    body = {"assistant_id": "slow", "input": LONG, "on_disconnect": "cancel"}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as impatient:
        waiting = asyncio.create_task(impatient.post(f"/threads/{thread}/runs/wait", json=body))
        while not (runs := await client.runs.list(thread)):
            await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
    (run,) = runs
    await asyncio.wait_for(client.runs.join(thread, run["run_id"]), 30)
    assert await status(client, run) == "interrupted"
