"""From what a client of LangGraph's asks to a row in the queue."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Header
from pydantic import Field, RootModel

from serving.api.sdk.agent import GIVE_UP, Begun, resumed
from serving.assistants.assistant import Assistant
from serving.database import Row
from serving.errors import Unprocessable
from serving.hosting.config import AGENT
from serving.runs.launches import Asked
from serving.runs.requests.anew import Turn, turn_at
from serving.runs.requests.asking import asked_of
from serving.runs.requests.launch import NewRun, RunCommand
from serving.runs.requests.limits import uuid_of
from serving.services import ApiServices

LOCATION: Final = "Content-Location"
_NO_FEEDBACK: Final = (
    '299 trireme "feedback_keys are kept with the run; no feedback event comes, for its links are LangSmith\'s alone"'
)


IdempotencyKey = Annotated[str | None, Header(alias="idempotency-key")]


class Batch(RootModel[Annotated[list[NewRun], Field(max_length=1_000)]]):
    """Runs, each on a thread of its own."""


async def created(
    services: ApiServices,
    thread: str | None,
    new: NewRun,
    key: str | None = None,
    kept: Mapping[str, Any] | None = None,
) -> Begun:
    """Without a thread, the run gets one of its own, which goes with it unless `on_completion` is keep. What resumes
    the agent is an answer to its run that waits, which goes on or ends: it is that run. `key`: the Idempotency-Key,
    which makes one run however often it is sent. `kept`: what a client of another vocabulary said beside it.

    Raises Unprocessable, BadRequest, NotFound (assistant, thread), Conflict (thread_busy, no_decision_pending,
    idempotency_mismatch).
    """
    assistant = await _assistant(services, new)
    if assistant.graph_id == AGENT and thread and new.command and _answers(new.command):
        return await resumed(services, thread, new, new.command, key)
    async with services.idempotency.once("run", key, new, thread or "") as claim:
        asked = replace(await _asked(services, thread, new, assistant), kept=kept, held=services.held)
        if claim:
            return Begun(await services.launches.create_once(asked, claim.id))
        return Begun(await services.launches.create(asked))


async def _asked(services: ApiServices, thread: str | None, new: NewRun, assistant: Assistant) -> Asked:
    new = services.configured(new)
    turn = await _turn(services, thread, new) if assistant.graph_id == AGENT else None
    if assistant.graph_id != AGENT:
        await _check_place(services, thread, new)
    return await asked_of(services, thread, new, assistant, turn)


async def _check_place(services: ApiServices, thread: str | None, new: NewRun) -> None:
    """Where nothing is, a graph would begin from nothing, and say nothing of it. Raises NotFound, Unprocessable."""
    at, answers = new.place, new.command is not None and new.command.resume is not None
    if thread is None and (at.checkpoint_id or answers):
        what = "an answer" if answers else "a checkpoint"
        raise Unprocessable(f"{what} without its thread", "send the run to the thread that it is of")
    if thread and at.checkpoint_id:
        await services.states.saved.check_has(uuid_of(thread, "thread"), at.checkpoint_ns or "", at.checkpoint_id)


async def _turn(services: ApiServices, thread: str | None, new: NewRun) -> Turn | None:
    """Of planner, worker and critic's, which begin with a goal: where a checkpoint says that it is."""
    if (checkpoint_id := new.place.checkpoint_id) is None:
        return None
    if thread is None:
        raise Unprocessable("a checkpoint without its thread", "send the run to the thread that it is of")
    return await turn_at(services.pool, services.runs.tenant, uuid_of(thread, "thread"), checkpoint_id)


def _answers(command: RunCommand) -> bool:
    return command.resume is not None or command.goto == GIVE_UP


async def created_batch(services: ApiServices, batch: Batch, key: str | None) -> list[Row]:
    """Nothing is made where one of them can't be used. `key` makes all of them once. Raises as `created` does."""
    async with services.idempotency.once("batch", key, batch) as claim:
        asked = [await _asked(services, None, new, await _assistant(services, new)) for new in batch.root]
        if claim is None:
            return [await services.launches.create(each) for each in asked]
        ids = zip(asked, claim.ids(len(asked)), strict=True)
        return [await services.launches.create_once(each, id_) for each, id_ in ids]


async def _assistant(services: ApiServices, new: NewRun) -> Assistant:
    services.check_webhook(new.webhook)
    assistant = await services.assistants.get(new.assistant_id)
    services.graphs.entry(assistant.graph_id)  # it may be hosted no more
    return assistant


def notices(*asked: NewRun) -> dict[str, str]:
    """Headers: what was asked for and is kept, but changes nothing here."""
    return {"Warning": _NO_FEEDBACK} if any(new.feedback_keys for new in asked) else {}


def place(row: Row, stateless: bool) -> str:
    """Where the SDK finds the run again."""
    return f"/runs/{row['run_id']}" if stateless else f"/threads/{row['thread_id']}/runs/{row['run_id']}"
