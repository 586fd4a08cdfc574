"""One shape for every error: code, message, hint, request_id. Never a traceback, never the caller's content."""

import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg.errors import DiskFull
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.routing import Match
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from graph.errors import TriremeError
from memory.errors import MemoryFailure
from privacy.errors import PrivacyError
from serving.api.agent_protocol import failures as protocol
from serving.api.agent_protocol.place import PREFIX
from serving.api.body import unreadable
from serving.api.mounted import own_path
from serving.api.openai import failures as openai
from serving.auth.errors import AuthRefused
from serving.errors import ServingError, Unauthorized

NATIVE, GRAPHS = "run of a goal", "run of a graph"  # the two bodies of POST /runs
_NOT_FIELDS = ("body", NATIVE, GRAPHS)
log = logging.getLogger(__name__)
_FRAMES = 8
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_HTTP_CODES = {400: "invalid_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


def _way(path: str) -> str:
    """To what is here instead."""
    if path in openai.INSTEAD:
        return openai.INSTEAD[path]
    spoken = {"mcp": "MCP", "a2a": "A2A"}.get(path.split("/")[1])
    return f"this server doesn't speak {spoken}; see /docs for the routes" if spoken else "see /docs for the routes"


def failure(request: HTTPConnection, status: int, code: str, message: str, hint: str = "") -> JSONResponse:
    """In the shape that clients of this path read."""
    body = {"code": code, "message": message, "hint": hint, "request_id": request.scope.get("request_id", "")}
    path = own_path(request.scope)
    if path.startswith(openai.PREFIX):
        status = openai.status_of(status)
        body = openai.error_body(status, code, message, hint)
    elif path.startswith(PREFIX):
        status = protocol.status_of(status)
    headers = {"Retry-After": "2"} if status in (429, 503) else None
    return JSONResponse(body, status_code=status, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that this path has (RFC 9110, 15.5.6); each is a route of its own, so all are tried."""
    asked = [{**request.scope, "method": method} for method in _METHODS]
    routes = request.app.router.routes
    return [scope["method"] for scope in asked if any(route.matches(scope)[0] is Match.FULL for route in routes)]


def answered(request: HTTPConnection, error: ServingError) -> JSONResponse:
    return failure(request, error.status, error.code, error.message, error.hint)


async def refuse(scope: Scope, receive: Receive, send: Send, error: ServingError) -> None:
    answer = answered(HTTPConnection(scope), error)
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, AuthRefused):
        answer.headers.update(error.headers)
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(answer)
        return
    await answer(scope, receive, send)


async def _ours(request: Request, error: ServingError) -> JSONResponse:
    return answered(request, error)


async def _typed(request: Request, error: TriremeError | PrivacyError | MemoryFailure) -> JSONResponse:
    return failure(request, error.status, error.code, str(error))


async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    parts = () if first["type"] == "json_invalid" else first["loc"]
    where = ".".join(str(part) for part in parts if part not in _NOT_FIELDS)[:100]
    hint = "see /docs for what the route takes" if where else "send JSON, with Content-Type: application/json"
    said = first["msg"].removeprefix("Value error, ")
    if not where and isinstance(error.body, bytes) and error.body:  # it was not read as JSON
        said = f"its Content-Type is {request.headers.get('content-type', '')[:60]!r}"
    return failure(request, 422, "invalid_request", f"{where or 'body'}: {said}", hint)


async def _plain(request: Request, error: HTTPException) -> JSONResponse:
    code = _HTTP_CODES.get(error.status_code, "http_error")
    if error.status_code == 400 and error.__cause__:  # FastAPI's own, which names no reason
        coding = request.headers.get("content-encoding", "")
        return failure(request, 400, code, *unreadable(error.__cause__, coding))
    hint = "send it in parts" if error.status_code == 413 else _way(own_path(request.scope))
    answer = failure(request, error.status_code, code, str(error.detail), hint)
    if error.status_code == 405:
        answer.headers["Allow"] = ", ".join(_allowed(request))
    return answer


async def _cut_off(request: Request, error: ClientDisconnect) -> JSONResponse:
    """Nobody reads it; it is counted as a request that was wrong, not as an error of ours."""
    return failure(request, 400, "body_cut_off", "the client hung up within the body", "send it whole")


async def _unstorable(request: Request, error: psycopg.DataError) -> JSONResponse:
    if error.sqlstate:
        raise error
    return failure(request, 400, "invalid_request", "a value holds a NUL", "Postgres stores none: leave it out")


async def _database(request: Request, error: Exception) -> JSONResponse:
    log.warning("action=request error=%s", type(error).__name__)
    reason = "Postgres has no disk space left" if isinstance(error, DiskFull) else "Postgres does not answer"
    return failure(request, 503, "database_unavailable", reason, "try again; nothing was lost")


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # Frames only: the message of an error may hold content.
    frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
    told = request.scope.get("response_headers", [])  # which middleware of others hands on, where a scope is a copy
    named = request.scope["request_id"] = dict(told).get(b"x-request-id", b"").decode()
    log.error("action=request error=%s request=%s\n%s", type(error).__name__, named, frames)
    said = "an error of ours; the server's log has it under the request_id"
    answer = failure(request, 500, "internal_error", said)
    # It is given outside of the middleware that adds them elsewhere.
    answer.raw_headers += told
    return answer


_HANDLERS: Final[Mapping[type[Exception], Any]] = {
    ServingError: _ours,
    **dict.fromkeys((TriremeError, PrivacyError, MemoryFailure), _typed),
    RequestValidationError: _invalid,
    HTTPException: _plain,
    ClientDisconnect: _cut_off,
    psycopg.DataError: _unstorable,
    **dict.fromkeys((psycopg.Error, PoolTimeout), _database),
    Exception: _unexpected,
}


def install_failures(app: FastAPI) -> None:
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
