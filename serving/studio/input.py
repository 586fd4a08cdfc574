"""What a person gives and gets in Studio, and how it becomes a goal that the graph may see."""

import asyncio
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Final, cast

from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.graph.message import add_messages
from pydantic import ValidationError
from typing_extensions import TypedDict

from graph.channels import RunState
from privacy.redact import strings
from serving.errors import BadRequest
from serving.runs.requests.request import RunRequest

_TAKEN_BY: Final = "run_id"


class RunInput(TypedDict, total=False):
    """A goal, or a chat whose last message is the goal. `collection` names documents that `trireme run --docs` sent."""

    goal: str
    messages: Annotated[list[AnyMessage], add_messages]
    collection: str
    review_plan: bool
    channel: str


class RunOutput(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    answer: dict[str, Any] | None


def check_request(state: RunState) -> None:
    """Raises BadRequest for an empty or too long goal, or an option that is none."""
    options = {name: value for name in ("collection", "review_plan", "channel") if (value := state.get(name))}
    try:
        RunRequest.model_validate({"goal": _goal(state), **options}).checked()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRequest(f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None


async def redacted_start(state: RunState, run_id: str, redact: Callable[[str], str]) -> RunState:
    """The state with which a run starts. A chat client may send a whole conversation: all of it is redacted."""
    messages = list(state.get("messages") or [])
    if not _new_message(state):
        messages.append(HumanMessage(_goal(state), id=f"goal-{run_id}"))
    for at, message in enumerate(messages):
        text = await asyncio.to_thread(redact, str(message.text))
        taken = {_TAKEN_BY: run_id, **message.additional_kwargs}
        messages[at] = message.model_copy(update={"content": text, "additional_kwargs": taken})
    # What the thread's last run left is forgotten here, so that Studio doesn't show it as this run's.
    start: Any = {"plan": None, "outcomes": None, "verdict": None, "answer": None}
    start |= {"goal": messages[-1].content, "run_id": run_id, "messages": messages}
    return cast(RunState, start)


def refuse_clear_text(state: Mapping[str, Any], known: AbstractSet[str], redact: Callable[[str], str]) -> None:
    """Raises BadRequest when somebody has edited personal data into what models read. `known`: the run's texts."""
    values = [state.get(name) for name in ("goal", "plan", "step", "known", "feedback")]
    spoken = [str(message.text) for message in state.get("messages") or [] if message.type == "human"]
    for text in set(strings([*values, *spoken])) - known:
        if redact(text) != text:
            raise BadRequest("the edited state holds personal data in clear", "start a run with the text as its goal")


def _goal(state: RunState) -> str:
    return _new_message(state) or state.get("goal") or ""


def _new_message(state: RunState) -> str:
    """What the person said last in a chat, unless an earlier run has taken it for its goal."""
    messages = state.get("messages") or []
    is_new = messages and messages[-1].type == "human" and _TAKEN_BY not in messages[-1].additional_kwargs
    return str(messages[-1].text) if is_new else ""
