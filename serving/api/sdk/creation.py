"""From what a client of LangGraph's asks to a row in the queue."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Header

from serving.api.sdk.agent import GIVE_UP, resumed
from serving.database import Row
from serving.hosting.config import AGENT
from serving.runs.asking import asked_of
from serving.runs.launch import NewRun, RunCommand
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
    the agent is an answer to its run that waits, which goes on or ends: it is that run. `key`: the Idempotency-Key,
    which makes one run however often it is sent.

    Raises Unprocessable, BadRequest, NotFound (assistant, thread), Conflict (thread_busy, no_decision_pending,
    idempotency_mismatch).
    """
    if new.webhook is not None:
        check_url(new.webhook)
    assistant = await services.assistants.get(new.assistant_id)
    if assistant.graph_id == AGENT and thread and new.command and _answers(new.command):
        before = await resumed(services, thread, new.command)
        return Begun(await services.launches.get(thread, str(before["run_id"])), before["last_seq"])
    async with services.idempotency.once("run", key, new, thread or "") as claim:
        asked = await asked_of(services, thread, new, assistant)
        if claim:
            return Begun(await services.launches.create_once(asked, claim.id))
        return Begun(await services.launches.create(asked))


def _answers(command: RunCommand) -> bool:
    return command.resume is not None or command.goto == GIVE_UP


def place(row: Row, stateless: bool) -> str:
    """Where the SDK finds the run again."""
    return f"/runs/{row['run_id']}" if stateless else f"/threads/{row['thread_id']}/runs/{row['run_id']}"
