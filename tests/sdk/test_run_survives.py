"""A hosted run outlives its worker; a graph that misbehaves harms no other run."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph_sdk.errors import ConflictError

from tests.acceptance.conftest import Server
from tests.quickest import quickest

STEPS = 40


def worker_of(server: Server, thread: str) -> int:
    """The pid of the process that has the thread's run."""
    query = "select worker from runs where thread_id = %s and status = 'running'"
    with psycopg.connect(server.home.dsn) as connection:
        row = connection.execute(query, (thread,)).fetchone()
    assert row is not None
    return int(row[0].rsplit("-", 2)[1])


@pytest.mark.parametrize(("number", "attempt"), [(signal.SIGKILL, 2), (signal.SIGTERM, 1)])
async def test_a_run_goes_on_elsewhere_and_its_stream_with_it(
    client: Any, thread: str, server: Server, tmp_path: Path, number: signal.Signals, attempt: int
) -> None:
    given = {"steps": STEPS, "delay": 0.01, "hold": str(tmp_path / "stopped")}
    parts, stopped = [], False
    async for part in client.runs.stream(thread, "slow", input=given, stream_mode=["values", "custom"]):
        parts.append(part)
        if part.event == "values" and part.data["done"] == 10 and not stopped:
            os.kill(worker_of(server, thread), number)
            (tmp_path / "stopped").touch()
            stopped = True
    assert parts[-1].data["done"] == STEPS
    ids = [int(part.id.partition("-")[0]) for part in parts]
    assert ids == sorted(set(ids))
    (run,) = await client.runs.list(thread)
    assert run["status"] == "success"
    told = [part.data["attempt"] for part in parts if part.event == "metadata"]
    assert told == [1, 2][:attempt]
    whole = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]
    assert whole == parts
    rest = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id=parts[30].id)]
    assert rest == parts[31:]
    done = [part.data["done"] for part in parts if part.event == "values"]
    assert list(dict.fromkeys(done)) == list(range(STEPS + 1))
    assert sorted(done) == done  # nothing that a checkpoint holds is done again


async def test_a_failed_run_goes_on_where_it_stopped_unless_the_thread_has_gone_on_without_it(
    client: Any, thread: str
) -> None:
    run = await client.runs.create(thread, "slow", input={"steps": 3, "fail_at": 2}, stream_mode=["custom"])
    for tries in (1, 2):
        told = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]
        steps = [part.data["step"] for part in told if part.event == "custom"]
        assert steps == [1, *([2] * tries)], "the first isn't repeated"
        if tries == 1:
            await client.http.post(f"/runs/{run['run_id']}/resume", json={})
    await client.runs.wait(thread, "slow", input={"steps": 2, "fail_at": 0})
    with pytest.raises(ConflictError, match="has gone on with the thread"):
        await client.http.post(f"/runs/{run['run_id']}/resume", json={})
    assert (await client.runs.get(thread, run["run_id"]))["status"] == "error"
    assert (await client.threads.get_state(thread))["values"]["done"] == 2


async def test_a_later_run_that_left_no_state_keeps_no_failed_one_from_going_on(client: Any, thread: str) -> None:
    run = await client.runs.create(thread, "slow", input={"steps": 3, "fail_at": 2}, stream_mode=["custom"])
    await client.runs.join(thread, run["run_id"])
    states = await client.threads.get_history(thread)
    later = await client.runs.create(thread, "slow", input={"steps": 1}, config={"recursion_limit": 0})
    await client.runs.join(thread, later["run_id"])
    assert (await client.runs.get(thread, later["run_id"]))["status"] == "error"
    assert await client.threads.get_history(thread) == states
    await client.http.post(f"/runs/{run['run_id']}/resume", json={})
    told = [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]
    assert [part.data["step"] for part in told if part.event == "custom"] == [1, 2, 2]


async def test_a_graph_that_does_not_hear_is_cancelled_all_the_same(client: Any, thread: str) -> None:
    async def cancelled_after_s() -> float:
        run = await client.runs.create(thread, "slow", input={"steps": 9, "delay": 5, "stubborn": True})
        async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
            if part.event == "values":
                break
        asked = time.monotonic()
        await client.runs.cancel(thread, run["run_id"], wait=True)
        return time.monotonic() - asked

    assert await quickest(cancelled_after_s, 2) < 2
    assert await client.runs.wait(thread, "slow", input={"steps": 1, "delay": 0, "stubborn": False})


async def test_a_graph_that_blocks_the_loop_takes_no_lease_from_others(client: Any) -> None:
    async def attempts(given: dict[str, Any]) -> list[int]:
        stream = client.runs.stream(None, "slow", input=given, stream_mode=["custom"])
        return [part.data["attempt"] async for part in stream if part.event == "metadata"]

    beside = asyncio.gather(*(attempts({"steps": 10, "delay": 0.05}) for _ in range(4)))
    blocking = attempts({"steps": 1, "block": 4.0})
    others, its = await asyncio.gather(beside, blocking)
    assert (others, its) == ([[1]] * 4, [1])
