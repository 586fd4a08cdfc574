"""What hosted code asks of the server that it runs in."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from serving.hosting.loopback import Loopback, reachable
from serving.keys.identity import INSIDE, WORKS_FOR


@pytest.fixture
def of_acme() -> Iterator[None]:
    before = WORKS_FOR.set("acme")
    yield
    WORKS_FOR.reset(before)


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    """Who asks, in the request's own context."""
    if scope["path"] == "/broken":
        raise ValueError("no answer")
    text = f"{scope[INSIDE].tenant} {WORKS_FOR.get('nobody')} {(await receive())['body'].decode()}"
    await PlainTextResponse(text)(scope, receive, send)


@pytest.mark.usefixtures("of_acme")
async def test_a_request_is_the_tenants_whose_run_asks_and_has_nothing_else_of_it() -> None:
    async with reachable(lambda: nullcontext(answering)), _client() as client:
        assert (await client.post("/", content="ahoy")).text == "acme nobody ahoy"


@pytest.mark.usefixtures("of_acme")
async def test_a_thread_without_its_beginners_context_is_nobodys() -> None:
    async def ask() -> str:
        return (await _client().get("/")).text

    def asked() -> str:
        return asyncio.run(ask())

    async with reachable(lambda: nullcontext(answering)):
        assert await asyncio.to_thread(asked) == "acme nobody "
        with pytest.raises(httpx.ConnectError, match="doesn't know whose run"):
            await asyncio.get_running_loop().run_in_executor(None, asked)


@pytest.mark.usefixtures("of_acme")
async def test_who_is_cancelled_while_waiting_for_an_answer_hangs_up() -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asked.set()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    async with reachable(lambda: nullcontext(silent)):
        waiting = asyncio.create_task(_client().get("/"))
        await asked.wait()
        waiting.cancel()
        await asyncio.wait_for(left.wait(), 30)


@pytest.mark.usefixtures("of_acme")
async def test_an_answer_that_never_comes_is_told() -> None:
    async with reachable(lambda: nullcontext(answering)), _client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/broken")
    with pytest.raises(httpx.ConnectError):
        await _client().get("/")


def _client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Loopback(), base_url="http://api")
