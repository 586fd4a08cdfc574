"""Hosted graphs as models: the client's messages are the graph's, and what its models say is the answer.

Without a thread of its own, each request runs on a new one with all the messages that were sent; on a thread that the
client names, with those behind the graph's last one.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from serving.api.openai.messages import ChatMessage, last_said
from serving.api.openai.parts import for_graph
from serving.api.openai.progress import cut
from serving.api.openai.questions import Question, questions_of
from serving.api.openai.telling import Part, Thought, Words
from serving.api.openai.turn import Turn
from serving.api.sdk.creation import created
from serving.hosting.config import AGENT
from serving.hosting.part_log import RESULT
from serving.runs.requests.launch import NewRun, RunCommand
from serving.runs.view import UsageView
from serving.services import ApiServices

Messages = list[dict[str, Any]]
ASKS: Final = "**The graph waits for an answer**"
_MODE = "messages-tuple"


def hosted_models(services: ApiServices) -> tuple[str, ...]:
    return tuple(id_ for id_ in services.graphs.ids if id_ != AGENT)


def messages_of(sent: Sequence[ChatMessage], thread: str | None) -> Messages:
    """What a graph is given of a conversation. Raises BadRequest where no person said anything."""
    last_said(sent)
    given = [{"role": each.role, "content": for_graph(each.content)} for each in sent]
    if thread is None:
        return given
    answered = [at for at, each in enumerate(sent) if each.role == "assistant"]
    return (given[answered[-1] + 1 :] if answered else []) or given[-1:]


async def launch(
    services: ApiServices,
    graph: str,
    given: Messages | RunCommand,
    thread: str | None,
    metadata: Any,
    base: str,
    key: str | None,
    *,
    checkpoint_id: str | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Turn:
    """`given`: messages, or an answer to what the thread asks. `asked`: what is kept with the run.

    Raises Unprocessable, NotFound, Conflict, as the SDK's routes do.
    """
    new = NewRun(
        assistant_id=graph,
        input=None if isinstance(given, RunCommand) else {"messages": given},
        command=given if isinstance(given, RunCommand) else None,
        strict_resume=isinstance(given, RunCommand),
        stream_mode=(_MODE,),
        metadata=metadata,
        if_not_exists="create",
        on_completion="keep",
        checkpoint_id=checkpoint_id,
    )
    row = (await created(services, thread, new, key, asked)).row
    return Turn(await services.runs.get(str(row["run_id"])), 0, base, HostedTelling)


class HostedTelling:
    """Fed with the lines of a hosted graph's run, as `Telling` is with the agent's."""

    def __init__(self, _: Any = None) -> None:
        self._told = False
        self.usage = UsageView()
        self.citations: list[dict[str, Any]] = []
        self.failure: tuple[str, str] = ("", "")
        self.asks: list[Any] = []
        self.questions: tuple[Question, ...] = ()

    def line(self, kind: str, body: dict[str, Any]) -> Iterator[Part]:
        if kind == "run_finished":
            self.failure = (body["code"], body["message"])
        elif kind == "stream_part" and body["event"] == "messages":
            yield from self._message(body["data"][0])
        elif kind == "stream_part" and body["event"] == RESULT:
            yield from self._result(body["data"])

    def waiting(self, address: str) -> str:
        """What the graph asks, as it put it."""
        if not self.asks:
            return ""
        asked = orjson.dumps(self.asks, option=orjson.OPT_INDENT_2).decode()
        how = "Reply `approve`, or `reject` and why" if self.questions else "Reply with the answer"
        if not self.questions and len(self.asks) > 1:
            how = "Answer each"
        how += ". Else: `runs.create(thread, graph, command={'resume': ...})` of the LangGraph SDK"
        return f"{ASKS}\n\n```json\n{asked}\n```\n\n{how}. The run: {address}"

    def _message(self, message: dict[str, Any]) -> Iterator[Part]:
        kind, text = message.get("type"), _text_of(message.get("content"))
        if kind in ("ai", "AIMessageChunk"):
            self._count(message.get("usage_metadata") or {})
            for call in message.get("tool_calls") or []:
                if call.get("name"):
                    yield Thought(f"{call['name']}: {cut(orjson.dumps(call.get('args')).decode())}\n")
            if text:
                self._told = True
                yield Words(text)
        elif kind == "tool" and text:
            yield Thought(f"{message.get('name') or 'tool'}: {cut(text)}\n")

    def _result(self, values: Any) -> Iterator[Part]:
        """A graph whose answer was written by no model still has it as its last message."""
        values = values if isinstance(values, dict) else {}
        interrupts = values.get("__interrupt__") or []
        self.asks = [each.get("value") for each in interrupts]
        self.questions = tuple(question for each in interrupts for question in questions_of(each))
        messages = values.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        if not self._told and isinstance(last, dict) and last.get("type") == "ai":
            yield Words(_text_of(last.get("content")))

    def _count(self, usage: dict[str, Any]) -> None:
        self.usage.input_tokens += usage.get("input_tokens", 0)
        self.usage.output_tokens += usage.get("output_tokens", 0)
        self.usage.cached_tokens += (usage.get("input_token_details") or {}).get("cache_read", 0)


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in parts)
