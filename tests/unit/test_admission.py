"""Requests beyond the bound are refused at once, with the time after which there is a place; streams don't count."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.api.admission import Admission, step_aside


class Door:
    """An application whose requests stay until the door opens; it counts who came in."""

    def __init__(self, answer: Callable[[Request], Response] = lambda _: JSONResponse({})) -> None:
        self.open, self.inside, self._answer = asyncio.Event(), 0, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        answer = self._answer(Request(scope, receive))
        if not isinstance(answer, StreamingResponse):
            await self.open.wait()
        await answer(scope, receive, send)

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.inside < count:
                await asyncio.sleep(0)

    def streamed(self) -> StreamingResponse:
        async def lines() -> Any:
            yield ": here\n\n"
            await self.open.wait()

        return StreamingResponse(lines(), media_type="text/event-stream")


def client_of(admission: Admission) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(admission), base_url="http://door")


async def test_who_comes_beyond_the_bound_is_told_at_once_when_to_come_again() -> None:
    door = Door()
    admission = Admission(door, most=1)
    async with client_of(admission) as client:
        inside = asyncio.create_task(client.get("/runs"))
        await door.holds(1)
        refused = [await client.get("/runs") for _ in range(50)]
        assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(503, "overloaded")}
        waits = [int(answer.headers["retry-after"]) for answer in refused]
        assert waits[0] == 1
        assert max(waits) > 1, "the more were refused, the later they come again"
        assert door.inside == 1
        door.open.set()
        assert (await inside).status_code == 200
        assert (await client.get("/runs")).status_code == 200
    assert admission.in_flight == 0


async def test_a_probe_is_always_let_in() -> None:
    door = Door()
    async with client_of(Admission(door, most=1)) as client:
        inside = asyncio.create_task(client.get("/runs"))
        await door.holds(1)
        probe = asyncio.create_task(client.get("/ok"))
        await door.holds(2)
        door.open.set()
        assert [(await answer).status_code for answer in (inside, probe)] == [200, 200]


@pytest.mark.parametrize("waits", [True, False])
async def test_a_stream_and_who_waits_for_a_run_leave_their_place_to_others(waits: bool) -> None:
    def stepping_aside(request: Request) -> Response:
        step_aside(request)
        return JSONResponse({})

    door = Door(stepping_aside if waits else lambda _: door.streamed())
    admission = Admission(door, most=1)
    async with client_of(admission) as client:
        inside = []
        for count in range(1, 6):
            inside.append(asyncio.create_task(client.get("/runs")))
            await door.holds(count)
            await asyncio.sleep(0.01)
        assert admission.in_flight == 0
        door.open.set()
        await asyncio.gather(*inside)
    assert admission.in_flight == 0
