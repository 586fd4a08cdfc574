"""Effects over HTTP: what runs changed, and a person's word on what nobody knows."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from graph.ledger import EffectDecision, EffectState, EffectVerdict
from serving.api.runs import Services
from serving.errors import NotFound
from serving.runs.decisions.effects import EffectPage, EffectView
from serving.runs.requests.limits import parse_id
from serving.runs.view import RunView

router = APIRouter(tags=["effects"])
_KEY = re.compile(r"[0-9a-f]{64}")
_State = Annotated[EffectState | None, Query(description="only effects in this state")]
_Limit = Annotated[int, Query(ge=1, le=200)]
_After = Annotated[str, Query(max_length=200, description="`next` of the page before")]


class Decide(BaseModel):
    """What a person says to which `round` of the effect, so that a word sent twice is taken once.

    `reveal`, for a retry: values behind placeholders, for this run's tools, for an hour.
    """

    model_config = ConfigDict(extra="forbid")

    decision: EffectVerdict
    round: int = Field(default=1, ge=1, le=1_000_000)
    note: str = Field(default="", max_length=2_000)
    by: str = Field(default="", max_length=200, description="who decides; whose API key it is, is told as well")
    reveal: dict[str, str] = Field(default_factory=dict, max_length=50)


@router.get("/effects", response_model=EffectPage)
async def all_effects(services: Services, state: _State = None, limit: _Limit = 50, after: _After = "") -> Any:
    """Effects of all runs, of the newest run first."""
    return await services.restore((await services.decisions.effects(None, state, limit, after)).model_dump(mode="json"))


@router.get("/runs/{run_id}/effects", response_model=EffectPage)
async def effects_of_run(
    run_id: str, services: Services, state: _State = None, limit: _Limit = 50, after: _After = ""
) -> Any:
    return await services.restore(
        (await services.decisions.effects(run_id, state, limit, after)).model_dump(mode="json")
    )


@router.post("/runs/{run_id}/effects/{key}", response_model=RunView | EffectView)
async def decide_effect(run_id: str, key: str, body: Decide, services: Services) -> Any:
    """Decides an effect that is unknown, once; the run goes on with it. Late or doubled decisions get 409.

    Of a run that was deleted the answer is the effect, as it is noted.
    """
    if not _KEY.fullmatch(key):
        raise NotFound(
            f"run {parse_id(run_id, 'run')} has no such effect", "a key is 64 hex digits", "effect_not_found"
        )
    shown = await asyncio.to_thread(services.vault.sealed, parse_id(run_id, "run"), body.reveal)
    decision = EffectDecision(
        decision=body.decision,
        round=body.round,
        note=await services.redact(body.note),
        by=services.named(await services.redact(body.by)),
    )
    decided: RunView | EffectView | None
    try:
        decided = await services.decisions.decide_effect(run_id, key, decision, shown)
    except NotFound:
        decided = await services.decisions.decide_left_effect(parse_id(run_id, "run"), key, decision)
        if decided is None:
            raise
    return await services.restore(decided.model_dump(mode="json"))
