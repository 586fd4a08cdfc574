"""What every request passes first: an id, the API key, its scope, a size limit.

Without keys a server is open to whoever sits at its machine, and to nobody else: not beyond loopback, and not to a
page in that person's browser that comes from elsewhere.
"""

import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg_pool import PoolTimeout
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.authorization.authorized import Authorization
from serving.api.failures import failure, refuse
from serving.api.mounted import own_path
from serving.api.standing import Standing, Watched
from serving.errors import Forbidden, ServingError, Unauthorized, Unreachable
from serving.keys.identity import INSIDE, NOBODY, OPERATOR, WORKS_FOR, Identity
from serving.keys.lookup import Keys
from serving.processes.listener import is_public_name

LARGEST_BODY: Final = 32 * 1024 * 1024
_TOO_LARGE: Final = f"a request body has at most {LARGEST_BODY // 1024 // 1024} MiB"
_OPEN_PATHS: Final = frozenset({"/ok"})
_INFO: Final = "/info"  # LangGraph's clients look at it before they have somebody's credentials
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Questions that are too long for an address are asked with POST.
_QUESTIONS: Final = (
    "/search",
    "/count",
    "/history",
    "/versions",
    "/missing",
    "/namespaces",
    "/state/checkpoint",
    "/stream/events",
)
_HOW: Final = "send it as Authorization: Bearer KEY or X-Api-Key; the command line takes it from TRIREME_API_KEY"


class Guard:
    """`exposed`: the server listens beyond loopback. `admits` says whether a page of this origin may ask. `others`: the
    application has routes beside ours, of which only the API keys are our concern, and with `others_open` nothing.
    `custom`: langgraph.json's `auth`, for whoever brings no API key of ours."""

    def __init__(
        self,
        app: ASGIApp,
        exposed: bool,
        admits: Callable[[str], bool],
        others: bool = False,
        others_open: bool = False,
        custom: Authorization | None = None,
    ) -> None:
        self._app, self._exposed, self._admits, self._others = app, exposed, admits, others
        self._others_open, self._custom = others_open, custom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope["request_id"] = secrets.token_hex(8)
        scope.setdefault("response_headers", []).append((b"x-request-id", scope["request_id"].encode()))
        request = HTTPConnection(scope)
        try:
            scope["identity"] = await self._identity(request)
            self._check_scope(request, scope["identity"])
        except ServingError as error:
            await refuse(scope, receive, send, error)
            return
        if int(request.headers.get("content-length") or 0) > LARGEST_BODY:
            answer = failure(request, 413, "body_too_large", _TOO_LARGE, "send it in parts")
            await answer(scope, receive, send)
            return
        if scope["type"] == "http":
            if _may_be_json(scope) and self._is_ours(scope):
                _read_as_json(scope)
            receive = _counted(receive)
        WORKS_FOR.set(scope["identity"].tenant)
        lasts = scope["identity"].user is not None or scope["identity"] is NOBODY or INSIDE in scope
        scope["standing"] = Standing(scope["app"].state.services.keys, _given(request), self._exposed, lasts)
        watched = Watched(receive, send, scope["standing"])
        await self._app(scope, watched.receive, watched.send)

    async def _identity(self, request: HTTPConnection) -> Identity:
        inside: Identity | None = request.scope.get(INSIDE)
        if inside:
            return inside
        path, own = own_path(request.scope), self._custom
        if path in _OPEN_PATHS or (own and path == _INFO and self._is_ours(request.scope)):
            return OPERATOR
        keys: Keys = request.scope["app"].state.services.keys
        given = _given(request)
        try:
            if given and (identity := await keys.identity(given)):
                return identity
            open_ = not self._exposed and not await keys.needed()
        except (psycopg.Error, PoolTimeout) as error:
            hint = "try again; nothing was lost"
            raise Unreachable("Postgres does not answer", hint, "database_unavailable") from error
        if self._others_open and (own or not open_) and not self._is_ours(request.scope):
            return NOBODY
        if own and not (open_ and own.is_studio(request)):
            self._check_cookies(request)
            return await own.identity(request)
        # Clients that can't leave a key out (OpenAI's, the LangGraph SDK) send any to a server that has none.
        if not open_:
            raise Unauthorized(f"the API key is {'wrong, expired or revoked' if given else 'missing'}", _HOW)
        self._check_place(request)
        return own.studio if own else OPERATOR

    def _check_place(self, request: HTTPConnection) -> None:
        """Of an open server: a page from elsewhere can send to it, or give its own name this machine's address."""
        host = request.url.hostname
        if host and is_public_name(host):
            hint = "use http://127.0.0.1, or make an API key: trireme keys create"
            raise Forbidden("without API keys this server answers to localhost alone", hint, "host_not_allowed")
        self._check_origin(request)

    def _check_cookies(self, request: HTTPConnection) -> None:
        """A browser sends them along for whichever page asks: what only they prove counts for pages that may ask."""
        if "cookie" in request.headers and "authorization" not in request.headers:
            self._check_origin(request)

    def _check_origin(self, request: HTTPConnection) -> None:
        origin = request.headers.get("origin")
        if origin and not self._admits(origin) and urlsplit(origin).netloc != request.url.netloc:
            hint = "name its origin in TRIREME_CORS_ORIGINS"
            raise Forbidden("pages of this origin may not use this server", hint, "origin_not_allowed")

    def _check_scope(self, request: HTTPConnection, identity: Identity) -> None:
        path, method = own_path(request.scope), request.scope.get("method", "POST")
        question = method == "POST" and path.endswith(_QUESTIONS) and self._is_ours(request.scope)
        asks = method in _READING or question
        needed = "metrics" if path == "/metrics" else "read" if asks else "write"
        if needed not in identity.scopes and identity is not NOBODY:
            has = ", ".join(sorted(identity.scopes))
            hint = f"it may: {has}; make another: trireme keys create --scope {needed}"
            raise Forbidden(f"this API key lacks the scope {needed!r}", hint, "scope_missing")

    def _is_ours(self, scope: Scope) -> bool:
        """Not so for a wrong method, which is answered before anything of the request is read."""
        routes = scope["app"].router.routes
        return not self._others or any(route.matches(scope)[0] is Match.FULL for route in routes)


def _given(request: HTTPConnection) -> str:
    if key := request.headers.get("x-api-key"):
        return key
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else scheme


def _may_be_json(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower() in ("", "text/plain")


def _read_as_json(scope: Scope) -> None:
    """Studio and other pages send JSON as text/plain, which browsers let through without asking first; some clients
    send it without a word."""
    others = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    scope["headers"] = [*others, (b"content-type", b"application/json")]


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
