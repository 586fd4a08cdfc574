"""What a chat client sends of a conversation: the last thing a person said is the goal, the rest came before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from serving.errors import BadRequest

_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text", "refusal"})
LONGEST: Final = 100_000
_MOST_TURNS: Final = 50


class ChatMessage(BaseModel):
    """`content` is text or parts of it; other kinds of parts (images, sound, files) are refused."""

    model_config = ConfigDict(extra="ignore")

    role: str = Field(max_length=40)
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        return "\n".join(_text_of(part) for part in self.content)


def _text_of(part: dict[str, Any]) -> str:
    kind = part.get("type")
    if kind not in _TEXT_PARTS:
        hint = "send text; put documents into a collection"
        raise BadRequest(f"a part of type {str(kind)[:40]!r} can't be used", hint, "unsupported_content")
    return str(part.get("text") or part.get("refusal") or "")


@dataclass(frozen=True, slots=True)
class Conversation:
    """`before`: what people said earlier; `turns`: that with the answers they were given. Both oldest first."""

    goal: str
    before: tuple[str, ...] = ()
    turns: tuple[tuple[str, str], ...] = ()


def conversation_of(messages: Sequence[ChatMessage]) -> Conversation:
    """Messages of systems and tools are left out: the agent has instructions and tools of its own.

    Raises BadRequest when no person said anything.
    """
    talk = [message for message in messages if message.role in ("user", "assistant")]
    last = next((at for at in reversed(range(len(talk))) if talk[at].role == "user"), None)
    if last is None:
        raise BadRequest("no message has the role user", "the last one of them is the goal", "no_user_message")
    before = talk[:last]
    said = tuple(message.text for message in before if message.role == "user")
    return Conversation(talk[last].text, said, tuple(_turns(before))[-_MOST_TURNS:])


def _turns(talk: Iterable[ChatMessage]) -> Iterable[tuple[str, str]]:
    asked: str | None = None
    for message in talk:
        if message.role == "user":
            asked = message.text
        elif asked is not None:
            yield asked[:LONGEST], message.text[:LONGEST]
            asked = None
