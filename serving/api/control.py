"""Runs under control, over HTTP: cancel, pause, resume, edit the plan, fork. Late or doubled is 409, with a code."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.api.runs import Asker, Services
from serving.runs.decisions.plan_edit import edited_plan
from serving.runs.fork import Fork, ForkPoint
from serving.runs.view import RunView

router = APIRouter(tags=["control"])


class Resume(BaseModel):
    """`bounds` take the place of those of the run that they name; what the run has used so far counts on."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"bounds": {"cost_usd": 5, "seconds": 1800}}]}
    )

    bounds: dict[str, float] = Field(default_factory=dict, max_length=20)


class EditPlan(BaseModel):
    """The whole plan as it should be. `last_seq`: the run's, when you read the plan that you edited."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "last_seq": 14,
                    "plan": {
                        "steps": [
                            {"id": "s1", "goal": "Find the price per seat", "done_when": "the price is found"},
                            {
                                "id": "s2",
                                "goal": "Compare it with last year's",
                                "depends_on": ["s1"],
                                "done_when": "both prices and their difference are stated",
                            },
                        ]
                    },
                }
            ]
        },
    )

    plan: dict[str, Any]
    last_seq: int = Field(ge=1)


@router.post("/runs/{run_id}/cancel", response_model=RunView)
async def cancel_run(run_id: str, services: Services, asker: Asker) -> Any:
    """Ends a waiting run at once; a running one within a second."""
    return await services.shown(await services.controls.cancel(run_id, by=asker))


@router.post("/runs/{run_id}/pause", response_model=RunView)
async def pause_run(run_id: str, services: Services, asker: Asker) -> Any:
    """Lets a run stand still: a pending one at once, a running one at the end of what it is doing now.

    `phase` is `pausing` until then, then `paused`. A run that waits for a decision can be cancelled, not paused.
    """
    return await services.shown(await services.controls.pause(run_id, by=asker))


@router.post("/runs/{run_id}/resume", response_model=RunView)
async def resume_run(run_id: str, services: Services, asker: Asker, body: Resume | None = None) -> Any:
    """Queues a run that is paused, failed or was cancelled; what it had done stays done."""
    bounds = body.bounds if body else {}
    return await services.shown(await services.controls.resume(run_id, asker, bounds))


@router.put("/runs/{run_id}/plan", response_model=RunView)
async def edit_plan(run_id: str, body: EditPlan, services: Services, asker: Asker) -> Any:
    """Gives a paused run another plan, with which it goes on when it is resumed.

    Steps that have begun stay as they were. 409 `plan_changed` when somebody edited it after line `last_seq`. While a
    plan waits for approval, send the edit as the decision: `POST /runs/{run_id}/approve`.
    """
    plan = edited_plan(body.plan).model_dump(mode="json")
    redacted = edited_plan(await asyncio.to_thread(services.redactor.redact_json, plan))
    return await services.shown(await services.controls.edit_plan(run_id, redacted, body.last_seq, asker))


@router.get("/runs/{run_id}/checkpoints", response_model=list[ForkPoint])
async def list_checkpoints(
    run_id: str, services: Services, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> list[ForkPoint]:
    """The newest points at which the run can be forked, oldest first."""
    return await services.forks.points(run_id, limit)


@router.post("/runs/{run_id}/fork", status_code=202, response_model=RunView)
async def fork_run(
    run_id: str,
    services: Services,
    asker: Asker,
    response: Response,
    body: Fork | None = None,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Any:
    """A new run on a new thread that goes on from an earlier point of this one, which it leaves alone.

    What the run had done by then is not done again; what comes later is the fork's own, with approvals of its own.
    """
    run, new = await services.forks.fork(run_id, body or Fork(), asker, idempotency_key)
    response.headers["Location"] = f"/runs/{run.run_id}"
    response.status_code = 202 if new else 200
    return await services.shown(run)
