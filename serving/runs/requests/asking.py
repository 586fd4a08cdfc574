"""From what a client of LangGraph's asks to a run that can be created: of a request, or of a cron that is due."""

import asyncio
import re
from dataclasses import replace
from typing import Any, Final, Protocol

from pydantic import ValidationError

from privacy.redact import Redactor
from serving.assistants.assistant import Assistant
from serving.database import new_id
from serving.errors import Unprocessable
from serving.hosting.config import AGENT
from serving.profiles.store import ProfileStore
from serving.runs.launches import Asked
from serving.runs.requests.anew import Turn
from serving.runs.requests.launch import Checkpoint, Launch, NewRun
from serving.runs.requests.limits import uuid_of
from serving.runs.requests.request import RunRequest, redacted

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OPTIONS: Final = ("collection", "channel", "review_plan", "model", "bounds", "priority")


class Settling(Protocol):
    """What the agent's runs need; one tenant's."""

    @property
    def profiles(self) -> ProfileStore: ...
    @property
    def redactor(self) -> Redactor: ...


async def asked_of(
    settling: Settling, thread: str | None, new: NewRun, assistant: Assistant, turn: Turn | None = None
) -> Asked:
    """Without a thread, the run gets one of its own. `turn`: where on it a run of the agent begins, if not at its end.

    Raises Unprocessable, BadRequest, TooLarge.
    """
    named = {"graph_id": assistant.graph_id, "assistant_id": assistant.assistant_id}
    asked = Asked(
        graph=assistant.graph_id,
        assistant_id=assistant.assistant_id,
        thread_id=new_id() if thread is None else uuid_of(thread, "thread"),
        make_thread=thread is None or new.if_not_exists == "create",
        thread_metadata=new.metadata or {},
        metadata={**assistant.metadata, **(new.metadata or {}), **named},
        launch=new.launch(assistant.config, assistant.context, temporary=thread is None),
        request='{"goal": ""}',
        after_seconds=new.after_seconds,
    )
    return await _for_the_agent(settling, asked, turn) if assistant.graph_id == AGENT else asked


async def _for_the_agent(settling: Settling, asked: Asked, turn: Turn | None) -> Asked:
    """With the run's request; of its input nothing else is kept."""
    launch = asked.launch
    if turn and launch.input is None:
        request, message_id = turn.again(), turn.message_id
    else:
        request = await asyncio.to_thread(redacted, settling.redactor, _request_of(launch))
        message_id = _message_id(launch)
    kept: dict[str, Any] = {"input": None, "command": None, "checkpoint": None, "message_id": message_id}
    if turn:
        kept |= {"checkpoint": Checkpoint(checkpoint_id=turn.checkpoint_id), "follows": turn.follows}
    return replace(
        asked,
        launch=launch.model_copy(update=kept),
        request=request.model_dump_json(),
        goal=request.goal,
        profile=(await settling.profiles.get(request.channel)).profile,
    )


def _request_of(launch: Launch) -> RunRequest:
    """`goal`, or the last message; options from the input, the context or `configurable`."""
    given = launch.input if isinstance(launch.input, dict) else {}
    said = {**launch.configurable, **(launch.context or {}), **given}
    options = {name: said[name] for name in _OPTIONS if said.get(name) is not None}
    goal = given.get("goal") or _last_message(given.get("messages"))
    try:
        return RunRequest.model_validate({"goal": goal or "", **options}).checked()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Unprocessable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", "see GET /docs") from None


def _message_id(launch: Launch) -> str | None:
    """By which a page finds the message again that it shows since it was sent. A UUID says nothing of a person."""
    messages = launch.input.get("messages") if isinstance(launch.input, dict) else None
    last = messages[-1] if isinstance(messages, list) and messages else messages
    id_ = last.get("id") if isinstance(last, dict) else None
    return id_ if isinstance(id_, str) and _UUID.fullmatch(id_) else None


def _last_message(messages: Any) -> str:
    last = messages[-1] if isinstance(messages, list) and messages else messages
    if isinstance(last, str):
        return last
    if isinstance(last, list | tuple) and len(last) == 2:  # (role, text)
        return str(last[1])
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, list):
        parts = [part if isinstance(part, str) else part.get("text", "") for part in content]
        return "\n".join(str(part) for part in parts if part)
    return content if isinstance(content, str) else ""
