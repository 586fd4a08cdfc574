"""The shapes of a chat completion: whole, and as chunks of a stream."""

from collections.abc import Iterator
from typing import Any

import orjson

from serving.api.openai.telling import Part, Thought
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
    """Of one run. `reasoning_content` is what the agent did on its way, as DeepSeek's API and Open WebUI name it."""

    def __init__(self, run_id: str, model: str, created: int) -> None:
        self._head = {"id": f"chatcmpl-{run_id}", "created": created, "model": model}
        self._text = self._reasoning = ""

    def add(self, part: Part) -> None:
        if isinstance(part, Thought):
            self._reasoning += part.text
        else:
            self._text += part.text

    def whole(self, usage: UsageView) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._text, "refusal": None, "annotations": []}
        if self._reasoning:
            message["reasoning_content"] = self._reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": usage_of(usage)}

    def first(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, part: Part) -> bytes:
        name = "reasoning_content" if isinstance(part, Thought) else "content"
        return self._chunk({name: part.text})

    def last(self, usage: UsageView | None) -> Iterator[bytes]:
        """`usage` goes into a chunk of its own that has no choices."""
        yield self._chunk({}, "stop")
        if usage:
            yield self.frame({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage_of(usage)})
        yield _DONE

    def frame(self, value: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps(value) + b"\n\n"

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self.frame({**self._head, "object": "chat.completion.chunk", "choices": [choice]})
