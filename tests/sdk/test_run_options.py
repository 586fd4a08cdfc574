"""Every option of a run, in each of the three ways in which the SDK makes one: create and join, stream, wait."""

import asyncio
import json
import time
import zlib
from typing import Any, Final

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import APIStatusError, UnprocessableEntityError

from tests.acceptance.processes import wait_until
from tests.acceptance.test_webhooks import receiving
from tests.sdk.test_run_interrupts import MAIL
from tests.sdk.test_runs import LONG, begun, status

WAYS: Final = ("create", "stream", "wait")
MODES: Final = [
    "values", "messages", "updates", "events", "tasks", "checkpoints", "debug", "custom", "messages-tuple",
    "tools",
]  # fmt: skip
NOBODY: Final = "11111111-1111-1111-1111-111111111111"
APPROVE: Any = {"resume": {"decisions": [{"type": "approve"}]}}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All three where the page is written, else one for each test: they share all but their last lines."""
    if "way" in metafunc.fixturenames:
        one = WAYS[zlib.crc32(metafunc.function.__name__.encode()) % len(WAYS)]
        metafunc.parametrize("way", WAYS if metafunc.config.getoption("--compatibility") else [one])


async def ended(client: Any, way: str, thread: str | None, graph: str, **options: Any) -> Any:
    """What a run came to; of one that failed, its error."""
    if way == "stream":
        *_, last = [part async for part in client.runs.stream(thread, graph, **options)]
        return last.data
    if way == "wait":
        found = await client.runs.wait(thread, graph, raise_error=False, **options)
    else:
        run = await client.runs.create(thread, graph, **options)
        found = await client.runs.join(run["thread_id"], run["run_id"])
    return found.get("__error__", found)


async def test_metadata_stays_with_the_run(client: Any, thread: str, way: str) -> None:
    await ended(client, way, thread, "slow", input={"steps": 1}, metadata={"trip": "Poros", "stops": [1]})
    (run,) = await client.runs.list(thread)
    assert (run["metadata"]["trip"], run["metadata"]["stops"]) == ("Poros", [1])
    (state, *_) = await client.threads.get_history(thread)
    assert state["metadata"]["trip"] == "Poros"


async def test_context_and_config_reach_the_graph(client: Any, thread: str, way: str) -> None:
    said: Any = {"context": {"captain": "Ann"}, "config": {"configurable": {"rank": "mate"}}}
    asked = {"messages": [{"role": "user", "content": "Ahoy"}]}
    found = await ended(client, way, thread, "chat", input=asked, **said)
    assert (found["greeting"], found["rank"]) == ("Ahoy, Ann", "mate")
    few = await ended(client, way, thread, "slow", input={"steps": 9}, config={"recursion_limit": 2})
    assert few["error"] == "GraphRecursionError"


async def test_a_run_begins_at_a_checkpoint(client: Any, thread: str, way: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 3})
    history = await client.threads.get_history(thread)
    (place,) = [state["checkpoint"] for state in history if state["values"].get("done") == 1]
    by_id = await ended(client, way, thread, "slow", checkpoint_id=place["checkpoint_id"])
    assert by_id == {"steps": 3, "done": 3}
    assert await ended(client, way, thread, "slow", input={"steps": 1}, checkpoint=place) == {"steps": 1, "done": 2}


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_every_step_is_kept_or_the_last_alone(client: Any, thread: str, way: str, durability: Any) -> None:
    assert await ended(client, way, thread, "slow", input={"steps": 2}, durability=durability) == {
        "steps": 2,
        "done": 2,
    }
    assert len(await client.threads.get_history(thread)) == (1 if durability == "exit" else 4)


async def test_checkpoint_during_is_an_older_name_for_it(client: Any, thread: str, way: str) -> None:
    with pytest.warns(DeprecationWarning, match="checkpoint_during"):
        await ended(client, way, thread, "slow", input={"steps": 2}, checkpoint_during=False)
    assert len(await client.threads.get_history(thread)) == 1
    with pytest.warns(DeprecationWarning, match="checkpoint_during"):
        await ended(client, way, thread, "slow", input={"steps": 3}, checkpoint_during=True)
    assert len(await client.threads.get_history(thread)) == 4


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_graph_within_that_keeps_no_states_runs(client: Any, durability: Any) -> None:
    found = await client.runs.wait(None, "unsaved", input={"path": []}, durability=durability)
    assert found == {"path": ["called", "called", "awaited", "awaited"]}


@pytest.mark.parametrize(
    ("stops", "done"),
    [
        ({"interrupt_before": "*"}, 0),
        ({"interrupt_before": ["step"]}, 0),
        ({"interrupt_after": "*"}, 1),
        ({"interrupt_after": ["step"]}, 1),
    ],
)
async def test_a_run_stops_where_it_is_told_to(client: Any, thread: str, way: str, stops: Any, done: int) -> None:
    assert (await ended(client, way, thread, "slow", input={"steps": 2}, **stops))["done"] == done
    state = await client.threads.get_state(thread)
    assert (state["next"], (await client.threads.get(thread))["status"]) == (["step"], "interrupted")


async def test_a_command_resumes(client: Any, thread: str, way: str) -> None:
    asked = await ended(client, way, thread, "chat", input=MAIL)
    assert asked["__interrupt__"][0]["value"]["action_requests"][0]["name"] == "send_mail"
    found = await ended(client, way, thread, "chat", command=APPROVE)
    assert found["messages"][-1]["content"] == "Aye: the mail to ann@example.com was sent"


async def test_a_command_updates_and_goes_elsewhere(client: Any, thread: str, way: str) -> None:
    await client.runs.wait(thread, "nested", input={"path": ["x"]}, interrupt_before=["middle"])
    command = {"update": [["path", ["up"]]], "goto": ["end"]}
    found = await ended(client, way, thread, "nested", command=command, interrupt_before=["middle"])
    assert found["path"][:4] == ["x", "begin", "up", "end"]


async def test_a_strict_answer_to_a_question_that_nobody_asked_fails(client: Any, thread: str, way: str) -> None:
    command = {"resume": {"0" * 32: "yes"}}
    await client.runs.wait(thread, "slow", input={"steps": 1})
    found = await ended(client, way, thread, "slow", command=command, strict_resume=True)
    assert found["error"] == "UnknownInterruptError"
    lenient = await ended(client, way, thread, "slow", command=command, strict_resume=False)
    assert lenient == {"steps": 1, "done": 1}


async def test_a_thread_is_made_only_when_that_is_asked_for(client: Any, way: str) -> None:
    missing: Any = f"33333333-3333-3333-3333-{time.time_ns() % 10**12:012d}"
    with pytest.raises(Exception, match=f"thread {missing} not found"):
        await ended(client, way, missing, "slow", input={"steps": 1}, if_not_exists="reject")
    assert (await ended(client, way, missing, "slow", input={"steps": 1}, if_not_exists="create"))["done"] == 1
    again = await ended(client, way, missing, "slow", input={"steps": 2}, if_not_exists="reject")
    assert (again, (await client.threads.get(missing))["status"]) == ({"steps": 2, "done": 2}, "idle")


async def test_reject_refuses_beside_another_run(client: Any, thread: str, way: str) -> None:
    run = await begun(client, thread)
    with pytest.raises(Exception, match="under way"):
        await ended(client, way, thread, "slow", input={}, multitask_strategy="reject")
    await client.runs.cancel(thread, run["run_id"], wait=True, action="interrupt")
    assert await status(client, run) == "interrupted"
    assert (await ended(client, way, thread, "slow", input={"steps": 1}, multitask_strategy="reject"))["done"]


async def test_enqueue_waits_for_the_other_run(client: Any, thread: str, way: str) -> None:
    await client.runs.create(thread, "slow", input={"steps": 5, "delay": 0.05})
    found = await ended(client, way, thread, "slow", input={"steps": 1}, multitask_strategy="enqueue")
    assert (found["done"], [run["status"] for run in await client.runs.list(thread)]) == (6, ["success"] * 2)


async def test_interrupt_stops_the_other_run(client: Any, thread: str, way: str) -> None:
    run = await begun(client, thread)
    found = await ended(client, way, thread, "slow", input={"steps": 1}, multitask_strategy="interrupt")
    assert found["done"] == (await client.runs.join(thread, run["run_id"]))["done"] + 1
    assert await status(client, run) == "interrupted"


async def test_rollback_forgets_the_other_run(client: Any, thread: str, way: str) -> None:
    await begun(client, thread)
    found = await ended(client, way, thread, "slow", input={"steps": 1}, multitask_strategy="rollback")
    assert found == {"steps": 1, "done": 1}
    assert len(await client.runs.list(thread)) == 1


async def test_a_run_starts_after_its_seconds(client: Any, thread: str, way: str) -> None:
    asked = time.monotonic()
    assert (await ended(client, way, thread, "slow", input={"steps": 1}, after_seconds=1))["done"] == 1
    assert time.monotonic() - asked > 1


async def test_a_webhook_hears_of_the_end_once(client: Any, thread: str, way: str) -> None:
    with receiving() as receiver:
        await ended(client, way, thread, "slow", input={"steps": 1}, webhook=f"{receiver.url}/200")
        assert await asyncio.to_thread(wait_until, lambda: bool(receiver.told))
        await asyncio.sleep(0.3)
        (told,) = receiver.told
    (run,) = await client.runs.list(thread)
    assert run["run_id"] in told.body
    assert json.loads(told.body)["status"] == "success"


async def test_a_run_without_a_thread_leaves_one_only_when_it_is_to_be_kept(client: Any, way: str) -> None:
    for on_completion, lives in (("delete", 0.5), ("keep", None)):
        told: list[Any] = []
        options: Any = {"on_completion": on_completion, "on_run_created": told.append}
        assert (await ended(client, way, None, "slow", input={"steps": 1}, **options))["done"] == 1
        thread = (await client.http.get(f"/runs/{told[0]['run_id']}"))["thread_id"]
        ttl = (await client.threads.get(thread, include=["ttl"]))["ttl"]
        assert (ttl and ttl["ttl_minutes"]) == lives


async def test_the_caller_is_told_of_the_run_as_it_is_made(client: Any, thread: str, way: str) -> None:
    told: list[Any] = []
    await ended(client, way, thread, "slow", input={"steps": 1}, on_run_created=told.append)
    (run,) = await client.runs.list(thread)
    assert told == [{"run_id": run["run_id"], "thread_id": thread}]


async def test_subgraphs_are_streamed_when_asked(client: Any, thread: str) -> None:
    options: Any = {"input": {"path": []}, "stream_mode": "updates"}
    for asked in (True, False):
        run = await client.runs.create(thread, "nested", stream_subgraphs=asked, **options)
        parts = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]
        assert any("|middle:" in part.event for part in parts) == asked


async def test_each_mode_of_a_run_is_joined_alone(client: Any, thread: str) -> None:
    asked = {"messages": [{"role": "user", "content": "what is the weather in Athens"}]}
    run = await client.runs.create(thread, "chat", input=asked, stream_mode=MODES)

    async def joined(**options: Any) -> list[Any]:
        joined = client.runs.join_stream(thread, run["run_id"], last_event_id="-1", **options)
        return [part async for part in joined]

    first, *whole = await joined()
    assert first.event == "metadata"
    told = set()
    for mode in MODES:
        before, *parts = await joined(stream_mode=mode)
        assert (before.event, bool(parts)) == ("metadata", True)
        assert parts == [part for part in whole if part in parts]
        told |= {part.event.partition("/")[0] for part in parts}
    assert told == {part.event.partition("/")[0] for part in whole} == {*MODES} - {"messages-tuple"}
    assert await joined(stream_mode=MODES[:3]) == await joined(stream_mode=tuple(MODES[:3]))


async def test_a_mode_that_nobody_streams_is_refused(client: Any, thread: str, way: str) -> None:
    """LangGraph's own server refuses it too."""
    if way != "wait":  # which has no mode
        with pytest.raises(UnprocessableEntityError, match="stream_mode"):
            await ended(client, way, thread, "slow", input={}, stream_mode="lifecycle")


