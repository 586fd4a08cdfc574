"""An answer that goes on for long ends when the key that asked for it would be refused."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.api import standing
from serving.api.standing import Standing, Watched
from serving.database import Pool
from serving.keys import lookup
from serving.keys.key import create, revoke
from tests.integration.run_house import until


async def test_an_answer_ends_with_the_key_that_asked_for_it(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (standing, lookup):
        monkeypatch.setattr(module, "REMEMBERED_S", 0.1)
    async with pool.connection() as connection:
        _, key = await create(connection, "acme", "", ["read"], None)
    keys, pieces = lookup.Keys(pool), 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while True:
            yield b"\n"
            pieces += 1
            await asyncio.sleep(0.02)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        watched = Watched(receive, send, Standing(keys, key, exposed=False))
        await StreamingResponse(endless())(scope, watched.receive, watched.send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        answer = asyncio.create_task(client.get("/"))
        await until(lambda: pieces > 25)  # 0.5 s, in which its key has been looked at again and again
        assert not answer.done()
        async with pool.connection() as connection:
            await revoke(connection, key[:12])
        assert len((await asyncio.wait_for(answer, 60)).content) > 25
