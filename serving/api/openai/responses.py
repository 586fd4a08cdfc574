"""`/v1/responses`: a response is a run, and its id follows from the run's; nothing else is kept."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any, LiteralString
from uuid import uuid4

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import Field

from graph.form import Form
from serving.api.openai.asking import Asking, Kept
from serving.api.openai.chat import STREAMED, whereabouts
from serving.api.openai.chores import chore_done
from serving.api.openai.draft import ResponseDraft, frame, id_of
from serving.api.openai.failures import REFUSALS
from serving.api.openai.hosted import HostedTelling, hosted_models
from serving.api.openai.hosted_responses import items_of, take_hosted
from serving.api.openai.items import Input, input_of, knows_requests
from serving.api.openai.messages import ChatMessage
from serving.api.openai.place import place_of
from serving.api.openai.previous import found, kept_of, place_behind, previous
from serving.api.openai.telling import Part, Telling, Words
from serving.api.openai.turn import End, Left, Turn, answered, left_by, streamed, take, told_so_far, told_whole
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.errors import BadRequest, Conflict
from serving.hosting.config import is_hosted
from serving.runs.store import refuse_pruned
from serving.runs.view import TERMINAL, UsageView
from serving.services import ApiServices

router = APIRouter(prefix="/v1/responses", tags=["openai"], responses=REFUSALS)
_CANCEL_S = 2.0
_FORGET: LiteralString = """
update runs set asked = coalesce(asked, '{}')
    || jsonb_build_object('kept', coalesce(asked -> 'kept', '{}') || '{"store": false}')
where run_id = %s
"""


class ResponseRequest(Asking):
    input: str | list[dict[str, Any]] = Field(max_length=1_000_000)
    instructions: str | None = Field(default=None, max_length=100_000)
    previous_response_id: str | None = Field(default=None, max_length=100)
    background: bool | None = False
    store: bool | None = True
    conversation: Any = None
    text: dict[str, Any] | None = None

    def asked_form(self) -> tuple[str, Any]:
        return "text.format", (self.text or {}).get("format")

    def form(self, system: str = "") -> Form | None:
        return super().form("\n".join(filter(None, (self.instructions, system))))

    def checked(self, *others: str) -> None:
        super().checked(*others)
        if self.conversation is not None:
            hint = "use previous_response_id, or thread_id"
            raise BadRequest("`conversation` can't be used: there are no conversation objects", hint, "unsupported")
        if self.background and self.store is False:
            hint = "its answer could never be fetched: leave store out"
            raise BadRequest("`background` needs `store`", hint, "unsupported")

    def kept(self) -> Kept:
        said: dict[str, Any] = {
            "instructions": self.instructions,
            "previous_response_id": self.previous_response_id,
            "background": bool(self.background),
            "store": self.store is not False,
            "typed": knows_requests(self.tools),
        }
        if form := self.form():
            said["text"] = {"format": self.asked_form()[1] or {"type": "text"}}
            said |= {"tools": self.tools, "tool_choice": self.tool_choice} if form.called else {}
        return super().kept().model_copy(update=said)


@router.post("", responses=STREAMS)
async def create_response(
    body: ResponseRequest,
    services: Services,
    request: Request,
    x_thread_id: Annotated[str, Header()] = "",
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Runs the agent on the input's last user message, or a hosted graph on all of it; answers as OpenAI's API does.

    `previous_response_id` goes on on that response's thread, or, behind an earlier one, on a new thread that knows what
    was said until then; a graph, from the state that it left. `background` answers at once. `instructions` are kept and
    not used, for the agent has its own; to a graph they are a system message, which stays until others take its place.
    A question of the agent is an `mcp_approval_request` beside the message, unless `tools` are listed without an `mcp`
    one that is labelled `trireme`; an `mcp_approval_response` decides it, behind `previous_response_id` or the whole
    conversation. So are those of a graph that asks in LangChain's shape or Agent Inbox's. What apps ask on their own
    account (a title, tags, ...) begins no run, and can't be fetched again. A client that hangs up cancels the response,
    unless it is one in the `background` or has an `Idempotency-Key`.

    With `text.format`, or a function that must be called, the agent's answer is JSON by that schema, told when it is
    whole and valid. A question of the agent is then a `refusal` beside the request.
    """
    hosted = hosted_models(services)
    body.checked(*hosted)
    given = input_of(body.input, whole=body.previous_response_id is None)
    told = ChatMessage(role="system", content=body.instructions)
    if (chore := chore_done([told, *given.messages])) and not body.background:
        return _at_once(body, chore)
    make = take_hosted if body.model in hosted else _turn
    turn = await make(services, body, given, str(request.base_url), x_thread_id, idempotency_key)
    kept = await kept_of(services, await services.runs.row(turn.run.run_id)) if turn.after else body.kept()
    draft, turn = ResponseDraft(turn.run, kept, turn.run.form), replace(turn, after=0)
    left = left_by(services, turn, goes_on=kept.background or idempotency_key is not None)
    if body.stream:
        return _stream(services, turn, draft, left=left)
    _drain(draft.begin())
    end = End("pending", turn.run.usage, [])
    if not body.background:
        end = await told_whole(services, request, turn, lambda part: _drain(draft.add(part)), left)
    _drain(draft.end(end))
    return JSONResponse(draft.response(), headers=whereabouts(turn))


@dataclass(frozen=True, slots=True)
class _Known:
    """Without a run."""

    run_id: str
    created_at: datetime
    finished_at: datetime


