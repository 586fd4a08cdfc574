"""Thread streams that are cut, and go on: what was missed comes, and nothing twice."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient

from tests.acceptance.conftest import Server
from tests.sdk.test_run_survives import worker_of
from tests.sdk.test_thread_streams import Transport, exactly, frames, of, transports, until_end

SLOW: dict[str, Any] = {"steps": 20, "delay": 0.05}
SLOW_EVENTS = 125  # begin, end, 22 checkpoints, 21 values, and of each step an update, a word and two of its task
ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "checkpoints", "tasks", "custom"]


class Cuts:
    """In front of a server: cuts every connection that has brought so many bytes of an answer, `times` times."""

    def __init__(self, port: int, after: int, times: int) -> None:
        self._port, self._after, self.left = port, after, times
        self._pipes: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for pipe in self._pipes:
            pipe.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, ask = await asyncio.open_connection("127.0.0.1", self._port)
        self._pipes += [answer, ask]
        up = asyncio.create_task(self._pass(client, ask, cuts=False))
        await self._pass(server, answer, cuts=True)
        answer.transport.abort()
        ask.transport.abort()
        await up

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, cuts: bool) -> None:
        brought = 0
        with suppress(OSError):
            while data := await source.read(1_024):
                target.write(data)
                await target.drain()
                brought += len(data)
                if cuts and brought > self._after and self.left:
                    self.left -= 1
                    return


@transports
async def test_the_sdk_misses_nothing_when_its_connection_is_cut(server: Server, transport: Transport) -> None:
    cuts = Cuts(httpx.URL(server.url).port or 0, after=2_000, times=2)
    async with (
        cuts as url,
        get_client(url=url, api_key=None) as client,
        client.threads.stream(assistant_id="slow", transport=transport) as thread,
        asyncio.timeout(60),
    ):
        await thread.run.start(input=SLOW)
        custom: list[Any] = [each async for each in thread.subscribe(["values", "custom", "tasks"])]
        assert (await thread.output)["done"] == 20
    assert cuts.left == 0
    assert of(custom, "custom") == [{"payload": {"step": step}} for step in range(1, 21)]
    assert [state["done"] for state in of(custom, "values")] == list(range(21))
    assert len(of(custom, "tasks")) == 40


async def test_a_stream_goes_on_when_its_worker_is_killed(
    client: LangGraphClient, server: Server, tmp_path: Path
) -> None:
    states: list[int] = []
    phases: list[str] = []
    async with client.threads.stream(assistant_id="slow") as thread, asyncio.timeout(60):
        await thread.run.start(input={"steps": 30, "hold": str(tmp_path / "killed")})
        events: Any = thread.subscribe(["values", "lifecycle"])
        async for event in events:
            data = event["params"]["data"]
            (phases if event["method"] == "lifecycle" else states).append(data.get("event", data.get("done")))
            if states == list(range(11)) and phases == ["running"]:
                os.kill(worker_of(server, thread.thread_id), signal.SIGKILL)
                (tmp_path / "killed").touch()
        assert (await thread.output)["done"] == 30
    assert phases == ["running", "running", "completed"]
    assert sorted(states) == states
    assert list(dict.fromkeys(states)) == list(range(31))


async def replayed(url: str, thread: str, number: int, since: int = 0) -> list[dict[str, Any]]:
    async with get_client(url=url, api_key=None) as client:
        return await exactly(frames(client, thread, {"channels": ALL, "since": since}), number)


async def test_every_event_is_a_place_to_go_on_from(client: LangGraphClient, server: Server) -> None:
    """Over several runs, of which one waits for answers: those behind a place are told, and no other."""
    async with client.threads.stream(assistant_id="nested") as thread:
        await thread.run.start(input={"path": ["x"]})
        await until_end(thread.events, "interrupted")
        id_ = thread.thread_id
    await client.runs.wait(id_, "slow", input={"steps": 1})
    whole = await replayed(server.url, id_, 52)
    assert len(whole) == 52
    ends = [event["params"]["data"]["event"] for event in whole if event["method"] == "lifecycle"]
    assert ends[-4:] == ["completed", "interrupted", "running", "completed"]
    places = [0, 3, len(whole) - 12, len(whole) - 8, len(whole) - 1]
    rests = await asyncio.gather(*(replayed(server.url, id_, len(whole) - 1 - at, whole[at]["seq"]) for at in places))
    assert rests == [whole[at + 1 :] for at in places]
    for beyond in (whole[-1]["seq"] + 2**10, 2**53 - 1):
        asked = {"channels": ALL, "since": beyond}
        refused = await client.http.client.post(f"/threads/{id_}/stream/events", json=asked)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_argument")


async def test_last_event_id_is_a_place_too(client: LangGraphClient) -> None:
    async with client.threads.stream(assistant_id="slow") as thread:
        await thread.run.start(input={"steps": 3})
        events = await until_end(thread.events)
    *_, before, one, two = (f"{event['seq']}-{thread.thread_id[-12:]}" for event in events)
    path = f"/threads/{thread.thread_id}/stream/events"
    for known in (before, before.partition("-")[0]):
        asked: dict[str, Any] = {"json": {"channels": ALL}, "headers": {"Last-Event-ID": known}}
        async with client.http.client.stream("POST", path, **asked) as answer:
            assert [line[4:] async for line in until_two(answer) if line.startswith("id: ")] == [one, two]
    asked["headers"]["Last-Event-ID"] = f"{before[:-1]}x"
    refused = await client.http.client.post(path, **asked)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_argument")
    assert "another stream" in refused.json()["message"]


async def until_two(answer: httpx.Response) -> Any:
    found = 0
    async for line in answer.aiter_lines():
        yield line
        found += line.startswith("id: ")
        if found == 2:
            return


async def test_a_second_turn_is_not_told_of_the_end_of_the_first(client: LangGraphClient) -> None:
    """The SDK's session on a thread that is there watches it before it starts its run."""
    done, id_ = 0, None
    for steps in (2, 6, 9):
        async with client.threads.stream(id_, assistant_id="slow") as thread:
            await thread.run.start(input={"steps": steps, "delay": 0.15})
            async with asyncio.timeout(60):
                states = [state["done"] async for state in thread.values if "done" in state]
                assert (await thread.output)["done"] == steps
        assert states[-1] == steps
        assert all(state >= done for state in states)
        done, id_ = steps, thread.thread_id


