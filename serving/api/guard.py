"""What every request passes first: an id, a size limit, the API key."""

import secrets
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.failures import failure

LARGEST_BODY: Final = 32 * 1024 * 1024
_TOO_LARGE: Final = f"a request body has at most {LARGEST_BODY // 1024 // 1024} MiB"
_OPEN_PATHS: Final = frozenset({"/ok"})


class Guard:
    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app, self._api_key = app, api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = secrets.token_hex(8)
        request = Request(scope)
        if not self._allowed(request):
            refusal = failure(
                request, 401, "unauthorized", "the API key is missing or wrong", "send it as Authorization: Bearer KEY"
            )
            await refusal(scope, receive, send)
            return
        if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
            answer = failure(request, 413, "body_too_large", _TOO_LARGE, "send it in parts")
            await answer(scope, receive, send)
            return
        await self._app(scope, _counted(receive), _signed(send, scope["request_id"]))

    def _allowed(self, request: Request) -> bool:
        if self._api_key is None or request.url.path in _OPEN_PATHS:
            return True
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        return secrets.compare_digest(given.encode(), self._api_key.encode())


def _counted(receive: Receive) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return counted


def _signed(send: Send, request_id: str) -> Send:
    async def signed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    return signed