async def test_what_the_sdk_names_and_langgraphs_own_server_refuses_is_refused(client: Any, thread: str) -> None:
    run = await client.runs.create(thread, "slow", input={"steps": 1})
    with pytest.raises(UnprocessableEntityError, match="stream_mode"):
        _ = [part async for part in client.runs.join_stream(thread, run["run_id"], stream_mode="lifecycle")]
    with pytest.raises(UnprocessableEntityError, match="select"):
        await client.runs.list(thread, select=["cancel_reason"])


async def test_a_cut_stream_goes_on_behind_its_last_event(client: Any, thread: str) -> None:
    seen: list[Any] = []
    given: Any = {"input": {"steps": 4, "delay": 0.05}, "stream_mode": "custom", "stream_resumable": True}
    async for part in client.runs.stream(thread, "slow", on_disconnect="continue", version="v1", **given):
        seen.append(part)
        if len(seen) == 3:
            break
    (run,) = await client.runs.list(thread)
    rest = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id=seen[-1].id)]
    assert [part.data for part in [*seen, *rest] if part.event == "custom"] == [{"step": at} for at in (1, 2, 3, 4)]
    assert await status(client, run) == "success"
    other = await client.runs.create(thread, "slow", **given)
    await client.runs.join(thread, other["run_id"])
    whole = [part async for part in client.runs.join_stream(thread, other["run_id"], last_event_id="-1")]
    assert [part.event for part in whole] == ["metadata"] + ["custom"] * len(whole[1:])
    assert len(whole) > 1


