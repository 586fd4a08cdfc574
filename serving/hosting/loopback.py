"""The server as the code that it hosts reaches it: `get_client()` of langgraph_sdk, given no address, speaks to the
process that it is in, for the tenant whose run or request that code works on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import Context
from typing import Any, ClassVar, Final, TypeVar

import httpx
from starlette.types import ASGIApp, Message, Scope

from serving.keys.identity import INSIDE, SCOPES, Identity, tenant_at_work

_AHEAD: Final = 64  # messages of an answer that nobody has read yet
OpenApp = Callable[[], AbstractAsyncContextManager[ASGIApp]]
Said = TypeVar("Said")


class Inside:
    """An application that answers on the loop it was made on, whatever loop asks; opened when it is first asked."""

    def __init__(self, open_app: OpenApp) -> None:
        self._open_app, self._home = open_app, asyncio.get_running_loop()
        self._stack = AsyncExitStack()
        self._opening: asyncio.Task[ASGIApp] | None = None

    async def answer(self, request: httpx.Request, identity: Identity) -> httpx.Response:
        scope, exchange = _scope(request, identity), _Exchange(await request.aread())
        try:
            await self.at_home(self._begin(exchange, scope))
            start = await self.at_home(exchange.sent())
        except BaseException:  # who is cancelled hangs up
            asyncio.run_coroutine_threadsafe(exchange.leave(), self._home)
            raise
        if start is None:
            raise httpx.RemoteProtocolError("the server had no answer; its log has why", request=request)
        return httpx.Response(start["status"], headers=start["headers"], stream=_Answer(self, exchange))

    async def at_home(self, work: Coroutine[Any, Any, Said]) -> Said:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._home))

    async def close(self) -> None:
        await self._stack.aclose()

    async def _begin(self, exchange: "_Exchange", scope: Scope) -> None:
        """With nothing of the caller's context: LangGraph would take the request for a part of the caller's run."""
        exchange.work = asyncio.create_task(exchange.run(await self._app(), scope), context=Context())

    async def _app(self) -> ASGIApp:
        if self._opening is None or (self._opening.done() and self._opening.exception()):
            opening = self._stack.enter_async_context(self._open_app())
            self._opening = asyncio.create_task(opening, context=Context())
        return await asyncio.shield(self._opening)


class Loopback(httpx.AsyncBaseTransport):
    """As langgraph_sdk makes them, wherever hosted code makes a client."""

    inside: ClassVar[Inside | None] = None

    def __init__(self, app: Any = None, root_path: str = "") -> None:
        pass

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.inside is None:
            raise httpx.ConnectError("no server runs in this process: give the client its url", request=request)
        try:
            identity = Identity(tenant_at_work(), frozenset(SCOPES), "hosted")
        except LookupError as error:
            raise httpx.ConnectError(str(error.args[0]), request=request) from None
        return await self.inside.answer(request, identity)


@asynccontextmanager
async def reachable(open_app: OpenApp) -> AsyncIterator[None]:
    """For as long as the block lasts, from everywhere in this process."""
    Loopback.inside = inside = Inside(open_app)
    try:
        yield
    finally:
        Loopback.inside = None
        await inside.close()


class _Exchange:
    """One request and its answer, message by message."""

    work: asyncio.Task[None]

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(_AHEAD)
        self._left = asyncio.Event()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        with suppress(Exception):  # the application has logged it, and answered where it still could
            await app(scope, self._receive, self._messages.put)
        if not self._left.is_set():
            await self._messages.put(None)

    async def sent(self) -> Message | None:
        """The next one; None behind the last."""
        return await self._messages.get()

    async def leave(self) -> None:
        """The caller hears no more; the application learns it as of any client that hangs up."""
        self._left.set()
        while not self._messages.empty():
            self._messages.get_nowait()

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}


class _Answer(httpx.AsyncByteStream):
    def __init__(self, inside: Inside, exchange: _Exchange) -> None:
        self._inside, self._exchange = inside, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while message := await self._inside.at_home(self._exchange.sent()):
            yield message.get("body", b"")
            if not message.get("more_body"):
                return

    async def aclose(self) -> None:
        await self._inside.at_home(self._exchange.leave())


def _scope(request: httpx.Request, identity: Identity) -> Scope:
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (request.url.host, request.url.port),
        "client": None,
        INSIDE: identity,
    }
