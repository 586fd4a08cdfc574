"""Runs of the Agent Protocol: create them, on a thread or on none; find, stop and forget them."""

from typing import Final

from fastapi import APIRouter, Response

from serving.api.agent_protocol.failures import ABSENT, CREATING
from serving.api.agent_protocol.place import at
from serving.api.agent_protocol.run import Run, RunCreate, RunSearchRequest, RunStream, RunWaitResponse, shown
from serving.api.agent_protocol.waiting import awaited
from serving.api.event_id import line_of
from serving.api.refusal import STREAMS
from serving.api.runs import Services
from serving.api.sdk.agent import Begun
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import LOCATION, IdempotencyKey, created
from serving.api.sdk.run_streams import LastEventId, streamed
from serving.api.sdk.runs import end_of
from serving.hosting.config import AGENT
from serving.runs.launches import CancelAction
from serving.runs.search import search
from serving.runs.store import refuse_pruned
from serving.services import ApiServices
from serving.threads.thread import ThreadChange, Ttl

router = APIRouter(prefix="/runs", tags=["Runs"])
_SOON: Final = Ttl(ttl=0.5)


@router.post("", response_model=Run, responses=CREATING, tags=["Background Runs"])
async def create_run(body: RunStream, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """Queues a run. With the same Idempotency-Key it is the same run."""
    row = (await _created(services, body, idempotency_key)).row
    return answer(shown(row), {LOCATION: at(row)})


@router.post("/stream", response_class=Response, responses=STREAMS | CREATING)
async def create_and_stream_run(
    body: RunStream, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queues a run and answers with what it streams, live. `Last-Event-ID` on the `Location` goes on behind a cut."""
    begun, new = await _created(services, body, idempotency_key), body.new_run()
    cancel = body.on_disconnect == "cancel"
    return await streamed(services, begun.row, new.stream_mode, begun.behind, at(begun.row), cancel=cancel)


@router.post("/wait", response_model=RunWaitResponse, responses=CREATING)
async def create_and_wait_run(body: RunCreate, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """Queues a run and answers when it has ended."""
    row = (await _created(services, body, idempotency_key)).row
    return awaited(services, row, cancel=body.on_disconnect == "cancel")


@router.post("/search", response_model=list[Run], responses=ABSENT, tags=["Background Runs"])
async def search_runs(body: RunSearchRequest, services: Services) -> Response:
    """Newest first."""
    agent = (await services.assistants.get(body.agent_id)) if body.agent_id else None
    agent_id, goals = (agent.assistant_id, agent.graph_id == AGENT) if agent else (None, True)
    found = await search(services.pool, services.runs.tenant, body, agent_id, goals=goals)
    return answer([shown(row) for row in found])


@router.get("/{run_id}", response_model=Run, responses=ABSENT, tags=["Background Runs"])
async def get_run(run_id: str, services: Services) -> Response:
    return answer(shown(await services.launches.get(None, run_id)))


@router.delete("/{run_id}", status_code=204, responses=ABSENT, tags=["Background Runs"])
async def delete_run(run_id: str, services: Services) -> None:
    """With its log and checkpoints; one that is under way ends with it."""
    await services.launches.delete(None, run_id)


@router.get("/{run_id}/wait", response_model=RunWaitResponse, responses=ABSENT, tags=["Background Runs"])
async def wait_run(run_id: str, services: Services) -> Response:
    return awaited(services, await services.launches.get(None, run_id), cancel=False)


@router.get("/{run_id}/stream", response_class=Response, responses=STREAMS | ABSENT, tags=["Background Runs"])
async def stream_run(run_id: str, services: Services, last_event_id: LastEventId = "") -> Response:
    """What the run streams from now on, or behind `Last-Event-ID`; -1 is before the first."""
    row = await services.launches.get(None, run_id)
    refuse_pruned(run_id, row["pruned_at"])
    modes = tuple((row["launch"] or {}).get("stream_mode", ("values",)))
    after = line_of(last_event_id, str(row["run_id"]), row["last_seq"]) if last_event_id else row["last_seq"]
    return await streamed(services, row, modes, after, at(row), cancel=False)


@router.post("/{run_id}/cancel", status_code=204, responses=ABSENT, tags=["Background Runs"])
async def cancel_run(run_id: str, services: Services, wait: bool = False, action: CancelAction = "interrupt") -> None:
    """Stops a run; with `rollback` it is forgotten, and its checkpoints with it. 404 for one that has ended."""
    cancelled = await services.launches.cancel(None, run_id, action, by=services.asker)
    if wait:
        await end_of(services, cancelled)


async def _created(services: ApiServices, body: RunCreate, key: str | None) -> Begun:
    begun = await created(services, body.thread_id, body.new_run(), key)
    if body.thread_id and body.on_completion == "delete":
        await services.threads.update(body.thread_id, ThreadChange(ttl=_SOON))  # it isn't swept while a run is live
    return begun