async def test_who_joins_and_leaves_may_cancel_the_run(client: Any, thread: str) -> None:
    for cancels, end in ((False, "success"), (True, "interrupted")):
        run = await client.runs.create(thread, "slow", input={"steps": 400 if cancels else 9, "delay": 0.02})
        async for part in client.runs.join_stream(thread, run["run_id"], cancel_on_disconnect=cancels):
            if part.event == "values":
                break
        await asyncio.wait_for(client.runs.join(thread, run["run_id"]), 30)
        assert await status(client, run) == end


async def test_who_waits_and_leaves_may_cancel_the_run(client: Any, thread: str) -> None:
    done = await client.runs.wait(thread, "slow", input={"steps": 1}, on_disconnect="cancel", raise_error=True)
    assert done == {"steps": 1, "done": 1}
    assert await client.runs.wait(thread, "slow", input={"steps": 1}, on_disconnect="continue") == {
        "steps": 1,
        "done": 2,
    }
    if not isinstance(client, LangGraphClient):
        return  # a thread that waits can't be told to leave
    waiting = asyncio.create_task(client.runs.wait(thread, "slow", input=LONG, on_disconnect="cancel"))
    while not await client.runs.list(thread, status="running"):
        await asyncio.sleep(0.02)
    waiting.cancel()
    (run, *_) = await client.runs.list(thread)
    await asyncio.wait_for(client.runs.join(thread, run["run_id"]), 30)
    assert await status(client, run) == "interrupted"


