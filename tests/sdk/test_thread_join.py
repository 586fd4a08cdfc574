"""`threads.join_stream`: the runs of a thread, one behind the other, as LangGraph's older clients read them."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import SyncLangGraphClient
from langgraph_sdk.errors import BadRequestError, NotFoundError, UnprocessableEntityError
from langgraph_sdk.schema import StreamPart

from serving.api.event_id import seq_of
from tests.sdk.watching import until_answered, watch


async def joined(client: Any, thread: str, runs: int, **options: Any) -> list[StreamPart]:
    """Until so many runs are done."""
    parts: list[StreamPart] = []
    stream: AsyncIterator[StreamPart] = await client.threads.join_stream(thread, **options)
    async with asyncio.timeout(60):
        async for part in stream:
            parts.append(part)
            if part.event == "metadata" and part.data.get("status") == "run_done" and not (runs := runs - 1):
                break
    return parts


async def joining(client: Any, thread: str, runs: int, **options: Any) -> "asyncio.Task[list[StreamPart]]":
    """A reader that is at its place."""
    async with until_answered(client):
        return asyncio.create_task(joined(client, thread, runs, **options))


async def ran(client: Any, thread: str, steps: int, modes: list[str]) -> None:
    async for _ in client.runs.stream(thread, "slow", input={"steps": steps}, stream_mode=modes):
        pass


def told(parts: list[StreamPart]) -> list[tuple[str, Any]]:
    return [(part.event, part.data.get("done", part.data.get("step"))) for part in parts if part.event != "metadata"]


async def test_a_reader_hears_of_the_runs_that_come(client: Any, thread: str) -> None:
    ways: Any = {"stream_mode": "run_modes"}, {"stream_mode": "lifecycle"}, {"params": {"stream_modes": "lifecycle"}}
    reading = [await joining(client, thread, 2, **way) for way in ways]
    for _ in range(2):
        await ran(client, thread, 1, ["values", "custom"])
    runs = [run["run_id"] for run in reversed(await client.runs.list(thread))]
    modes, lifecycle, as_documented = await asyncio.gather(*reading)
    begun = [{"run_id": run, "attempt": 1} for run in runs]
    done = [{"status": "run_done", "run_id": run} for run in runs]
    assert [part.data for part in lifecycle] == [begun[0], done[0], begun[1], done[1]]
    assert as_documented == lifecycle
    assert [part.data for part in modes if part.event == "metadata"] == [begun[0], done[0], begun[1], done[1]]
    assert told(modes) == [("values", 0), ("custom", 1), ("values", 1), ("values", 1), ("custom", 2), ("values", 2)]
    assert all(seq_of(one.id or "", thread) < seq_of(two.id or "", thread) for one, two in itertools.pairwise(modes))


async def test_it_goes_on_behind_any_event(client: Any, thread: str) -> None:
    for _ in range(2):
        await ran(client, thread, 2, ["values", "custom"])
    seen = list[httpx.Request]()
    watch(client, seen)
    whole = await joined(client, thread, 2, last_event_id="-1", headers={"X-Trip": "Poros"})
    assert {request.headers["X-Trip"] for request in seen} == {"Poros"}
    for at, part in enumerate(whole[:-1]):
        rest = whole[at + 1 :]
        ends = sum(each.data.get("status") == "run_done" for each in rest)
        assert await joined(client, thread, ends, last_event_id=part.id) == rest


async def test_who_comes_into_a_run_hears_the_rest_of_it(client: Any, thread: str, tmp_path: Path) -> None:
    await client.runs.wait(thread, "slow", input={"steps": 1})
    given = {"steps": 30, "delay": 0.1, "hold": str(tmp_path / "joined")}
    run = await client.runs.create(thread, "slow", input=given, stream_mode="values")
    async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
        if part.event == "values" and part.data["done"] > 3:
            break
    reading = await joining(client, thread, 1)
    (tmp_path / "joined").touch()
    *rest, end = await reading
    assert told(rest)[0][1] > 3
    assert told(rest) == [("values", done) for done in range(told(rest)[0][1], 31)]
    assert end.data == {"status": "run_done", "run_id": run["run_id"]}


async def test_state_updates_are_what_changes_the_state(client: Any, thread: str) -> None:
    reading = await joining(client, thread, 1, stream_mode=["state_update"])
    modes = ["values", "updates", "custom", "tasks"]
    await ran(client, thread, 1, modes)
    assert {part.event for part in await reading} == {"metadata", "values", "updates"}


async def test_a_run_of_the_agent_is_told_too(client: Any, thread: str) -> None:
    reading = await joining(client, thread, 1)
    await client.runs.wait(thread, "trireme", input={"messages": "What is 12 * 12?"})
    values = [part.data for part in await reading if part.event == "values"]
    assert "144" in values[-1]["messages"][-1]["content"]


def test_a_client_without_an_event_loop(sync_client: SyncLangGraphClient) -> None:
    thread = sync_client.threads.create()["thread_id"]
    sync_client.runs.wait(thread, "slow", input={"steps": 1})
    seen = list[httpx.Request]()
    watch(sync_client, seen)
    for part in sync_client.threads.join_stream(thread, last_event_id="-1", headers={"X-Trip": "Poros"}):
        if part.data.get("status") == "run_done":
            break
    else:
        pytest.fail("the stream ended")
    assert [request.headers["X-Trip"] for request in seen] == ["Poros"]


async def test_what_it_cannot_be_asked(client: Any, thread: str) -> None:
    with pytest.raises(NotFoundError):
        await joined(client, str(uuid.uuid4()), 1)
    with pytest.raises(UnprocessableEntityError, match="is no UUID"):
        await joined(client, "nobody", 1)
    with pytest.raises(UnprocessableEntityError, match="run_modes"):
        await joined(client, thread, 1, stream_mode="everything")
    with pytest.raises(BadRequestError, match="Last-Event-ID"):
        await joined(client, thread, 1, last_event_id="abc")
    await client.runs.wait(thread, "slow", input={"steps": 1})
    *_, last = await joined(client, thread, 1, last_event_id="-1")
    for bad in (f"{last.id}x", "9999", str(2**50)):
        with pytest.raises(BadRequestError, match=r"is (not )?in (another|the) stream"):
            await joined(client, thread, 1, last_event_id=bad)
