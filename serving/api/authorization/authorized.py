"""langgraph.json's `auth` around the routes: who a request is from, and whether it may go where it wants to."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import psycopg
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.agent_protocol.place import PREFIX
from serving.api.authorization.doors import DOORS, OPEN, Door, shut
from serving.api.authorization.permits import Permits
from serving.api.authorization.visit import Visit
from serving.api.failures import refuse
from serving.api.mounted import own_path
from serving.auth.custom import CustomAuth
from serving.auth.errors import AuthFailed
from serving.auth.user import User
from serving.errors import ServingError, TooLarge, Unprocessable, Unreachable
from serving.keys.identity import DEFAULT_TENANT, PASSED, Identity

_SCOPES: Final = frozenset({"read", "write"})
_WITH_BODIES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY: Final = b"idempotency-key"


class Authorization:
    """`routes`: ours, in the order in which they are tried."""

    def __init__(self, auth: CustomAuth, routes: Sequence[BaseRoute]) -> None:
        self.auth, self._routes = auth, routes

    async def identity(self, request: HTTPConnection) -> Identity:
        """Raises AuthRefused, AuthFailed."""
        return _identity(await self.auth.user(request, self.matched(request.scope)[1]))

    def is_studio(self, request: HTTPConnection) -> bool:
        return self.auth.studio and request.headers.get("x-auth-scheme", "").lower() == "langsmith"

    @property
    def studio(self) -> Identity:
        fields = {"identity": "langgraph-studio-user", "display_name": "langgraph-studio-user", "kind": "StudioUser"}
        return _identity(User({**fields, "is_authenticated": True, "permissions": ["authenticated"]}))

    def matched(self, scope: Scope) -> tuple[str | None, Mapping[str, str]]:
        """The path of the route that takes the request, and what it names; None for what is no route of ours."""
        for route in self._routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                return getattr(route, "path", ""), child.get("path_params", {})
        return (PREFIX, {}) if f"{own_path(scope)}/".startswith(f"{PREFIX}/") else (None, {})


class Authorized:
    """Behind the guard. Who came with an API key of ours is asked nothing more."""

    def __init__(self, app: ASGIApp, authorization: Authorization) -> None:
        self._app, self._authorization = app, authorization

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity: Identity | None = scope.get("identity")
        if identity is None or identity.user is None:
            await self._app(scope, receive, send)
            return
        try:
            door, visit = self._door(scope, identity)
            if door:
                receive, answer = await _passed(scope, receive, door, visit)
                scope[PASSED] = visit.held
                if answer is not None:
                    await JSONResponse(answer)(scope, receive, send)
                    return
        except (psycopg.Error, PoolTimeout):
            error = Unreachable("Postgres does not answer", "try again; nothing was lost", "database_unavailable")
            await refuse(scope, receive, send, error)
            return
        except ServingError as error:
            await refuse(scope, receive, send, error)
            return
        await self._app(scope, receive, send)

    def _door(self, scope: Scope, identity: Identity) -> tuple[Door | None, Visit]:
        """Raises Forbidden for a route that has none."""
        assert identity.user is not None
        services = scope["app"].state.services.asked_by(identity, {})
        permits = Permits(self._authorization.auth, identity.user, services)
        scope["user"], scope["permits"] = identity.user, permits
        path, named = self._authorization.matched(scope)
        method = scope.get("method", "WEBSOCKET").replace("HEAD", "GET")
        if path is not None and (method, path) not in DOORS and (method, path) not in OPEN:
            raise shut()
        return DOORS.get((method, path or "")), Visit(permits, named, _query(scope))


async def _passed(scope: Scope, receive: Receive, door: Door, visit: Visit) -> tuple[Receive, Any]:
    """What the route is told, and the answer in its place."""
    if scope.get("method") in _WITH_BODIES:
        raw = await _body(receive)
        visit.body = given = _parsed(raw)
    asked = visit.query
    await door(visit)
    if visit.query is not asked:
        scope["query_string"] = urlencode(visit.query).encode()
    scope["headers"] = [_of_its_own(name, value, visit.permits.user) for name, value in scope["headers"]]
    if visit.body is not None:
        receive = _again(raw if visit.body is given else _written(visit.body), receive)
    return receive, visit.answer


def _identity(user: User) -> Identity:
    name = f"user-{hashlib.sha256(user['identity'].encode()).hexdigest()[:8]}"
    return Identity(DEFAULT_TENANT, _SCOPES, name, user)


def _of_its_own(name: bytes, value: bytes, user: User) -> tuple[bytes, bytes]:
    """Two people who think of the same Idempotency-Key mean two things."""
    if name != _KEY or not value.strip():
        return name, value
    return name, hashlib.sha256(user["identity"].encode() + b"\n" + value).hexdigest().encode()


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    try:
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)
    except HTTPException as error:
        raise TooLarge(str(error.detail), "send it in parts", "body_too_large") from None


def _parsed(body: bytes) -> Any:
    """As FastAPI reads it. What can't be read goes no further: nobody could say what it asks for."""
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Unprocessable("body: is not valid JSON", "send JSON, with Content-Type: application/json") from None


def _written(body: Any) -> bytes:
    try:
        return json.dumps(body, default=_plain).encode()
    except (TypeError, ValueError, RecursionError):
        raise AuthFailed("a handler left what is no JSON in its value", "it may change it to other JSON") from None


def _plain(value: Any) -> str:
    if isinstance(value, UUID | datetime):
        return str(value)
    raise TypeError


def _again(body: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
