"""Runs followed to their end: as events, or as what they came to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import StreamingResponse

from serving.api.event_id import line_of
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.api.sdk.agent import Begun, agent_framing, agent_values
from serving.api.sdk.creation import LOCATION, IdempotencyKey, created, notices, place
from serving.api.sdk.framing import SdkFraming, events_of, part_of
from serving.api.sdk.listed import LISTED
from serving.api.sockets import EventStream
from serving.database import Row, fetch_one
from serving.hosting.config import is_hosted
from serving.hosting.part_log import RESULT
from serving.runs.requests.launch import NewRun, StreamMode
from serving.runs.store import refuse_pruned
from serving.runs.view import is_settled
from serving.services import ApiServices

router = APIRouter(tags=["graph runs"])
_STILL_HERE: Final = b"\n"  # before a JSON text it means nothing, and keeps proxies from cutting the connection
Modes = Annotated[
    tuple[StreamMode | Literal[""], ...],
    LISTED,
    Query(description="of those that the run streams; without it, all"),
]
LastEventId = Annotated[str, Header()]


class Joined(NamedTuple):
    """How somebody comes to a run that is there."""

    stream_mode: Modes = ()
    cancel_on_disconnect: bool = False
    last_event_id: LastEventId = ""
    after: Annotated[
        int | None, Query(ge=0, le=2**62, description="where there is no Last-Event-ID: from behind this event")
    ] = None

    def begins(self, row: Row) -> int:
        """As the SDK has it, what was said before is told only to who asks for it."""
        if self.last_event_id or self.after is not None:
            return line_of(self.last_event_id or str(self.after), str(row["run_id"]), row["last_seq"])
        so_far: int = row["last_seq"] if row["started_at"] else 0
        return so_far


Joining = Annotated[Joined, Depends()]


@router.post("/threads/{thread_id}/runs/stream", response_class=Response, responses=STREAMS)
async def stream_run(
    thread_id: str, body: NewRun, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queues a run and answers with what its graph streams, live. `Last-Event-ID` on the `Location` goes on behind a
    cut."""
    return await _begun(services, await created(services, thread_id, body, idempotency_key), body)


