"""What a chat app asks on its own account, beside what a person says: a title for the talk, tags, queries, what to say
next, which of its tools to call. Open WebUI and LibreChat ask the model that they talk with, behind the person's back.

None of it is worth a run. What the app wants is taken from the talk, or is empty where it would have to be made up; who
wants more names a model of their own in the app (Open WebUI: Task Model; LibreChat: titleModel).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from serving.api.openai.messages import ChatMessage

_TASK: Final = "### Task:"
_WANTED: Final = re.compile(r'\{\s*"(\w+)":')
_SPOKEN: Final = re.compile(r"(?ms)^USER: (.*?)(?=^(?:USER|ASSISTANT|SYSTEM|TOOL): |\Z)")
_TITLE: Final = "Provide a concise, 5-word-or-less title for the conversation"
_CHOICE: Final = ("Available Tools: ", "choose and return the correct tool(s)", '"tool_calls"')
_CHOOSING: Final = ("Query: ", "History:\n")
_LONGEST_TITLE: Final = 50


def chore_done(messages: Sequence[ChatMessage]) -> str | None:
    """What the apps' default prompts ask for: a JSON object, or LibreChat's title. None for what a person said."""
    said = [message for message in messages if message.role != "system"]
    system = "\n".join(message.text for message in messages if message.role == "system")
    asked = said[0].text if len(said) == 1 and said[0].role == "user" else ""
    if asked.startswith(_CHOOSING) and all(words in system for words in _CHOICE):
        return '{"tool_calls":[]}'
    _, opening = _between(asked, "\n\nConversation:\nUser: ", "\nAI: ")
    if asked.startswith(_TITLE) and opening is not None:
        return _title([opening])
    task, talk = _between(asked, "<chat_history>\n", "</chat_history>")
    wanted = _WANTED.search(task) if asked.startswith(_TASK) else None
    if talk is None or not wanted or wanted[1] not in _DONE:
        return None
    spoken = [text.strip() for text in _SPOKEN.findall(talk)]
    return orjson.dumps({wanted[1]: _DONE[wanted[1]](spoken or [""])}).decode()


def _between(text: str, begin: str, end: str) -> tuple[str, str | None]:
    """What stands before `begin`, and from there to the last `end`. In one pass: a person may send megabytes."""
    before, _, rest = text.partition(begin)
    found, closed, _ = rest.rpartition(end)
    return before, found if closed else None


def _title(spoken: list[str]) -> str:
    """The words that the talk begins with."""
    words = " ".join(spoken[0].split())
    if len(words) > _LONGEST_TITLE:
        words = f"{words[:_LONGEST_TITLE].rpartition(' ')[0] or words[:_LONGEST_TITLE]}…"
    return words or "New chat"


# The prompts themselves call for "General" and for emptiness where there is nothing sure to say.
_DONE: Final[dict[str, Callable[[list[str]], Any]]] = {
    "title": _title,
    "tags": lambda _: ["General"],
    "follow_ups": lambda _: [],
    "queries": lambda spoken: [spoken[-1]] if spoken[-1] else [],
    "text": lambda _: "",
    "prompt": lambda spoken: spoken[-1],
}
