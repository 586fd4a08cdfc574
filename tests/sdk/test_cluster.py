"""Two API processes and two workers: what one of them does holds for all.

With a part of the other files' tests; `make test-cluster` runs all of them so.
"""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError

from tests.sdk.cluster import Cluster
from tests.sdk.test_remote_graph import remote, test_it_is_a_node_of_another_graph
from tests.sdk.test_run_interrupts import test_parallel_interrupts_are_answered_by_their_ids
from tests.sdk.test_run_streams import test_a_stream_is_joined_from_its_start_or_behind_an_event
from tests.sdk.test_runs import (
    test_a_cancel_with_rollback_leaves_nothing,
    test_a_reader_that_leaves_may_cancel_its_run,
    test_interrupt_stops_the_others_and_keeps_what_they_did,
    test_rollback_forgets_the_others,
    test_runs_of_a_thread_wait_for_each_other,
)
from tests.sdk.test_thread_questions import test_parallel_questions_are_answered_one_behind_the_other_at_once
from tests.sdk.test_thread_stream_cuts import SLOW, SLOW_EVENTS, replayed
from tests.sdk.test_thread_streams import Transport

__all__ = [
    "remote",
    "test_a_cancel_with_rollback_leaves_nothing",
    "test_a_reader_that_leaves_may_cancel_its_run",
    "test_a_stream_is_joined_from_its_start_or_behind_an_event",
    "test_interrupt_stops_the_others_and_keeps_what_they_did",
    "test_it_is_a_node_of_another_graph",
    "test_parallel_interrupts_are_answered_by_their_ids",
    "test_parallel_questions_are_answered_one_behind_the_other_at_once",
    "test_rollback_forgets_the_others",
    "test_runs_of_a_thread_wait_for_each_other",
]


@pytest.fixture
def server(clustered: Cluster) -> Cluster:
    return clustered


@pytest.fixture
async def each(clustered: Cluster) -> AsyncIterator[tuple[LangGraphClient, ...]]:
    """A client to each API process."""
    one, two = (f"http://127.0.0.1:{port}" for port in clustered.proxy.ports)
    async with get_client(url=one, api_key=None) as first, get_client(url=two, api_key=None) as second:
        yield first, second


async def test_the_requests_of_one_connection_go_to_each_process(server: Cluster) -> None:
    before = server.proxy.taken.copy()
    async with httpx.AsyncClient(base_url=server.url) as http:
        for _ in range(6):
            assert (await http.get("/ok")).status_code == 200
    taken = server.proxy.taken - before
    assert [taken[port] for port in server.proxy.ports] == [3, 3]


async def test_both_tell_of_a_run_in_the_same_words(each: tuple[Any, ...], thread: str) -> None:
    run = await each[0].runs.create(thread, "slow", input={"steps": 8, "delay": 0.05}, stream_mode=["values", "custom"])

    async def told(client: Any) -> list[Any]:
        return [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]

    live = await asyncio.gather(*(told(client) for client in each))
    assert live[0] == live[1] == await told(each[1])
    assert live[0][-1].data["done"] == 8


async def test_a_stream_goes_on_at_the_other_process(client: Any, thread: str, server: Cluster) -> None:
    before, parts = server.proxy.taken.copy(), []
    given = {"steps": 20, "delay": 0.05}
    async for part in client.runs.stream(thread, "slow", input=given, stream_mode=["values"]):
        parts.append(part)
        if part.event == "values" and part.data["done"] == 5:
            (port,) = server.proxy.taken - before
            (api,) = [member for member in server.members if member.port == port]
            assert api.process
            os.kill(api.process.pid, signal.SIGKILL)
    assert [part.data["done"] for part in parts if part.event == "values"] == list(range(21))
    (run,) = await client.runs.list(thread)
    assert parts == [part async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1")]


async def test_a_key_makes_one_run_whichever_process_it_is_sent_to(each: tuple[Any, ...], thread: str) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    made = [one.runs.create(thread, "slow", input={"steps": 1}, headers=key) for one in each * 4]
    assert len({run["run_id"] for run in await asyncio.gather(*made)}) == 1
    assert len(await each[0].runs.list(thread)) == 1


async def test_reject_lets_one_in_of_those_who_come_at_once(each: tuple[Any, ...], thread: str) -> None:
    given = {"steps": 1, "delay": 60}
    asked = [one.runs.create(thread, "slow", input=given, multitask_strategy="reject") for one in each * 4]
    outcomes = [type(outcome) for outcome in await asyncio.gather(*asked, return_exceptions=True)]
    assert sorted(map(str, outcomes)) == sorted(map(str, [dict, *[ConflictError] * 7]))
    (run,) = await each[0].runs.list(thread)
    await each[0].runs.cancel(thread, run["run_id"], wait=True)


async def test_a_thread_that_is_made_at_both_is_one(each: tuple[Any, ...]) -> None:
    id_ = str(uuid.uuid4())
    made = await asyncio.gather(*(one.threads.create(thread_id=id_, if_exists="do_nothing") for one in each * 4))
    assert len(set(map(str, made))) == 1
    other: Any = str(uuid.uuid4())
    asked = [one.runs.wait(other, "slow", input={"steps": 1}, if_not_exists="create") for one in each * 2]
    assert sorted(found["done"] for found in await asyncio.gather(*asked)) == [1, 2, 3, 4]


async def test_what_one_changes_counts_at_the_other_at_once(each: tuple[Any, ...]) -> None:
    one, other = each
    id_ = (await one.assistants.create("chat", context={"captain": "Ann"}))["assistant_id"]

    async def greeting(client: Any) -> str:
        found = await client.runs.wait(None, id_, input={"messages": [{"role": "user", "content": "Ahoy"}]})
        return str(found["greeting"])

    assert await greeting(other) == "Ahoy, Ann"
    await other.assistants.update(id_, context={"captain": "Bea"})
    assert await greeting(one) == "Ahoy, Bea"
    await one.assistants.delete(id_)
    with pytest.raises(httpx.HTTPStatusError, match="not found"):
        await greeting(other)


async def test_streams_of_threads_go_on_when_both_processes_are_killed(server: Cluster) -> None:
    async def told(transport: Transport) -> tuple[str, list[Any]]:
        seen: list[Any] = []
        async with (
            get_client(url=server.url, api_key=None) as client,
            client.threads.stream(assistant_id="slow", transport=transport) as thread,
        ):
            await thread.run.start(input=SLOW)
            async for event in thread.subscribe(["custom"]):
                seen.append(event["params"]["data"])
                if len(seen) == 5:
                    halfway.release()
            assert (await thread.output)["done"] == 20
        return thread.thread_id, seen

    halfway = asyncio.Semaphore(0)
    async with asyncio.timeout(60):
        telling = asyncio.gather(told("sse"), told("websocket"))
        for _ in range(2):
            await halfway.acquire()
        for api in server.members[:2]:
            assert api.process
            os.kill(api.process.pid, signal.SIGKILL)
        for thread, seen in await telling:
            assert seen == [{"payload": {"step": step}} for step in range(1, 21)]
            apis = [f"http://127.0.0.1:{port}" for port in server.proxy.ports]
            one, other = [await replayed(url, thread, SLOW_EVENTS) for url in apis]
            assert one == other