def _at_once(body: ResponseRequest, text: str) -> Response:
    now = datetime.now(UTC)
    draft = ResponseDraft(_Known(str(uuid4()), now, now), body.kept().model_copy(update={"store": False}))
    events = chain(draft.begin(), draft.add(Words(text)), draft.end(End("success", UsageView(), [])))
    frames = b"".join(frame(event) for event in events)
    if body.stream:
        return Response(frames, media_type="text/event-stream", headers=STREAMED)
    return JSONResponse(draft.response())


@router.get("/{response_id}", responses=STREAMS)
async def get_response(
    response_id: str,
    services: Services,
    request: Request,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=-1)] = -1,
) -> Response:
    """As it stands; with `stream`, its events behind number `starting_after`, live."""
    turn, draft = await _found(services, response_id, request)
    if stream:
        await _refuse_unless_told(services, response_id, request, starting_after)
        return _stream(services, turn, draft, starting_after)
    return JSONResponse(await _as_it_stands(services, turn, draft), headers=whereabouts(turn))


@router.get("/{response_id}/input_items")
async def list_input_items(response_id: str, services: Services) -> Any:
    """The goal of its run, or what its graph was given; what was said before is in the items of earlier responses."""
    row, _ = await found(services, response_id)
    if is_hosted(row["graph"]):
        refuse_pruned(str(row["run_id"]), row["pruned_at"])
        return _listed(items_of(row))
    goal = await services.restore(row["request"]["goal"])
    item = {
        "id": f"msg_{str(row['run_id']).replace('-', '')}_in",
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": goal}],
    }
    return _listed([item])


def _listed(items: list[dict[str, Any]]) -> Any:
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"],
        "last_id": items[-1]["id"],
        "has_more": False,
    }


@router.post("/{response_id}/cancel")
async def cancel_response(response_id: str, services: Services, request: Request) -> Response:
    """Ends its run, in whatever way it was made. Cancelling again changes nothing."""
    turn, draft = await _found(services, response_id, request)
    if turn.run.status in TERMINAL and turn.run.status != "cancelled":
        raise BadRequest(f"this response has ended: {turn.run.status}", "GET it to read it", "response_ended")
    if turn.run.status not in TERMINAL:
        await services.controls.cancel(turn.run.run_id, by=services.asker)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CANCEL_S):
                while await services.tails.over(turn.run.run_id, TERMINAL.__contains__) is None:
                    pass
        turn, draft = await _found(services, response_id, request)
    return JSONResponse(await _as_it_stands(services, turn, draft), headers=whereabouts(turn))


@router.delete("/{response_id}")
async def delete_response(response_id: str, services: Services) -> Any:
    """It can't be read or gone on from any more. Its run's log stays until retention takes it away."""
    row, _ = await found(services, response_id)
    if row["status"] not in TERMINAL:
        raise Conflict(f"this response is {row['status']}", "cancel it first", "response_in_progress")
    async with services.pool.connection() as connection:
        await connection.execute(_FORGET, (row["run_id"],))
    return {"id": id_of(str(row["run_id"])), "object": "response", "deleted": True}


async def _turn(
    services: ApiServices, body: ResponseRequest, given: Input, base: str, header: str, key: str | None
) -> Turn:
    if body.previous_response_id is None:
        if given.decisions and not given.messages:
            raise BadRequest("a decision needs `previous_response_id`", "name the response that asked", "bad_request")
        said = given.said
        place = await place_of(services, body, said, header, key)
    else:
        row = await previous(services, body.previous_response_id, body.model)
        place, before = await place_behind(services, row, key)
        said = replace(given.said, before=(), turns=(*before.turns, *given.said.turns))
    if given.decisions:
        return await _decided(services, place.parked, given, base)
    return await take(services, body, said, place, base, key)


async def _decided(services: ApiServices, parked: str | None, given: Input, base: str) -> Turn:
    if parked is None:
        mend = "GET the response that asked to see how it stands"
        raise Conflict("no response waits here for an approval", mend, "no_decision_pending")
    return await answered(services, parked, given.decisions, base, typed=True)


async def _found(services: ApiServices, id_: str, request: Request) -> tuple[Turn, ResponseDraft]:
    row, kept = await found(services, id_)
    refuse_pruned(str(row["run_id"]), row["pruned_at"])
    run, teller = await services.runs.get(str(row["run_id"])), HostedTelling if is_hosted(row["graph"]) else Telling
    return Turn(run, 0, str(request.base_url), teller), ResponseDraft(run, kept, run.form)


async def _refuse_unless_told(services: ApiServices, response_id: str, request: Request, number: int) -> None:
    if number < 0:
        return
    turn, draft = await _found(services, response_id, request)
    await _as_it_stands(services, turn, draft)
    if number >= draft.told:
        message = f"`starting_after` is {number}, and event {draft.told - 1} is the last one of this response so far"
        raise BadRequest(message, "send the sequence_number of the last event that you have", "bad_starting_after")


async def _as_it_stands(services: ApiServices, turn: Turn, draft: ResponseDraft) -> dict[str, Any]:
    _drain(draft.begin())
    async for part in told_so_far(services, turn):
        _drain(draft.end(part) if isinstance(part, End) else draft.add(part))
    return draft.response()


def _stream(services: ApiServices, turn: Turn, draft: ResponseDraft, after: int = -1, left: Left = None) -> Response:
    """Its events behind number `after`."""

    def frames(events: Iterable[Any]) -> bytes:
        return b"".join(frame(event) for event in events if event["sequence_number"] > after)

    def framed(part: Part | End) -> bytes:
        return frames(draft.end(part) if isinstance(part, End) else draft.add(part))

    events = streamed(services, turn, frames(draft.begin()), framed, left)
    return StreamingResponse(events, media_type="text/event-stream", headers={**STREAMED, **whereabouts(turn)})


def _drain(events: Any) -> None:
    """Only what they come to is wanted."""
    for _ in events:
        pass
