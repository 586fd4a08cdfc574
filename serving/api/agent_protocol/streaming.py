"""The Agent Protocol's thread-centric streaming: the same events and commands as the LangGraph SDK's, under its own
paths."""

from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.api.agent_protocol.failures import ABSENT
from serving.api.refusal import STREAMS, Responses
from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import IdempotencyKey
from serving.api.sdk.run_streams import LastEventId
from serving.api.thread_streams.commands import obey
from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.socket import converse
from serving.api.thread_streams.streams import told
from serving.errors import Unprocessable

router = APIRouter(prefix="/threads/{thread_id}", tags=["Streaming"])
_UPGRADED: Final[Responses] = {101: {"description": "From here on a WebSocket"}}


class EventStreamRequest(BaseModel):
    """`channels`: values, updates, messages, tools, lifecycle, input, checkpoints, tasks, custom, custom:NAME. `since`:
    the seq of the last event that the reader has."""

    model_config = ConfigDict(extra="allow")

    channels: list[str] = Field(min_length=1, max_length=100)
    namespaces: list[list[str]] | None = Field(default=None, max_length=1_000)
    depth: int | None = Field(default=None, ge=0, lt=2**31)
    since: int | None = Field(default=None, ge=0, lt=2**63)


class StreamingCommand(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: int = Field(ge=0, lt=2**63)
    method: str = Field(max_length=200)
    params: dict[str, Any] | None = None


class StreamingCommandResponse(BaseModel):
    """`type` is success, with a `result`; or error, with a code in `error` and a message."""

    model_config = ConfigDict(extra="allow")

    type: str
    id: int


@router.post("/stream", response_class=Response, responses=STREAMS | ABSENT)
async def open_thread_sse_stream(
    thread_id: str, body: EventStreamRequest, services: Services, last_event_id: LastEventId = ""
) -> Response:
    """What the thread's runs tell, one run behind the other, until the reader goes away."""
    id_ = (await services.threads.get(thread_id))["thread_id"]
    try:
        return await told(services, id_, body.model_dump(exclude_none=True), last_event_id)
    except Refused as error:
        raise Unprocessable(error.message, "see /docs for what the route takes") from None


@router.get("/stream", status_code=101, response_class=Response, responses=_UPGRADED | ABSENT)
async def open_thread_websocket_stream(thread_id: str, services: Services) -> None:
    """A WebSocket: its frames are commands, their answers, and events."""
    await services.threads.get(thread_id)
    raise Unprocessable("this is a WebSocket", "open it as one: ws:// in the place of http://", "upgrade_needed")


router.add_websocket_route("/threads/{thread_id}/stream", converse)  # the prefix isn't put before these


@router.post("/commands", response_model=StreamingCommandResponse, responses=ABSENT)
async def send_thread_streaming_command(
    thread_id: str, body: StreamingCommand, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """run.start, input.respond, state.get, state.listCheckpoints, state.fork, agent.getTree. What is wrong with one is
    told in the answer."""
    return answer(await obey(services, thread_id, body.id, body.method, body.params or {}, idempotency_key))
