"""From what a client of LangGraph's asks to a row in the queue."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Header

from serving.api.sdk.agent import for_the_agent, resumed
from serving.assistants.assistant import Assistant
from serving.database import Row, new_id
from serving.hosting.config import AGENT
from serving.runs.launch import NewRun
from serving.runs.launches import Asked, request_json
from serving.runs.limits import uuid_of
from serving.services import ApiServices
from serving.webhooks.address import check_url

LOCATION: Final = "Content-Location"


IdempotencyKey = Annotated[str | None, Header(alias="idempotency-key")]


@dataclass(frozen=True, slots=True)
class Begun:
    """A run, and behind which line of its log what was asked for begins: one that is resumed has told more before."""

    row: Row
    behind: int = 0


async def created(services: ApiServices, thread: str | None, new: NewRun, key: str | None = None) -> Begun:
    """Without a thread, the run gets one of its own, which goes with it unless `on_completion` is keep. What resumes
    the agent is an answer to its run that waits, which goes on: it is that run. `key`: the Idempotency-Key, which makes
    one run however often it is sent.

    Raises Unprocessable, BadRequest, NotFound (assistant, thread), Conflict (thread_busy, no_decision_pending,
    idempotency_mismatch).
    """
    if new.webhook is not None:
        check_url(new.webhook)
    assistant = await services.assistants.get(new.assistant_id)
    if assistant.graph_id == AGENT and thread and new.command and new.command.resume is not None:
        before = await resumed(services, thread, new.command.resume)
        return Begun(await services.launches.get(thread, str(before["run_id"])), before["last_seq"])
    async with services.idempotency.once("run", key, new, thread or "") as claim:
        asked = await _asked(services, thread, new, assistant)
        if claim:
            return Begun(await services.launches.create_once(asked, claim.id))
        return Begun(await services.launches.create(asked))


async def _asked(services: ApiServices, thread: str | None, new: NewRun, assistant: Assistant) -> Asked:
    named = {"graph_id": assistant.graph_id, "assistant_id": assistant.assistant_id}
    asked = Asked(
        graph=assistant.graph_id,
        assistant_id=assistant.assistant_id,
        thread_id=new_id() if thread is None else uuid_of(thread, "thread"),
        make_thread=thread is None or new.if_not_exists == "create",
        metadata={**assistant.metadata, **(new.metadata or {}), **named},
        launch=new.launch(assistant.config, assistant.context, temporary=thread is None),
        request=request_json(),
        after_seconds=new.after_seconds,
    )
    if assistant.graph_id == AGENT:
        asked = await for_the_agent(services, asked)
    return asked


def place(row: Row, stateless: bool) -> str:
    """Where the SDK finds the run again."""
    return f"/runs/{row['run_id']}" if stateless else f"/threads/{row['thread_id']}/runs/{row['run_id']}"
