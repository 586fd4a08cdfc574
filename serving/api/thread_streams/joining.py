"""A thread joined: what its runs stream, one behind the other, as LangGraph's older clients read it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Header, Query, Response

from serving.api.event_id import event_id, seq_of
from serving.api.pages import PageStream
from serving.api.reader import HEARTBEAT, Framing
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.api.sdk.agent import agent_framing
from serving.api.sdk.framing import SdkFraming, events_of, without_id
from serving.api.sdk.listed import LISTED
from serving.database import Row
from serving.errors import BadRequest
from serving.hosting.config import is_hosted
from serving.runs.view import TERMINAL
from serving.services import ApiServices
from serving.threads.places import ROOM, Place, read_up_to

router = APIRouter(tags=["thread streams"])
Mode = Literal["run_modes", "lifecycle", "state_update"]
Modes = Annotated[
    tuple[Mode, ...], LISTED, Query(description="what the runs stream; their begin and end; what changes the state")
]
_OF_THE_STATE: Final = ("values", "updates")
_STOPS: Final = frozenset({"run_finished", "run_interrupted", "run_paused"})


@router.get("/threads/{thread_id}/stream", response_class=Response, responses=STREAMS)
async def join_thread(
    thread_id: str,
    services: Services,
    stream_mode: Modes = ("run_modes",),
    stream_modes: Modes = (),
    last_event_id: Annotated[str, Header()] = "",
    after: Annotated[
        int | None, Query(ge=0, le=2**53, description="where there is no Last-Event-ID: from behind this event")
    ] = None,
) -> Response:
    """What is to come, or what comes behind `Last-Event-ID` (-1: from the first run on), until the reader goes away.
    Each run begins with `metadata` and ends with `metadata` whose `status` is `run_done`. LangGraph's SDK says
    `stream_mode`, where its documentation says `stream_modes`, which goes before the other."""
    id_ = str((await services.threads.get(thread_id))["thread_id"])
    start = await _start(services, id_, last_event_id, after)
    modes = stream_modes or stream_mode
    again = urlencode([*(("stream_mode", mode) for mode in modes), ("after", start.seq)])
    frames = _frames(services, id_, frozenset(modes), start)
    return PageStream(frames, services.tails.patience_s, f"/threads/{id_}/stream?{again}")


async def _start(services: ApiServices, thread_id: str, last_event_id: str, after: int | None) -> Place:
    now = await services.places.end(thread_id)
    seq = seq_of(last_event_id, thread_id) if last_event_id.strip() else after
    if seq is None:
        return now
    if not await services.places.knows(thread_id, Place.of(seq)):
        hint = "send -1 to read from the first run on"
        raise BadRequest(f"event {seq} is not in the stream of thread {thread_id}", hint, "bad_last_event_id")
    return min(Place.of(seq), now)


async def _frames(services: ApiServices, thread_id: str, modes: frozenset[Mode], start: Place) -> AsyncGenerator[bytes]:
    async def framing_of(row: Row, heard: int) -> Framing:
        asked = _modes(modes, row)
        run: SdkFraming = SdkFraming(str(row["run_id"]), events_of(asked))
        if not is_hosted(row["graph"]):
            run = await agent_framing(services, row, asked, read_up_to(heard))
        return _RunOfMany(run, thread_id, row["place"], heard)

    pages = services.thread_tails.follow(services.places, thread_id, start, framing_of)
    async with aclosing(pages) as found:  # type: ignore[type-var]
        async for page in found:
            if page is None or page.data:
                yield HEARTBEAT if page is None else page.data


def _modes(asked: frozenset[Mode], row: Row) -> tuple[str, ...]:
    modes: tuple[str, ...] = _OF_THE_STATE if "state_update" in asked else ()
    if "run_modes" in asked:
        modes += tuple((row["launch"] or {}).get("stream_mode", ("values",)))
    return modes


@dataclass(frozen=True)
class _RunOfMany:
    """The run's own frames, with their place in the thread as their id."""

    run: SdkFraming
    thread_id: str
    place: int
    heard: int

    def __call__(self, row: Row, body: str) -> str:
        framed = self.run(row, body)
        if row["kind"] in _STOPS:
            done: dict[str, Any] = {"status": "run_done", "run_id": self.run.run_id}
            framed += self.run.message(row["seq"], "metadata", orjson.dumps(done).decode())
        frames = enumerate(framed.split("\n\n")[:-1])
        return "".join(self._placed(row["seq"], telling, frame) for telling, frame in frames)

    def _placed(self, line: int, telling: int, frame: str) -> str:
        place = Place(self.place, line, min(telling, ROOM - 1))
        if place.is_told(self.heard):
            return ""
        return f"id: {event_id(place.seq, self.thread_id)}\n{without_id(frame)}\n\n"

    def ends(self, status: str) -> bool:
        return status in TERMINAL
