"""`POST /runs?wait=true`: whoever hangs up is not waited for, and their run goes on."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import httpx
import orjson

from memory.store import MemoryStore
from tests.integration.api_house import open_api
from tests.integration.run_house import House

_SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/runs",
    "query_string": b"wait=true",
    "headers": [(b"content-type", b"application/json")],
}


async def test_who_hangs_up_is_not_waited_for_and_the_run_is_left_alone(house: House, runs_memory: MemoryStore) -> None:
    said = [{"type": "http.request", "body": orjson.dumps({"goal": "Wait"})}]

    async def receive() -> MutableMapping[str, Any]:
        if said:
            return said.pop()
        while not house.execute("select run_id from runs"):
            await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def send(_: MutableMapping[str, Any]) -> None:
        pass

    async with open_api(house, runs_memory) as client, asyncio.timeout(20):
        transport = client._transport
        assert isinstance(transport, httpx.ASGITransport)
        await transport.app(_SCOPE, receive, send)
    assert house.execute("select status, last_seq from runs") == [("pending", 1)]
