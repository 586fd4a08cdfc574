"""Messages as the Agent Protocol has them, beside the other values: not among them, as LangGraph keeps them."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

_ROLES: Final[Mapping[str, str]] = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_SAID_ELSEWHERE: Final = ("type", "content", "id", "additional_kwargs", "response_metadata")


class Block(BaseModel):
    """A part of a message: a text, or what its `type` says."""

    model_config = ConfigDict(extra="allow")

    type: str


class Message(BaseModel):
    """What else it has (tool_calls, name, ...) goes with it."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[Block]


def split(values: Any) -> dict[str, Any]:
    """`values`, and `messages` where the state has any. A state that is no object is under `__root__`, as LangGraph
    calls it."""
    if values is None:
        return {"values": {}}
    if not isinstance(values, dict):
        return {"values": {"__root__": values}}
    messages = values.get("messages")
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        return {"values": values}
    rest = {name: value for name, value in values.items() if name != "messages"}
    return {"values": rest, "messages": [_message(each) for each in messages]}


def joined(values: Any, messages: list[Message] | None) -> Any:
    """The other way round: one input, or one update of a state."""
    if messages is None:
        return values
    return {**(values or {}), "messages": [message.model_dump(exclude_none=True) for message in messages]}


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type") or value.get("role"), str) and "content" in value


def _message(message: dict[str, Any]) -> dict[str, Any]:
    role = message.get("type") or message["role"]
    own = dict(message.get("additional_kwargs") or {})
    rest = {name: value for name, value in message.items() if name not in _SAID_ELSEWHERE and value}
    metadata = own.pop("metadata", None) or message.get("response_metadata")
    named = {"id": message.get("id"), "metadata": metadata if isinstance(metadata, dict) else None}
    said = {name: value for name, value in named.items() if value}
    return {**own, **rest, **said, "role": _ROLES.get(role, role), "content": _content(message["content"])}


def _content(content: Any) -> Any:
    if isinstance(content, list):
        return [_block(each) for each in content]
    return content if isinstance(content, str) else str(content or "")


def _block(block: Any) -> dict[str, Any]:
    if isinstance(block, dict) and isinstance(block.get("type"), str):
        return block
    return {"type": "text", "text": block if isinstance(block, str) else str(block)}
