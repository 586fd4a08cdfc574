"""A chat model of langchain-core that answers by rule, word by word, and calls tools, with long arguments in pieces."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable

_TOOLS = (("weather", re.compile(r"weather in (\w+)"), "city"), ("send_mail", re.compile(r"mail to (\S+)"), "to"))


class Sailor(BaseChatModel):
    """Asks for a tool when the person's words name one, else says what it heard."""

    @property
    def _llm_type(self) -> str:
        return "sailor"

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Runnable[Any, AIMessage]:
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=_reply(messages))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        yield from _chunks(_reply(messages))

    async def _astream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(_reply(messages)):
            yield chunk


def _reply(messages: list[BaseMessage]) -> AIMessage:
    last = messages[-1]
    if isinstance(last, ToolMessage):
        return AIMessage(f"Aye: {last.text}")
    for name, pattern, argument in _TOOLS:
        if found := pattern.search(last.text):
            return AIMessage("", tool_calls=[{"name": name, "args": {argument: found[1]}, "id": f"call-{found[1]}"}])
    return AIMessage(f"You said: {last.text}")


def _chunks(reply: AIMessage) -> Iterator[ChatGenerationChunk]:
    if reply.tool_calls:
        (call,) = reply.tool_calls
        named: Any = {"name": call["name"], "id": call["id"], "index": 0}
        for piece in re.findall(r".{1,30}", json.dumps(call["args"])):
            chunks: list[Any] = [{**named, "args": piece}]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=chunks))
            named = {"name": None, "id": None, "index": 0}
        return
    words = re.findall(r"\s*\S+", reply.text)
    for word in words:
        yield ChatGenerationChunk(message=AIMessageChunk(content=word))