async def test_who_comes_without_a_place_hears_the_newest_run(client: LangGraphClient, thread: str) -> None:
    for steps in (1, 2):
        await client.runs.wait(thread, "slow", input={"steps": steps})
    told = await exactly(frames(client, thread, {"channels": ["values", "lifecycle"]}), 4)
    assert [state["done"] for state in of(told, "values")] == [1, 2]
    assert [each["event"] for each in of(told, "lifecycle")] == ["running", "completed"]


async def test_a_rolled_back_run_takes_no_place_from_the_next(client: Any, thread: str) -> None:
    async with client.threads.stream(thread, assistant_id="slow") as stream:
        reading = asyncio.create_task(until_end(stream.subscribe(["custom", "lifecycle"])))
        await stream.run.start(input={"steps": 100, "delay": 0.1})
        while not await client.runs.list(thread, status="running"):
            await asyncio.sleep(0.02)
        await client.runs.wait(thread, "slow", input={"steps": 2}, multitask_strategy="rollback")
        events = await reading
    assert of(events, "lifecycle")[-1]["event"] == "completed"
    assert len([each for each in of(events, "lifecycle") if each["event"] == "running"]) == 2
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))


@pytest.fixture
def stuck(server: Server) -> Iterator[Any]:
    with get_sync_client(url=server.url, api_key=None) as client:
        yield client


def test_a_reader_that_leaves_is_forgotten(stuck: Any, server: Server) -> None:
    """Its place in the server costs nothing after it: others are told as before."""
    thread = stuck.threads.create()["thread_id"]
    for _ in range(20):
        with stuck.http.client.stream("POST", f"/threads/{thread}/stream/events", json={"channels": ALL}) as answer:
            assert answer.status_code == 200
    begun = time.monotonic()
    with stuck.threads.stream(thread, assistant_id="slow") as stream:
        stream.run.start(input={"steps": 1})
        assert stream.output["done"] == 1
    assert time.monotonic() - begun < 60
