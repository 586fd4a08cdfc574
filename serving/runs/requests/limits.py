"""What a goal, text, channel and id may be; checked by the client before it starts anything, and by the server."""

import json
import math
import re
import uuid
from typing import Any, Final

from serving.errors import BadRequest, NotFound, TooLarge, Unprocessable

LONGEST_GOAL = 32_000
DEEPEST: Final = 100
_CHANNEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}")
TOO_DEEP: Final = (f"the body is nested deeper than {DEEPEST} levels", "send a flatter one")


def check_goal(goal: str) -> None:
    """Raises BadRequest for an empty goal or one that can't be kept, TooLarge for one over LONGEST_GOAL characters."""
    if not goal.strip():
        raise BadRequest("the goal is empty", "say what you want to know or have done", "goal_empty")
    if len(goal) > LONGEST_GOAL:
        raise TooLarge(
            f"the goal has {len(goal)} characters, at most {LONGEST_GOAL} are taken",
            "put long material into a document folder and refer to it",
            "goal_too_long",
        )
    check_text(goal, "the goal")


def check_text(text: str, noun: str) -> None:
    """Raises BadRequest for what Postgres and UTF-8 can't hold: a NUL, and half a surrogate pair. `noun` says where.

    Bytes of a command line that are no UTF-8 come as such halves.
    """
    place, what = text.find("\0"), "a NUL (U+0000)"
    if place < 0:
        try:
            text.encode()
            return
        except UnicodeEncodeError as error:
            place, what = error.start, f"half a surrogate pair (U+{ord(text[error.start]):04X})"
    raise BadRequest(f"{noun} holds {what} at character {place + 1}", "leave it out, and send UTF-8", "invalid_request")


def check_json(value: Any, path: tuple[Any, ...] = ()) -> None:
    """Raises BadRequest that names the field: for such text, a number that JSON doesn't have, or deep nesting."""
    if isinstance(value, str):
        _check_part(value, path, "")
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadRequest(f"{_place(path)}: Input should be a finite number", "JSON has no other", "invalid_request")
    elif isinstance(value, dict | list):
        if len(path) == DEEPEST:
            raise BadRequest(*TOO_DEEP, "invalid_request")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str):
                _check_part(key, path, "a name in ")
            check_json(item, (*path, key))


def _check_part(text: str, path: tuple[Any, ...], noun: str) -> None:
    """Of many, so that their places are written down for those alone that may be refused."""
    if "\0" in text or not text.isascii():
        check_text(text, noun + _place(path))


def _place(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)[:100] or "body"


def check_channel(name: str) -> None:
    """Raises BadRequest for what can't be the name of a channel."""
    if not _CHANNEL.fullmatch(name):
        hint = "a small letter, then up to 39 small letters, digits, '_' and '-'"
        raise BadRequest(f"{name[:50]!r} can't be a channel's name", hint, "bad_channel")


def parse_id(text: str, noun: str) -> str:
    """A UUID in its plain form; `noun` says whose. Raises NotFound for any other text: nothing has it as its id."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise NotFound(
            f"no {noun} {_shown(text)}: an id is a UUID", "send it as it was given", f"{noun}_not_found"
        ) from None


def uuid_of(text: str, noun: str, hint: str = "send the id as it was given to you") -> str:
    """The same where a client of LangGraph's asks. Raises Unprocessable, as it expects."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Unprocessable(f"{noun} id {_shown(text)} is no UUID", hint) from None


def _shown(text: str) -> str:
    return json.dumps(text[:40] + ("..." if len(text) > 40 else ""))
