"""Planner, worker and critic as a graph that chats: messages in, a goal in the queue. What comes in is redacted."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from serving.errors import Unprocessable
from serving.runs.launch import Launch
from serving.runs.launches import Asked
from serving.runs.request import RunRequest
from serving.services import ApiServices

_OPTIONS = ("collection", "channel", "review_plan", "model", "bounds", "priority")


async def for_the_agent(services: ApiServices, asked: Asked) -> Asked:
    """With the run's request; of its input nothing else is kept. Raises Unprocessable, BadRequest, TooLarge."""
    request = request_of(asked.launch)
    redacted = request.model_copy(update={"goal": str(await services.redact(request.goal))})
    return replace(
        asked,
        launch=asked.launch.model_copy(update={"input": None, "command": None}),
        request=redacted.model_dump_json(),
        goal=redacted.goal,
    )


def request_of(launch: Launch) -> RunRequest:
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