@router.post("/runs/stream", response_class=Response, responses=STREAMS)
async def stream_stateless_run(body: NewRun, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    begun = await created(services, None, body, idempotency_key)
    return await _begun(services, begun, body, stateless=True)


@router.post("/threads/{thread_id}/runs/wait")
async def wait_for_run(
    thread_id: str, body: NewRun, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queues a run and answers with what it came to: the graph's values, with `__interrupt__` where it waits for a
    person, or `__error__`."""
    return _awaited(services, await created(services, thread_id, body, idempotency_key), body)


@router.post("/runs/wait")
async def wait_for_stateless_run(body: NewRun, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    return _awaited(services, await created(services, None, body, idempotency_key), body, stateless=True)


@router.get("/threads/{thread_id}/runs/{run_id}/stream", response_class=Response, responses=STREAMS)
async def join_stream(thread_id: str, run_id: str, services: Services, how: Joining) -> Response:
    """What a run streams from now on, or behind `Last-Event-ID`; -1 is before the first."""
    row = await services.launches.get(thread_id, run_id)
    return await _joined(services, row, how)


@router.get("/runs/{run_id}/stream", response_class=Response, responses=STREAMS)
async def join_stateless_stream(run_id: str, services: Services, how: Joining) -> Response:
    row = await services.launches.get(None, run_id)
    return await _joined(services, row, how, stateless=True)


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join_run(thread_id: str, run_id: str, services: Services, cancel_on_disconnect: bool = False) -> Response:
    """What a run came to, when it has ended."""
    return _result(services, await services.launches.get(thread_id, run_id), cancel=cancel_on_disconnect)


async def _begun(services: ApiServices, begun: Begun, new: NewRun, *, stateless: bool = False) -> Response:
    where, cancel = place(begun.row, stateless), new.on_disconnect == "cancel"
    answer = await streamed(services, begun.row, new.stream_mode, begun.behind, where, cancel=cancel)
    answer.headers.update(notices(new))
    return _found_again(answer, begun.behind)


async def _joined(services: ApiServices, row: Row, how: Joined, *, stateless: bool = False) -> Response:
    refuse_pruned(str(row["run_id"]), row["pruned_at"])
    asked = tuple(filter(None, how.stream_mode))
    modes = asked or tuple((row["launch"] or {}).get("stream_mode", ("values",)))
    after, where = how.begins(row), place(row, stateless)
    answer = await streamed(services, row, modes, after, where, cancel=how.cancel_on_disconnect)
    return _found_again(answer, after, asked)


def _found_again(answer: Response, after: int, modes: tuple[str, ...] = ()) -> Response:
    """Who is cut off before the first event has no id to send, and the SDK repeats no parameter."""
    query = urlencode([("after", after), *(("stream_mode", mode) for mode in modes)])
    answer.headers["Location"] += f"?{query}"
    return answer


async def streamed(
    services: ApiServices, row: Row, modes: tuple[str, ...], after: int, where: str, *, cancel: bool
) -> Response:
    """What a run streams behind line `after`, live. `where` its reader finds it again; `cancel` it when they leave."""
    run_id, headers = str(row["run_id"]), {"Location": f"{where}/stream", LOCATION: where}
    left = (lambda: services.launches.cancel_soon(run_id)) if cancel else None
    framing = SdkFraming(run_id, events_of(modes))
    if not is_hosted(row["graph"]):
        framing = await agent_framing(services, row, modes, after)
    return EventStream(services.tails, run_id, after, framing, headers, left)


def _awaited(services: ApiServices, begun: Begun, new: NewRun, *, stateless: bool = False) -> Response:
    answer = _result(services, begun.row, cancel=new.on_disconnect == "cancel", stateless=stateless)
    answer.headers.update(notices(new))
    return answer


def _result(services: ApiServices, row: Row, *, cancel: bool, stateless: bool = False) -> Response:
    refuse_pruned(str(row["run_id"]), row["pruned_at"])
    headers = {"Location": f"{place(row, False)}/join", LOCATION: place(row, stateless)}
    return StreamingResponse(until_ended(services, row, cancel), media_type="application/json", headers=headers)


async def until_ended(
    services: ApiServices, row: Row, cancel: bool, told: "Callable[[ApiServices, Row], Awaitable[bytes]] | None" = None
) -> AsyncIterator[bytes]:
    """Says now and then that it is still here; then the result, as JSON: the outcome, or what `told` makes of it."""
    run_id: str = str(row["run_id"])
    over: bool | None = None
    try:
        while (over := await services.tails.over(run_id, is_settled)) is None:
            yield _STILL_HERE
        if over:
            yield await (told or outcome)(services, row)
    except asyncio.CancelledError:
        if cancel and not over:
            services.launches.cancel_soon(run_id)
        raise


async def outcome(services: ApiServices, row: Row) -> bytes:
    """The log's last lines say it: what the run came to, then how it ended."""
    lines = await services.launches.last_lines(str(row["run_id"]))
    if lines and lines[0]["kind"] == "run_finished":
        end = orjson.loads(lines[0]["body"])
        if end["status"] in ("error", "timeout"):
            return orjson.dumps({"__error__": {"error": end["code"], "message": end["message"]}})
    for line in lines[1:]:
        if line["kind"] == "stream_part":
            event, data = part_of(line["body"])
            if event == RESULT:
                return data.encode()
    if not is_hosted(row["graph"]):
        return orjson.dumps(await agent_values(services, row))
    return orjson.dumps(await _values(services, str(row["thread_id"])))


async def _values(services: ApiServices, thread_id: str) -> Any:
    """The thread's: of a run that came to nothing of its own. None when it is gone."""
    query = "select values from threads where thread_id = %s"
    found = await fetch_one(services.pool, query, (thread_id,))
    return found and found["values"]
