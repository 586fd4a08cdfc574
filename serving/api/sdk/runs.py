"""Runs of graphs as the LangGraph SDK calls them: create, list, look, cancel, delete."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, model_validator

from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import LOCATION, Batch, IdempotencyKey, created, created_batch, notices, place
from serving.api.sdk.listed import LISTED
from serving.api.sdk.schemas import Run, RunPart
from serving.runs.launches import CancelAction
from serving.runs.requests.launch import NewRun
from serving.runs.shown import shown_run
from serving.runs.view import is_settled
from serving.services import ApiServices

router = APIRouter(tags=["graph runs"])
Status = Literal["pending", "running", "success", "error", "timeout", "interrupted"]
RunField = Literal[
    "run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status", "metadata", "kwargs",
    "multitask_strategy",
]  # fmt: skip
Select = Annotated[list[RunField], LISTED, Query(description="fields to answer with; without it, all")]


class CancelMany(BaseModel):
    """Those of a thread, of a list, or of a status; named by more than one, those that all of them name."""

    thread_id: str | None = None
    run_ids: list[str] | None = Field(default=None, max_length=10_000)
    status: Literal["pending", "running", "all"] | None = None

    @model_validator(mode="after")
    def _names_some(self) -> "CancelMany":
        if self.thread_id is None and self.run_ids is None and self.status is None:
            raise ValueError("name a thread_id, run_ids or a status; the status all is every run's")
        return self


@router.post("/threads/{thread_id}/runs", response_model=Run)
async def create_thread_run(
    thread_id: str, body: NewRun, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queues a run on a thread. What else runs there says `multitask_strategy`."""
    row = (await created(services, thread_id, body, idempotency_key)).row
    return answer(shown_run(row), {LOCATION: place(row, stateless=False), **notices(body)})


@router.post("/runs/batch", response_model=list[Run])
async def create_runs(body: Batch, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """Queues several runs, each on a thread of its own; none where one of them can't be used."""
    rows = await created_batch(services, body, idempotency_key)
    return answer([shown_run(row) for row in rows], notices(*body.root))


@router.get("/threads/{thread_id}/runs", response_model=list[RunPart])
async def list_thread_runs(
    thread_id: str,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 10,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    status: Status | None = None,
    select: Select = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Newest first."""
    rows = await services.launches.of_thread(thread_id, status, limit, offset)
    if not rows:
        await services.threads.get(thread_id)
    return answer([_selected(shown_run(row), select) for row in rows])


@router.get("/threads/{thread_id}/runs/{run_id}", response_model=Run)
async def get_thread_run(thread_id: str, run_id: str, services: Services) -> Response:
    return answer(shown_run(await services.launches.get(thread_id, run_id)))


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204)
async def delete_thread_run(thread_id: str, run_id: str, services: Services) -> None:
    """With its log and checkpoints; one that is under way ends with it."""
    await services.launches.delete(thread_id, run_id)


@router.post("/threads/{thread_id}/runs/{run_id}/cancel", responses={202: {"description": "Asked to stop"}})
async def cancel_thread_run(
    thread_id: str, run_id: str, services: Services, wait: bool = False, action: CancelAction = "interrupt"
) -> Response:
    """Stops a run; with `rollback` it is forgotten, and its checkpoints with it."""
    cancelled = await services.launches.cancel(thread_id, run_id, action, by=services.asker)
    if not wait:
        return Response(status_code=202)
    await end_of(services, cancelled)
    return answer({})


@router.post("/runs/cancel", status_code=204)
async def cancel_runs(body: CancelMany, services: Services, action: CancelAction = "interrupt") -> None:
    by = services.asker
    await services.launches.cancel_many(body.thread_id, body.run_ids, body.status, action, by)


async def end_of(services: ApiServices, run_id: str) -> None:
    while await services.tails.over(run_id, is_settled) is None:
        pass


def _selected(run: dict[str, Any], select: list[RunField]) -> dict[str, Any]:
    return {name: run[name] for name in select} if select else run