async def test_feedback_keys_stay_with_the_run(client: Any, thread: str) -> None:
    async for _ in client.runs.stream(thread, "slow", input={"steps": 1}, feedback_keys=["liked", "right"]):
        pass
    (run,) = await client.runs.list(thread)
    assert run["kwargs"]["feedback_keys"] == ["liked", "right"]


@pytest.mark.parametrize("route", ["", "/stream", "/wait"])
async def test_whoever_sends_feedback_keys_is_told_that_no_feedback_event_comes(
    client: Any, thread: str, route: str
) -> None:
    asked = {"assistant_id": "slow", "input": {"steps": 1}}
    for keys, said in (({"feedback_keys": ["liked"]}, "no feedback event"), ({}, "")):
        answer = await client.http.client.post(f"/threads/{thread}/runs{route}", json={**asked, **keys})
        assert said in answer.headers.get("Warning", "")
        assert bool(said) == ("Warning" in answer.headers)
        assert "event: feedback" not in answer.text


async def test_runs_are_listed_by_each_status_and_with_the_fields_asked_for(client: Any) -> None:
    async def thread(**given: Any) -> str:
        found: str = (await client.threads.create())["thread_id"]
        run = await client.runs.create(found, "slow", **given)
        if not given.get("after_seconds") and given["input"] != LONG:
            await client.runs.join(found, run["run_id"])
        elif given["input"] == LONG:
            while await status(client, run) == "pending":
                await asyncio.sleep(0.02)
        return found

    threads = {
        "pending": await thread(input={}, after_seconds=600),
        "running": await thread(input=LONG),
        "success": await thread(input={"steps": 1}),
        "error": await thread(input={"fail_at": 1}),
    }
    for expected, found in threads.items():
        (run,) = await client.runs.list(found, status=expected)
        assert run["status"] == expected
        assert await client.runs.list(found, status="timeout") == []
        fields = "run_id thread_id assistant_id created_at updated_at status metadata kwargs multitask_strategy"
        for field in fields.split():
            assert await client.runs.list(found, select=[field]) == [{field: run[field]}]
    for stopped in ("pending", "running"):
        await client.runs.cancel_many(thread_id=threads[stopped], status=stopped, action="interrupt")
        (run,) = await client.runs.list(threads[stopped])
        await client.runs.join(threads[stopped], run["run_id"])
        (run,) = await client.runs.list(threads[stopped], status="interrupted")
        assert (run["status"], run["multitask_strategy"]) == ("interrupted", "enqueue")


