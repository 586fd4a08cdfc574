"""`/v1/chat/completions`: the last thing that a person said is a goal; the answer is that run's, live or whole."""

import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from serving.api.openai.asking import Asking
from serving.api.openai.chores import chore_done
from serving.api.openai.completion import Completion
from serving.api.openai.failures import REFUSALS, error_body
from serving.api.openai.form import refuse_call
from serving.api.openai.hosted import hosted_models
from serving.api.openai.hosted_chat import take_chat
from serving.api.openai.messages import ChatMessage, conversation_of
from serving.api.openai.place import place_of
from serving.api.openai.telling import Part, Words
from serving.api.openai.turn import End, Turn, left_by, streamed, take, told_whole
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.errors import BadRequest
from serving.runs.view import UsageView

router = APIRouter(prefix="/v1/chat", tags=["openai"], responses=REFUSALS)
STREAMED: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class StreamOptions(BaseModel):
    include_usage: bool | None = False


class ChatRequest(Asking):
    messages: list[ChatMessage] = Field(min_length=1, max_length=2_000)
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=1, ge=1)
    response_format: dict[str, Any] | None = None
    function_call: str | dict[str, Any] | None = None
    on_disconnect: Literal["cancel", "continue"] = "cancel"

    @property
    def with_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def asked_form(self) -> tuple[str, Any]:
        return "response_format", self.response_format

    def checked(self, *others: str) -> None:
        super().checked(*others)
        if (self.n or 1) > 1:
            raise BadRequest("`n` can only be 1", "ask again for another answer", "unsupported")
        refuse_call("function_call", self.function_call)


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
    comes as `reasoning_content`. A client that hangs up cancels the run, as a person does who presses Stop in an app;
    not so with `on_disconnect: "continue"`, or an `Idempotency-Key`, by which it finds the run again. What Open WebUI
    and LibreChat ask on their own account (titles, tags, ...) begins no run: it is answered from the talk itself.

    With `response_format`, or a tool that must be called, the agent's answer is JSON by that schema, told when it is
    whole and valid; `sources` beside it say what it rests on. A question of the agent is then a `refusal`.
    """
    hosted, base = hosted_models(services), str(request.base_url)
    body.checked(*hosted)
    if chore := chore_done(body.messages):
        return _at_once(body, chore)
    if body.model in hosted:
        turn = await take_chat(services, body, body.messages, x_thread_id, base, idempotency_key)
    else:
        said = conversation_of(body.messages)
        place = await place_of(services, body, said, x_thread_id, idempotency_key)
        turn = await take(services, body, said, place, base, idempotency_key)
    made = int(turn.run.created_at.timestamp())
    completion = Completion(turn.run.run_id, body.model, made, turn.run.form, turn.address)
    headers = whereabouts(turn)
    goes_on = body.on_disconnect == "continue" or idempotency_key is not None
    left = left_by(services, turn, goes_on=goes_on)
    if body.stream:
        framed = partial(_frames, turn, completion, with_usage=body.with_usage)
        frames = streamed(services, turn, completion.first(), framed, left)
        return StreamingResponse(frames, media_type="text/event-stream", headers={**STREAMED, **headers})
    end = await told_whole(services, request, turn, completion.add, left)
    status, answer = failed(turn, end) or (200, completion.whole(end.usage, end.citations))
    return JSONResponse(answer, status, {**headers, "x-should-retry": "false"})


def _at_once(body: ChatRequest, text: str) -> Response:
    """What is known without a run."""
    completion = Completion(uuid.uuid4().hex, body.model, int(time.time()))
    if body.stream:
        usage = UsageView() if body.with_usage else None
        frames = [completion.first(), completion.piece(Words(text)), *completion.last(usage)]
        return Response(b"".join(frames), media_type="text/event-stream", headers=STREAMED)
    completion.add(Words(text))
    return JSONResponse(completion.whole(UsageView()))


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


def _frames(turn: Turn, completion: Completion, part: Part | End, *, with_usage: bool) -> bytes:
    if not isinstance(part, End):
        return completion.piece(part)
    return b"".join(_last(turn, part, completion, with_usage))


def _last(turn: Turn, end: End, completion: Completion, with_usage: bool) -> Iterator[bytes]:
    if problem := failed(turn, end):
        yield completion.frame(problem[1])
    else:
        yield from completion.last(end.usage if with_usage else None, end.citations)
