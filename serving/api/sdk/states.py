"""The state of threads as the LangGraph SDK reads and edits it."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field, field_validator

from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.listed import LISTED
from serving.api.sdk.schemas import StatePart, StateUpdated
from serving.threads.checkpoint import CheckpointRef
from serving.threads.thread import ThreadChange

router = APIRouter(prefix="/threads", tags=["state"])
_Select = Annotated[
    list[str] | None, LISTED, Query(max_length=100, description="fields; values.KEY for one value of the state alone")
]
_Subgraphs = Annotated[bool, Query(description="with the states of subgraphs")]


def _named(value: Any) -> Any:
    """An id alone is a checkpoint, and so is a config of LangGraph's."""
    if isinstance(value, str):
        return {"checkpoint_id": value}
    return value["configurable"] if isinstance(value, dict) and "configurable" in value else value


class AtCheckpoint(BaseModel):
    checkpoint: CheckpointRef
    subgraphs: bool = False
    select: list[str] = Field(default_factory=list, max_length=100)


class StateUpdate(BaseModel):
    """`values` are merged by the graph's reducers, as if `as_node` had returned them."""

    values: dict[str, Any] | list[Any] | None = None
    as_node: str | None = Field(default=None, max_length=500)
    checkpoint: CheckpointRef | None = None
    checkpoint_id: str | None = Field(default=None, max_length=255)


class StatePatch(BaseModel):
    metadata: dict[str, Any]


class HistorySearch(BaseModel):
    limit: int = Field(default=10, ge=1, le=1_000)
    before: CheckpointRef | None = None
    metadata: dict[str, Any] | None = None
    checkpoint: CheckpointRef | None = None
    select: list[str] = Field(default_factory=list, max_length=100)

    _name = field_validator("before", "checkpoint", mode="before")(_named)


@router.get("/{thread_id}/state", response_model=StatePart)
async def get_state(
    thread_id: str, services: Services, subgraphs: _Subgraphs = False, select: _Select = None
) -> Response:
    """The latest state."""
    return _raw(await services.states.get(thread_id, CheckpointRef(), subgraphs=subgraphs, select=select or ()))


@router.post("/{thread_id}/state/checkpoint", response_model=StatePart)
async def get_state_at(thread_id: str, body: AtCheckpoint, services: Services) -> Response:
    """The state at a checkpoint, also of a subgraph."""
    return _raw(await services.states.get(thread_id, body.checkpoint, subgraphs=body.subgraphs, select=body.select))


@router.get("/{thread_id}/state/{checkpoint_id}", response_model=StatePart)
async def get_state_at_id(
    thread_id: str,
    checkpoint_id: Annotated[str, Path(max_length=255)],
    services: Services,
    subgraphs: _Subgraphs = False,
    select: _Select = None,
) -> Response:
    """The state at a checkpoint of the graph itself."""
    at = CheckpointRef(checkpoint_id=checkpoint_id)
    return _raw(await services.states.get(thread_id, at, subgraphs=subgraphs, select=select or ()))


@router.post("/{thread_id}/state", response_model=StateUpdated)
async def update_state(thread_id: str, body: StateUpdate, services: Services) -> Response:
    """Adds a checkpoint on top of the latest, or of the one that is named. 409 while a run of the thread is live."""
    at = body.checkpoint or CheckpointRef(checkpoint_id=body.checkpoint_id)
    return answer(await services.states.update(thread_id, at, body.values, body.as_node))


@router.patch("/{thread_id}/state", status_code=204)
async def patch_state(thread_id: str, body: StatePatch, services: Services) -> None:
    """Merges the thread's metadata, as the JavaScript SDK's `patchState` has it; the state stays as it is."""
    await services.threads.update(thread_id, ThreadChange(metadata=body.metadata))


@router.post("/{thread_id}/history", response_model=list[StatePart])
async def search_history(thread_id: str, body: HistorySearch, services: Services) -> Response:
    """States, newest first."""
    return await _history(thread_id, body, services)


@router.get("/{thread_id}/history", response_model=list[StatePart])
async def get_history(
    thread_id: str,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 10,
    before: Annotated[str | None, Query(max_length=255)] = None,
) -> Response:
    return await _history(
        thread_id, HistorySearch(limit=limit, before=before and CheckpointRef(checkpoint_id=before)), services
    )


async def _history(thread_id: str, wanted: HistorySearch, services: Services) -> Response:
    return _raw(
        await services.states.history(
            thread_id,
            wanted.checkpoint or CheckpointRef(),
            limit=wanted.limit,
            before=wanted.before,
            metadata=wanted.metadata,
            select=wanted.select,
        )
    )


def _raw(body: bytes) -> Response:
    return Response(body, media_type="application/json")
