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

_TALK: Final = re.compile(r"(?s)\A### Task:(.+?)<chat_history>\n(.*)\n?</chat_history>")
_WANTED: Final = re.compile(r'\{\s*"(\w+)":')
_SPOKEN: Final = re.compile(r"(?ms)^USER: (.*?)(?=^(?:USER|ASSISTANT|SYSTEM|TOOL): |\Z)")
_TITLE: Final = re.compile(
    r"(?s)\AProvide a concise, 5-word-or-less title for the conversation.+?\n\nConversation:\nUser: (.*)\nAI: "
)
_CHOICE: Final = re.compile(r'(?s)\bAvailable Tools: .*"tool_calls"')
_CHOOSING: Final = ("Query: ", "History:\n")
_LONGEST_TITLE: Final = 50


def chore_done(messages: Sequence[ChatMessage]) -> str | None:
    """What the apps' default prompts ask for: a JSON object, or LibreChat's title. None for what a person said."""
    said = [message for message in messages if message.role != "system"]
    asked = said[0].text if len(said) == 1 and said[0].role == "user" else ""
    if asked.startswith(_CHOOSING) and any(_CHOICE.search(each.text) for each in messages if each.role == "system"):
        return '{"tool_calls":[]}'
    if title := _TITLE.match(asked):
        return _title([title[1]])
    found = _TALK.match(asked)
    wanted = _WANTED.search(found[1]) if found else None
    if not found or not wanted or wanted[1] not in _DONE:
        return None
    spoken = [text.strip() for text in _SPOKEN.findall(found[2])]
    return orjson.dumps({wanted[1]: _DONE[wanted[1]](spoken or [""])}).decode()


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
