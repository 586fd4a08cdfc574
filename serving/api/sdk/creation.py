"""From what a client of LangGraph's asks to a row in the queue."""

from typing import Final

from serving.api.sdk.agent import for_the_agent, resumed
from serving.database import Row, new_id
from serving.hosting.config import AGENT
from serving.runs.launch import NewRun
from serving.runs.launches import Asked, request_json
from serving.runs.limits import uuid_of
from serving.services import ApiServices

LOCATION: Final = "Content-Location"


async def created(services: ApiServices, thread: str | None, new: NewRun) -> Row:
    """Without a thread, the run gets one of its own, which goes with it unless `on_completion` is keep. What resumes
    the agent is an answer to its run that waits, which goes on: it is that run.

    Raises Unprocessable, NotFound (assistant, thread), Conflict (thread_busy, no_decision_pending).
    """
    assistant = await services.assistants.get(new.assistant_id)
    if assistant.graph_id == AGENT and thread and new.command and new.command.resume is not None:
        return await resumed(services, thread, new.command.resume)
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
    return await services.launches.create(asked)


def place(row: Row, stateless: bool) -> str:
    """Where the SDK finds the run again."""
    return f"/runs/{row['run_id']}" if stateless else f"/threads/{row['thread_id']}/runs/{row['run_id']}"
