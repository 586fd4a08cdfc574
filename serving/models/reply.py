"""What came back from a provider, whole or as a stream, read into plain values."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from graph.errors import BadReply
from graph.ports import CallPiece, OnPiece, ToolCall
from serving.models.faults import broke_off


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class RawReply:
    """Grows with a stream. Tokens are the provider's; 0 input tokens means that it did not say."""

    text: str = ""
    calls: list[_Call] = field(default_factory=list)
    finish: str = ""
    deployment_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0

    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Raises BadReply when a call's arguments are not a JSON object."""
        return tuple(_tool_call(index, call) for index, call in enumerate(self.calls))

    def size(self) -> int:
        """Bytes that the model wrote."""
        return sum(len(part.encode("utf-8", "replace")) for part in (self.text, *(c.arguments for c in self.calls)))

    def take_usage(self, usage: Any) -> None:
        """Any chunk may carry it; the largest figure is the final one."""
        if usage is None:
            return
        details = getattr(usage, "prompt_tokens_details", None)
        self.input_tokens = max(self.input_tokens, usage.prompt_tokens or 0)
        self.output_tokens = max(self.output_tokens, usage.completion_tokens or 0)
        self.cached_tokens = max(self.cached_tokens, getattr(details, "cached_tokens", None) or 0)
        written = getattr(usage, "cache_creation_input_tokens", None) or getattr(details, "cache_creation_tokens", None)
        self.written_tokens = max(self.written_tokens, written or 0)

    def take_call(self, index: int, call: Any) -> CallPiece:
        """A whole tool call, or the next piece of one: `index` says which. Returns the piece as it is handed on."""
        while len(self.calls) <= index:
            self.calls.append(_Call())
        mine = self.calls[index]
        mine.id = mine.id or call.id or ""
        mine.name += call.function.name or ""
        more = call.function.arguments or ""
        mine.arguments += more
        return CallPiece(index, _id(index, mine), printable(mine.name), more)


class BrokenOff(Exception):
    """A stream ended before its reply did; `reply` is what had come."""

    def __init__(self, reply: RawReply) -> None:
        super().__init__()
        self.reply = reply


def whole(response: Any) -> RawReply:
    """`response` is LiteLLM's ModelResponse; typed loosely there, so `Any` here."""
    choice = response.choices[0]
    reply = RawReply(text=choice.message.content or "", finish=choice.finish_reason or "")
    for index, call in enumerate(choice.message.tool_calls or ()):
        reply.take_call(index, call)
    reply.take_usage(getattr(response, "usage", None))
    reply.deployment_id = _deployment_id(response)
    return reply


async def streamed(stream: AsyncIterable[Any], on_piece: OnPiece) -> RawReply:
    """Reads to the end, handing on each piece. Raises BrokenOff when the stream stops before its end."""
    reply, parts, chunks = RawReply(), list[str](), aiter(stream)
    try:
        while chunk := await _next(chunks, reply):
            reply.take_usage(getattr(chunk, "usage", None))
            reply.deployment_id = _deployment_id(chunk) or reply.deployment_id
            for choice in chunk.choices[:1]:
                reply.finish = choice.finish_reason or reply.finish
                for position, call in enumerate(choice.delta.tool_calls or ()):
                    await on_piece(reply.take_call(position if call.index is None else call.index, call))
                if piece := choice.delta.content:
                    parts.append(piece)
                    await on_piece(piece)
    finally:
        reply.text = "".join(parts)
    # LiteLLM writes a "stop" of its own behind a stream that broke off, but keeps it out of the provider's chunks.
    told = getattr(stream, "chunks", None)
    if told and not any(choice.finish_reason for chunk in told for choice in chunk.choices):
        raise BrokenOff(reply)
    return reply


async def _next(chunks: AsyncIterator[Any], reply: RawReply) -> Any:
    """None behind the last one."""
    try:
        return await anext(chunks, None)
    except Exception as error:
        if broke_off(error):
            raise BrokenOff(reply) from error
        raise


def _deployment_id(response: Any) -> str:
    return str((getattr(response, "_hidden_params", None) or {}).get("model_id") or "")


def _id(index: int, call: _Call) -> str:
    return call.id or f"call_{index}"


def _tool_call(index: int, call: _Call) -> ToolCall:
    try:
        arguments = json.loads(call.arguments or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        arguments = None
    if not call.name or not isinstance(arguments, dict):
        name = printable(call.name) or "(unnamed)"
        raise BadReply(f"the model called the tool {name} with arguments that are no JSON object; try again")
    return ToolCall(id=_id(index, call), name=printable(call.name), arguments=clean(arguments))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def printable(name: str) -> str:
    """A name that the model made up, fit for a log line."""
    return "".join(ch for ch in clean(name) if ch.isprintable())[:64]


def clean(value: Any) -> Any:
    """NUL and lone surrogates, which neither Postgres nor UTF-8 can hold, go; all else stays."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value
