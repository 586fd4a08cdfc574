"""The thread-centric protocol over HTTP: commands, and events as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from serving.api.event_id import seq_of
from serving.api.pages import PageStream
from serving.api.reader import HEARTBEAT
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import IdempotencyKey
from serving.api.thread_streams.commands import obey, read
from serving.api.thread_streams.errors import Refused, error_frame, refusal
from serving.api.thread_streams.following import beginning, fall_behind, followed
from serving.api.thread_streams.subscription import CHANNELS, Subscription, since_of, subscription_of
from serving.errors import ServingError
from serving.runs.requests.limits import uuid_of
from serving.services import ApiServices
from serving.threads.places import Place

router = APIRouter(tags=["thread streams"])
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_SUBSCRIPTION: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["channels"],
    "properties": {
        "channels": {
            "type": "array",
            "minItems": 1,
            "items": {"anyOf": [{"enum": sorted(CHANNELS)}, {"type": "string", "pattern": "^custom:.+"}]},
        },
        "namespaces": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "depth": {"type": "integer", "minimum": 0},
        "since": {"type": "integer", "minimum": 0},
    },
}
_EVENTS: Final = "/threads/{thread_id}/stream/events"
_COMMAND: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "method"],
    "properties": {"id": {"type": "integer", "minimum": 0}, "method": {"type": "string"}, "params": _OBJECT},
}


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/threads/{thread_id}/stream/events",
    response_class=Response,
    responses=STREAMS,
    openapi_extra=_takes(_SUBSCRIPTION),
)
async def stream_events(
    thread_id: str, request: Request, services: Services, last_event_id: Annotated[str, Header()] = ""
) -> Response:
    """What the thread's runs tell, one run behind the other, until the reader goes away. `since` (or `Last-Event-ID`),
    the seq of the last event that it has, goes on behind a cut; without it the newest run is told from its start.

    A thread that isn't there yet may be made by `run.start`, so its stream is open, too.
    """
    try:
        return await told(services, uuid_of(thread_id, "thread"), await _json(request), last_event_id)
    except (Refused, ServingError) as error:
        return _refused(request, refusal(error))


async def told(services: ApiServices, thread_id: str, asked: Any, last_event_id: str) -> Response:
    """Raises Refused for what can't be asked, BadRequest for a Last-Event-ID of another stream."""
    wanted, since = subscription_of(asked), since_of(asked)
    if since is None and last_event_id.strip():
        since = seq_of(last_event_id, thread_id)
    start = await beginning(services, thread_id, wanted, since)
    return PageStream(_frames(services, thread_id, wanted, start), services.tails.patience_s)


@router.post("/threads/{thread_id}/commands", openapi_extra=_takes(_COMMAND))
async def take_command(
    thread_id: str, request: Request, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """A command of the protocol: run.start, input.respond, state.get, state.listCheckpoints, state.fork, agent.getTree.
    What is wrong with it is told in the answer: `type` is `error`, with a code and a message."""
    frame: Any = None
    try:
        frame = await _json(request)
        id_, method, params = read(frame)
    except Refused as error:
        return _refused(request, error, frame.get("id") if isinstance(frame, dict) else None)
    return answer(await obey(services, thread_id, id_, method, params, idempotency_key))


async def _frames(services: ApiServices, thread_id: str, wanted: Subscription, start: Place) -> AsyncGenerator[bytes]:
    first = True
    async with aclosing(followed(services, thread_id, wanted, start)) as pages:
        async for page in pages:
            if page and page.data:
                await fall_behind(wanted, page.data, first=first)
                first = False
            if page is None or page.data:
                yield HEARTBEAT if page is None else page.data


async def _json(request: Request) -> Any:
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise Refused("invalid_argument", "the body is not valid JSON") from None


def _refused(request: Request, error: Refused, id_: Any = None) -> Response:
    """As the protocol has it, and as every error here."""
    more = {"code": error.code, "hint": "", "detail": error.message, "request_id": request.scope.get("request_id", "")}
    return JSONResponse({**error_frame(error, id_), **more}, status_code=400)
