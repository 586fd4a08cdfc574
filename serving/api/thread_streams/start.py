"""`run.start`: a run whose every channel is told, on a thread that is made where it isn't there."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from serving.api.sdk.creation import created
from serving.api.thread_streams.errors import Refused
from serving.api.thread_streams.waiting import waits
from serving.runs.requests.launch import Launch, NewRun, RunCommand
from serving.services import ApiServices

_TAKEN: Final = frozenset(NewRun.model_fields) - {"if_not_exists", "stream_mode", "stream_subgraphs", "after_seconds"}
# What a reader of the run alone, without the thread around it, is told unless it asks for something else.
_MODES: Final = ("values", "updates", "custom")


class ProtocolRun(NewRun):
    """`answers`: its input is the answer that the thread waits for. Not what was asked, and so not of its key."""

    answers: bool = Field(default=False, exclude=True)

    def launch(self, config: Mapping[str, Any], context: Mapping[str, Any], *, temporary: bool) -> Launch:
        asked = super().launch(config, context, temporary=temporary)
        told = {"all_channels": True, "stream_mode": _MODES, "subgraphs": True}
        answer = {"input": None, "command": RunCommand(resume=self.input)} if self.answers else {}
        return asked.model_copy(update=told | answer)


async def started(
    services: ApiServices, thread_id: str, params: Mapping[str, Any], key: str | None = None
) -> dict[str, Any]:
    """Raises Refused, ValidationError and what `created` does."""
    if not isinstance(params.get("assistant_id"), str) or not params["assistant_id"]:
        raise Refused("invalid_argument", "run.start needs an `assistant_id`: an assistant's id, or a graph's")
    answers = _says(params) and await waits(services, thread_id)
    return {"run_id": await start(services, thread_id, params, key, answers=answers)}


def _says(params: Mapping[str, Any]) -> bool:
    """An input alone: of a thread that waits for an answer it is one, for `RemoteGraph` has no other word for it."""
    config = params.get("config")
    configurable = config.get("configurable") if isinstance(config, dict) else None
    place = configurable.get("checkpoint_id") if isinstance(configurable, dict) else None
    said = (params.get(name) for name in ("command", "checkpoint", "checkpoint_id"))
    return params.get("input") is not None and not any((place, *said))


async def start(
    services: ApiServices, thread_id: str, asked: Mapping[str, Any], key: str | None = None, *, answers: bool = False
) -> str:
    """The id of the run, which is a new one unless it answers what the agent's run waits for, or `key` made one."""
    given = {name: value for name, value in asked.items() if name in _TAKEN}
    new = ProtocolRun.model_validate({**given, "if_not_exists": "create", "answers": answers})
    return str((await created(services, thread_id, new, key)).row["run_id"])
