"""A ModelCall as the body of a chat completion. Nothing but `Redacted` text goes in."""

import json
from collections.abc import Sequence
from typing import Any

from graph.errors import TriremeError
from graph.form import Form
from graph.ports import Message, ModelCall, ToolCall, Wanted
from privacy.redact import Redacted
from serving.models.routes import Deployment
from serving.models.structured import name_of, schema_of


class GatewayRefused(TriremeError, TypeError):
    """Text that privacy.redact has not seen: the call does not go out. A fault of our own code, never of the input."""

    code = "not_redacted"


def chat_body(call: ModelCall, deployments: Sequence[Deployment]) -> dict[str, Any]:
    """What every deployment that the call can end at understands. Raises GatewayRefused.

    Tools go out with every role, by name, so that the prompt's prefix is the same for all; `tool_choice` says whether
    this role may call one.
    """
    body: dict[str, Any] = {"messages": wire_messages(call.messages), "max_tokens": call.max_tokens}
    if call.tools:
        body["tools"] = [
            {"type": "function", "function": tool.model_dump()} for tool in sorted(call.tools, key=lambda t: t.name)
        ]
        body["tool_choice"] = "auto" if call.allow_tools else "none"
    if call.reply and all(deployment.native_schema for deployment in deployments):
        body["response_format"] = response_format(call.reply)
    return body


def response_format(reply: Wanted) -> dict[str, Any]:
    """`strict` only where a caller's schema says so: that dialect knows no open maps and no bounds, and we validate the
    reply ourselves."""
    strict = isinstance(reply, Form) and reply.strict
    schema = {"name": name_of(reply), "schema": schema_of(reply), "strict": strict}
    return {"type": "json_schema", "json_schema": schema}


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_message(index, message) for index, message in enumerate(messages)]


def _message(index: int, message: Message) -> dict[str, Any]:
    if not isinstance(message.content, Redacted):
        raise GatewayRefused(
            f"message {index} ({message.role}) is {type(message.content).__name__}, not Redacted: nothing was sent; "
            "pass it through privacy.redact first"
        )
    wire: dict[str, Any] = {"role": message.role, "content": str(message.content)}
    if message.tool_calls:
        wire["tool_calls"] = [_tool_call(call) for call in message.tool_calls]
        # Claude refuses an empty text block beside a tool call; LiteLLM would put a sentence of its own there.
        wire["content"] = wire["content"] or None
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _tool_call(call: ToolCall) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False, sort_keys=True)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
