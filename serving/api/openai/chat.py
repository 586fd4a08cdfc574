"""`/v1/chat/completions`: the last thing that a person said is a goal; the answer is that run's, live or whole."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from serving.api.openai.asking import Asking, refuse_form
from serving.api.openai.completion import Completion
from serving.api.openai.failures import REFUSALS, error_body
from serving.api.openai.hosted import hosted_models, launch, messages_of
from serving.api.openai.messages import ChatMessage, conversation_of
from serving.api.openai.place import place_of
from serving.api.openai.turn import End, Turn, take, told, told_whole
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.api.stream import HEARTBEAT
from serving.errors import BadRequest
from serving.services import ApiServices

router = APIRouter(prefix="/v1/chat", tags=["openai"], responses=REFUSALS)
STREAMED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class StreamOptions(BaseModel):
    include_usage: bool | None = False


class ChatRequest(Asking):
    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=1, ge=1)
    response_format: dict[str, Any] | None = None
    functions: list[Any] | None = None

    def checked(self, *others: str) -> None:
        super().checked(*others)
        if (self.n or 1) > 1:
            raise BadRequest("`n` can only be 1", "ask again for another answer", "unsupported")
        if self.functions:
            raise BadRequest("`functions` can't be used: the agent has tools of its own", "leave it out", "unsupported")
        refuse_form("response_format", self.response_format)


@router.post("/completions", responses=STREAMS)
async def create_completion(
    body: ChatRequest,
    services: Services,
    request: Request,
    x_thread_id: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Runs the agent on the last user message, on the conversation's thread, and answers as OpenAI's API does.

    The thread: `X-Thread-Id`, `thread_id` (in the body or `metadata`), else found by what the messages say. Progress
    comes as `reasoning_content`. A client that hangs up doesn't end the run: POST /runs/{id}/cancel does.
    """
    hosted, base = hosted_models(services), str(request.base_url)
    body.checked(*hosted)
    if body.model in hosted:
        thread = x_thread_id or body.named("thread_id") or None
        given = messages_of(body.messages, thread)
        turn = await launch(services, body.model, given, thread, body.metadata, base, idempotency_key)
    else:
        said = conversation_of(body.messages)
        place = await place_of(services, body, said, x_thread_id, idempotency_key)
        turn = await take(services, body, said, place, base, idempotency_key)
    completion = Completion(turn.run.run_id, body.model, int(turn.run.created_at.timestamp()))
    headers = whereabouts(turn)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        frames = _streamed(services, turn, completion, usage)
        return StreamingResponse(frames, media_type="text/event-stream", headers={**STREAMED, **headers})
    end = await told_whole(services, request, turn, completion.add)
    status, answer = failed(turn, end) or (200, completion.whole(end.usage))
    return JSONResponse(answer, status, {**headers, "x-should-retry": "false"})


def whereabouts(turn: Turn) -> dict[str, str]:
    run = turn.run
    return {"X-Run-Id": run.run_id, "X-Thread-Id": run.thread_id, "Location": f"/runs/{run.run_id}"}


def failed(turn: Turn, end: End) -> tuple[int, dict[str, Any]] | None:
    """(HTTP status, error) where there is no answer to give."""
    if end.status in ("success", "interrupted"):
        return None
    if end.status == "cancelled":
        return 409, error_body(409, "cancelled", "the run was cancelled", f"trireme resume {turn.run.run_id}")
    if end.code:
        return 500, error_body(500, end.code, end.message, f"see {turn.address}")
    return 504, error_body(504, "still_running", "the run goes on", f"its answer comes to {turn.address}")


async def _streamed(
    services: ApiServices, turn: Turn, completion: Completion, with_usage: bool
) -> AsyncIterator[bytes]:
    yield completion.first()
    async for part in told(services, turn):
        if part is None:
            yield HEARTBEAT
        elif not isinstance(part, End):
            yield completion.piece(part)
        elif problem := failed(turn, part):
            yield completion.frame(problem[1])
        else:
            for frame in completion.last(part.usage if with_usage else None):
                yield frame
