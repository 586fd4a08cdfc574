"""A run's log as a chat client is told it: what the agent thinks, and an answer that only ever grows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from graph.profile import Profile
from serving.api.openai.progress import thought_of
from serving.api.openai.questions import Question
from serving.runs.view import UsageView


@dataclass(frozen=True, slots=True)
class Thought:
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    text: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Words in the place of an answer that a program reads."""

    text: str


Part = Thought | Words | Declined


class Teller(Protocol):
    """What is known when all lines were told: `failure` is (code, message); `waiting` what a run asks, and `questions`
    what of that can be decided here, where the run's row doesn't say so."""

    usage: UsageView
    citations: list[dict[str, Any]]
    failure: tuple[str, str]
    questions: tuple[Question, ...]

    def line(self, kind: str, body: dict[str, Any]) -> Iterator[Part]: ...

    def waiting(self, address: str) -> str: ...


class Telling:
    """Fed with lines in order; the same lines give the same parts, wherever a reader was cut off."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._told = self._written = ""
        self.usage = UsageView()
        self.citations: list[dict[str, Any]] = []
        self.failure: tuple[str, str] = ("", "")
        self.questions: tuple[Question, ...] = ()

    def line(self, kind: str, body: dict[str, Any]) -> Iterator[Part]:
        if thought := thought_of(kind, body, self._profile.progress):
            yield Thought(thought)
        match kind:
            case "answer_delta":
                self._written = body["text"] if body["begins"] else self._written + body["text"]
                yield from self._grown(self._written)
            case "answer_written":
                self.citations = body["answer"]["sources"]
                yield from self._settled(body["answer"]["text"])
            case "model_called" | "model_failed":
                self._count(body)
            case "tool_started":
                self.usage.tool_calls += 1
            case "run_finished":
                self.failure = (body["code"], body["message"])

    def waiting(self, address: str) -> str:
        return ""

    def _grown(self, text: str) -> Iterator[Words]:
        """An answer that is told from its start again is silent until it has come as far; then it goes on."""
        if text.startswith(self._told) and len(text) > len(self._told):
            more, self._told = text[len(self._told) :], text
            yield Words(more)

    def _settled(self, text: str) -> Iterator[Words]:
        """Where another answer was begun, the one that counts follows whole."""
        if text.startswith(self._told):
            yield from self._grown(text)
        else:
            self._told = text
            yield Words(f"\n\n{text}")

    def _count(self, body: dict[str, Any]) -> None:
        self.usage.model_calls += 1
        self.usage.input_tokens += body["input_tokens"]
        self.usage.output_tokens += body["output_tokens"]
        self.usage.cached_tokens += body["cached_tokens"]