async def test_many_are_rolled_back_at_once(client: Any, thread: str) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    await begun(client, thread)
    await client.runs.create(thread, "slow", input=LONG)
    await client.runs.cancel_many(thread_id=thread, status="all", action="rollback")
    assert await ended(client, "wait", thread, "slow", input={"steps": 2}) == {"steps": 2, "done": 2}
    assert [run["status"] for run in await client.runs.list(thread)] == ["success", "success"]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"config": {"configurable": "x"}}, 422, "config.configurable: Input should be a valid dictionary"),
        ({"config": {"recursion_limit": "x"}}, 422, "config.recursion_limit: Input should be a valid integer"),
        ({"config": {"tags": "x"}}, 422, "config.tags: Input should be a valid list"),
        ({"checkpoint_id": NOBODY}, 404, "has no checkpoint"),
        ({"checkpoint": {"checkpoint_id": NOBODY}}, 404, "has no checkpoint"),
        ({"config": {"configurable": {"checkpoint_id": NOBODY}}}, 404, "has no checkpoint"),
        ({"metadata": {"long": "x" * 2**20}}, 413, "at most 1,048,576 are taken"),
    ],
)
async def test_what_no_run_can_begin_with_is_refused(
    client: Any, thread: str, asked: dict[str, Any], status: int, said: str
) -> None:
    with pytest.raises(APIStatusError) as refused:
        await client.http.post(f"/threads/{thread}/runs", json={"assistant_id": "slow", **asked})
    told: Any = refused.value.body
    assert (refused.value.status_code, said in told["message"]) == (status, True), told
    assert await client.runs.list(thread) == []


@pytest.mark.parametrize("asked", [{"checkpoint_id": NOBODY}, {"command": {"resume": "yes"}}])
async def test_a_run_without_a_thread_goes_on_from_nothing(client: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(UnprocessableEntityError, match="without its thread"):
        await client.http.post("/runs/wait", json={"assistant_id": "slow", **asked})


async def test_a_command_that_says_nothing_is_none(client: Any, thread: str) -> None:
    asked = {"assistant_id": "slow", "input": {"steps": 1}, "command": {}}
    assert await client.http.post(f"/threads/{thread}/runs/wait", json=asked) == {"steps": 1, "done": 1}


async def test_which_runs_are_cancelled_must_be_said(client: Any) -> None:
    with pytest.raises(UnprocessableEntityError, match="name a thread_id, run_ids or a status"):
        await client.http.post("/runs/cancel", json={})
