"""What a chat client sends of a conversation: the last thing a person said is the goal, the rest came before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from serving.api.openai.parts import Content, only_words, words_of
from serving.errors import BadRequest

LONGEST: Final = 100_000
_MOST_TURNS: Final = 50


class ChatMessage(BaseModel):
    """`content` is text or parts of it, beside which a hosted graph may be given pictures, sound and files. What an
    assistant said can be a refusal or a tool call in its place."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(max_length=40)
    content: Content = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None

    @property
    def text(self) -> str:
        return words_of(self.content) or self.refusal or "\n".join(map(_arguments, self.tool_calls or ()))


@dataclass(frozen=True, slots=True)
class Conversation:
    """`before`: what people said earlier; `turns`: that with the answers they were given. Both oldest first. `system`:
    what the client's own program said."""

    goal: str
    before: tuple[str, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()
    system: str = ""


def conversation_of(messages: Sequence[ChatMessage]) -> Conversation:
    """Messages of systems and tools are left out of the talk: the agent has instructions and tools of its own. Of
    earlier messages only the words count.

    Raises BadRequest when no person said anything, or something else than words.
    """
    talk = [message for message in messages if message.role in ("user", "assistant")]
    last = last_said(talk)
    before = talk[:last]
    said = tuple(message.text for message in before if message.role == "user")
    system = "\n".join(message.text for message in messages if message.role in ("system", "developer"))
    return Conversation(only_words(talk[last].content), said, tuple(_turns(before))[-_MOST_TURNS:], system)


def _arguments(call: Any) -> str:
    match call:
        case {"function": {"arguments": str(arguments)}}:
            return arguments
    return ""


def last_said(talk: Sequence[ChatMessage]) -> int:
    """The place of what a person said last. Raises BadRequest where nobody said anything."""
    last = next((at for at in reversed(range(len(talk))) if talk[at].role == "user"), None)
    if last is None:
        raise BadRequest("no message has the role user", "the last one of them is the goal", "no_user_message")
    return last


def _turns(talk: Iterable[ChatMessage]) -> Iterable[tuple[str, str]]:
    """Of several messages in a row each counts: a call and what is said behind it, a question and what came of it."""
    sides = [(role, list(each)) for role, each in groupby(talk, key=attrgetter("role"))]
    for (role, asked), (_, told) in pairwise(sides):
        if role == "user":
            yield asked[-1].text[:LONGEST], "\n\n".join(filter(None, (each.text for each in told)))[:LONGEST]
