"""The shapes of a chat completion: whole, and as chunks of a stream."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from graph.form import Form
from serving.api.openai.telling import Declined, Part, Thought
from serving.runs.view import UsageView

_DONE = b"data: [DONE]\n\n"


def usage_of(usage: UsageView) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


class Completion:
    """Of one run. `reasoning_content` is what the agent did on its way, as DeepSeek's API and Open WebUI name it.

    What `[n]` in an answer stands for is an annotation; its address is the run's (`address`), where the words are. Of
    an answer in a `form` the places that it rests on are the completion's `sources`, for none are cited in it.
    """

    def __init__(self, run_id: str, model: str, created: int, form: Form | None = None, address: str = "") -> None:
        self._head = {"id": f"chatcmpl-{run_id}", "created": created, "model": model}
        self._form, self._call_id, self._address = form, f"call_{run_id.replace('-', '')}", address
        self._text = {"content": "", "reasoning_content": "", "refusal": "", "arguments": ""}

    def add(self, part: Part) -> None:
        self._text[self._place(part)] += part.text

    def whole(self, usage: UsageView, sources: Sequence[Any] = ()) -> dict[str, Any]:
        text = self._text
        content = None if text["refusal"] or text["arguments"] else text["content"]
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": text["refusal"] or None}
        message["annotations"] = self._cited(sources)
        if text["reasoning_content"]:
            message["reasoning_content"] = text["reasoning_content"]
        if text["arguments"]:
            message["tool_calls"] = [self._call(text["arguments"])]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        whole = {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage_of(usage)}
        return whole | self._resting_on(sources)

    def first(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, part: Part) -> bytes:
        place = self._place(part)
        begun = bool(self._text[place])
        self.add(part)
        if place != "arguments":
            return self._chunk({place: part.text})
        call = {"function": {"arguments": part.text}} if begun else self._call(part.text)
        return self._chunk({"tool_calls": [{"index": 0, **call}]})

    def last(self, usage: UsageView | None, sources: Sequence[Any] = ()) -> Iterator[bytes]:
        """`usage` goes into a chunk of its own that has no choices."""
        notes = self._cited(sources)
        yield self._chunk({"annotations": notes} if notes else {}, self._finish, self._resting_on(sources))
        if usage:
            yield self.frame({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage_of(usage)})
        yield _DONE

    def frame(self, value: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(value) + b"\n\n"

    def _chunk(
        self, delta: dict[str, Any], finish: str | None = None, more: Mapping[str, Any] = MappingProxyType({})
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self.frame({**self._head, "object": "chat.completion.chunk", "choices": [choice], **more})

    def _place(self, part: Part) -> str:
        """Of the message, or of the tool call that is the answer."""
        if isinstance(part, Thought):
            return "reasoning_content"
        if isinstance(part, Declined):
            return "refusal"
        return "arguments" if self._form and self._form.called else "content"

    @property
    def _finish(self) -> str:
        return "tool_calls" if self._text["arguments"] else "stop"

    def _call(self, arguments: str) -> dict[str, Any]:
        assert self._form is not None, "a tool must be called"
        function = {"name": self._form.name, "arguments": arguments}
        return {"id": self._call_id, "type": "function", "function": function}

    def _cited(self, sources: Sequence[Any]) -> list[dict[str, Any]]:
        return [] if self._form else [note for source in sources if (note := self._note(source))]

    def _note(self, source: Mapping[str, Any]) -> dict[str, Any] | None:
        """Where the text cites it first; None where it doesn't."""
        mark, url = f"[{source['number']}]", f"{self._address}#{quote(source['ref'])}"
        start = self._text["content"].find(mark)
        if start < 0:
            return None
        where = {"start_index": start, "end_index": start + len(mark), "title": source["path"], "url": url}
        return {"type": "url_citation", "url_citation": where}

    def _resting_on(self, sources: Sequence[Any]) -> dict[str, Any]:
        return {"sources": sources} if self._form and sources else {}
