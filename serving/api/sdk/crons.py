"""Crons as the LangGraph SDK calls them: runs on a schedule, which the workers make."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response

from serving.api.runs import Services
from serving.api.sdk.answer import answer
from serving.api.sdk.creation import IdempotencyKey
from serving.api.sdk.schemas import Cron, CronPart
from serving.auth.user import shown as shown_config
from serving.auth.user import with_configurable
from serving.crons.cron import CronChange, NewCron, shown
from serving.crons.search import CronFilter, CronSearch, count, search
from serving.hosting.config import AGENT
from serving.runs.requests.asking import asked_of
from serving.runs.requests.launch import NewRun
from serving.services import ApiServices

router = APIRouter(tags=["crons"])


@router.post("/threads/{thread_id}/runs/crons", response_model=Cron)
async def create_thread_cron(
    thread_id: str, body: NewCron, services: Services, idempotency_key: IdempotencyKey = None
) -> Response:
    """Makes a run on the thread whenever the schedule says so."""
    return await _created(services, thread_id, body, idempotency_key)


@router.post("/runs/crons", response_model=Cron)
async def create_cron(body: NewCron, services: Services, idempotency_key: IdempotencyKey = None) -> Response:
    """Makes a run whenever the schedule says so, each on a thread of its own, which goes with it unless
    `on_run_completed` is keep."""
    return await _created(services, None, body, idempotency_key)


@router.post("/runs/crons/search", response_model=list[CronPart])
async def search_crons(body: CronSearch, services: Services) -> Response:
    """A page; `X-Pagination-Next` is the offset of the next one."""
    found = await search(services.crons, services.assistants, body, agents=services.sees_the_agent)
    return answer([await _told(services, cron) for cron in found.rows], found.headers)


@router.post("/runs/crons/count", response_model=int)
async def count_crons(body: CronFilter, services: Services) -> Response:
    found = await count(services.crons, services.assistants, body, agents=services.sees_the_agent)
    return answer(found)


@router.get("/runs/crons/{cron_id}", response_model=Cron)
async def get_cron(cron_id: str, services: Services) -> Response:
    return answer(await _told(services, shown(await services.crons.get(cron_id))))


@router.patch("/runs/crons/{cron_id}", response_model=Cron)
async def update_cron(cron_id: str, body: CronChange, services: Services) -> Response:
    """From its next run on."""
    cron, given = shown(await services.crons.get(cron_id)), body.payload()
    checked = await _checked(services, cron["thread_id"], {**cron["payload"], **given})
    changed = {name: checked[name] for name in (*given, *(("config",) if services.user else ()))}
    return answer(await _told(services, shown(await services.crons.update(cron_id, body, changed))))


@router.delete("/runs/crons/{cron_id}", status_code=204)
async def delete_cron(cron_id: str, services: Services) -> None:
    """The runs that it has made stay."""
    await services.crons.delete(cron_id)


async def _created(services: ApiServices, thread: str | None, new: NewCron, key: str | None) -> Response:
    async with services.idempotency.once("cron", key, new, thread or "") as claim:
        payload = await _checked(services, thread, new.payload())
        cron = await services.crons.create(new, thread, payload, claim.id if claim else None)
    return answer(await _told(services, shown(cron)))


async def _checked(services: ApiServices, thread: str | None, payload: dict[str, Any]) -> dict[str, Any]:
    """As it may be stored. What would refuse a run now refuses the cron."""
    assistant = await services.assistants.get(payload["assistant_id"])
    payload = {**payload, "assistant_id": assistant.assistant_id}
    if assistant.graph_id == AGENT:
        payload["input"] = await asyncio.to_thread(services.redactor.redact_json, payload.get("input"))
    if services.user:
        payload["config"] = with_configurable(payload.get("config"), services.user.lasting.configurable)
    new = NewRun.model_validate(payload)
    services.check_webhook(new.webhook)
    await asked_of(services, thread, new, assistant)
    return payload


async def _told(services: ApiServices, cron: Mapping[str, Any]) -> dict[str, Any]:
    """For a caller: what the agent is asked is kept redacted, what other graphs are given is as it came."""
    told = {name: value for name, value in cron.items() if name != "graph"}
    if config := told.get("payload", {}).get("config"):
        told["payload"] = {**told["payload"], "config": shown_config(config)}
    if cron["graph"] == AGENT and "payload" in told:
        told["payload"] = await services.restore(told["payload"])
    return told
