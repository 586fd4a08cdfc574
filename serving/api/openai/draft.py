"""A response as it grows: each change is an event of its stream, in the order that OpenAI's clients expect.

The same parts give the same events with the same numbers, so a stream is taken up behind any of them.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Protocol

import orjson

from graph.form import Form
from serving.api.openai.asking import Kept
from serving.api.openai.items import APPROVAL, LABEL
from serving.api.openai.questions import Question
from serving.api.openai.telling import Declined, Part, Thought
from serving.api.openai.turn import End
from serving.runs.view import UsageView

Event = dict[str, Any]
PREFIX: Final = "resp_"
# A run that waits for a person has said so: its turn is over.
_STATUS: Final = {
    "pending": "queued",
    "running": "in_progress",
    "interrupted": "completed",
    "success": "completed",
    "cancelled": "cancelled",
}
_GROWS: Final = {"refusal": "refusal", "function_call": "arguments"}
_LAST: Final = {"completed": "response.completed", "failed": "response.failed", "cancelled": "response.incomplete"}


def id_of(run_id: str) -> str:
    return PREFIX + run_id.replace("-", "")


class Made(Protocol):
    """A run, or what is as good as one."""

    @property
    def run_id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def finished_at(self) -> datetime | None: ...


class ResponseDraft:
    """Of an answer that is a tool call the places that it rests on are the response's `sources`."""

    def __init__(self, run: Made, kept: Kept, form: Form | None = None) -> None:
        self._run, self._kept, self._form = run, kept, form
        self._hex = run.run_id.replace("-", "")
        self._output: list[dict[str, Any]] = []
        self._part: dict[str, Any] | None = None  # of the last item, while it is open
        self._sequence = 0
        self._status = "queued" if kept.background else "in_progress"
        self._error: dict[str, str] | None = None
        self._usage: UsageView | None = None
        self._sources: list[dict[str, Any]] = []

    @property
    def told(self) -> int:
        """How many events there have been."""
        return self._sequence

    def begin(self) -> Iterator[Event]:
        yield self._event("response.created", response=self.response())
        if self._status == "queued":
            yield self._event("response.queued", response=self.response())
            self._status = "in_progress"
        yield self._event("response.in_progress", response=self.response())

    def add(self, part: Part) -> Iterator[Event]:
        """What is thought after the answer has begun is no part of a response."""
        if isinstance(part, Thought):
            if not self._output:
                yield from self._open_reasoning()
            if self._output[-1]["type"] == "reasoning":
                yield self._grown("response.reasoning_summary_text.delta", part.text, summary_index=0)
            return
        called = bool(self._form and self._form.called) and not isinstance(part, Declined)
        if not self._output or self._output[-1]["type"] == "reasoning":
            yield from self._closed()
            yield from self._open_call() if called else self._open_message(declined=isinstance(part, Declined))
        if called:
            yield self._grown("response.function_call_arguments.delta", part.text)
        elif isinstance(part, Declined):
            yield self._grown("response.refusal.delta", part.text, content_index=0)
        else:
            yield self._grown("response.output_text.delta", part.text, content_index=0, logprobs=[])

    def end(self, end: End) -> Iterator[Event]:
        yield from self._closed(end.citations)
        for approval in end.approvals if self._kept.typed else ():
            yield from self._asked(approval)
        self._usage, self._sources = end.usage, end.citations if self._form else []
        self._status = _STATUS.get(end.status, "failed")
        if self._status == "failed":
            self._error = {"code": "server_error", "message": f"{end.code}: {end.message}"}
        if name := _LAST.get(self._status):
            yield self._event(name, response=self.response())

    def response(self) -> dict[str, Any]:
        finished = self._run.finished_at
        return {
            "id": PREFIX + self._hex,
            "object": "response",
            "created_at": int(self._run.created_at.timestamp()),
            "completed_at": int(finished.timestamp()) if finished and self._status == "completed" else None,
            "status": self._status,
            "error": self._error,
            "incomplete_details": None,
            "output": self._output,
            "usage": self._usage and _usage(self._usage),
            **self._kept.model_dump(exclude={"typed"}),
            "conversation": None,
            **({"sources": self._sources} if self._sources else {}),
            "parallel_tool_calls": True,
            "truncation": "disabled",
            "temperature": None,
            "top_p": None,
            "max_output_tokens": None,
            "reasoning": {"effort": None, "summary": None},
        }

    def _open_reasoning(self) -> Iterator[Event]:
        self._part = {"type": "summary_text", "text": ""}
        yield self._added({"id": f"rs_{self._hex}", "type": "reasoning", "status": "in_progress", "summary": []})
        yield self._of_item("response.reasoning_summary_part.added", summary_index=0, part=self._part)
        self._output[-1]["summary"] = [self._part]

    def _open_call(self) -> Iterator[Event]:
        assert self._form is not None, "a tool must be called"
        item = {"id": f"fc_{self._hex}", "type": "function_call", "status": "in_progress", "arguments": ""}
        self._part = {**item, "call_id": f"call_{self._hex}", "name": self._form.name}
        yield self._added(self._part)

    def _open_message(self, *, declined: bool) -> Iterator[Event]:
        item = {"id": f"msg_{self._hex}", "type": "message", "status": "in_progress", "role": "assistant"}
        self._part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        if declined:
            self._part = {"type": "refusal", "refusal": ""}
        yield self._added({**item, "content": []})
        yield self._of_item("response.content_part.added", content_index=0, part=self._part)
        self._output[-1]["content"] = [self._part]

    def _closed(self, citations: list[dict[str, Any]] | None = None) -> Iterator[Event]:
        """The item that is open, if one is."""
        if self._part is None:
            return
        part, self._part = self._part, None
        if part["type"] == "summary_text":
            yield self._of_item("response.reasoning_summary_text.done", summary_index=0, text=part["text"])
            yield self._of_item("response.reasoning_summary_part.done", summary_index=0, part=part)
        elif part["type"] == "function_call":
            said = {"name": part["name"], "arguments": part["arguments"]}
            yield self._of_item("response.function_call_arguments.done", **said)
        elif part["type"] == "refusal":
            yield self._of_item("response.refusal.done", content_index=0, refusal=part["refusal"])
            yield self._of_item("response.content_part.done", content_index=0, part=part)
        else:
            yield from self._annotated(part, citations or [])
            yield self._of_item("response.output_text.done", content_index=0, text=part["text"], logprobs=[])
            yield self._of_item("response.content_part.done", content_index=0, part=part)
        self._output[-1]["status"] = "completed"
        yield self._event("response.output_item.done", output_index=len(self._output) - 1, item=self._output[-1])

    def _annotated(self, part: dict[str, Any], citations: list[dict[str, Any]]) -> Iterator[Event]:
        """A source that is cited as `[n]` is a file citation at its first place in the text."""
        for at, source in enumerate(citations):
            where = max(part["text"].find(f"[{source['number']}]"), 0)
            note = {"type": "file_citation", "file_id": source["ref"], "filename": source["path"], "index": where}
            part["annotations"].append(note)
            name = "response.output_text.annotation.added"
            yield self._of_item(name, content_index=0, annotation_index=at, annotation=note)

    def _asked(self, approval: Question) -> Iterator[Event]:
        """A client that knows MCP answers it with an mcp_approval_response."""
        item = {
            "id": APPROVAL + approval.approval_id,
            "type": "mcp_approval_request",
            "server_label": LABEL,
            "name": approval.name,
            "arguments": orjson.dumps(approval.arguments).decode(),
        }
        yield self._added(item)
        yield self._event("response.output_item.done", output_index=len(self._output) - 1, item=item)

    def _added(self, item: dict[str, Any]) -> Event:
        self._output.append(item)
        return self._event("response.output_item.added", output_index=len(self._output) - 1, item=item)

    def _grown(self, name: str, text: str, **where: Any) -> Event:
        assert self._part is not None, "an item is open"
        self._part[_GROWS.get(self._part["type"], "text")] += text
        return self._of_item(name, delta=text, **where)

    def _of_item(self, name: str, /, **fields: Any) -> Event:
        return self._event(name, item_id=self._output[-1]["id"], output_index=len(self._output) - 1, **fields)

    def _event(self, name: str, /, **fields: Any) -> Event:
        """Refers to what still grows: write it down before the next."""
        event = {"type": name, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return event


def frame(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def _usage(usage: UsageView) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
