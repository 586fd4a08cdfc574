"""JSON that grows: where it can be cut, and what closes it there, so that what has come is JSON at every moment."""

import re
from typing import Final

import orjson

from privacy.placeholder import unfinished

_DEEPEST: Final = 64
_SPACE: Final = re.compile(r"[ \t\n\r]*")
# Whole characters of a string (RFC 8259, 7); one beyond the basic plane may be two escapes, which are never parted.
_CHARACTERS: Final = re.compile(
    r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2})'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*"
)
_LONGEST_ESCAPE: Final = 12
_WORD: Final = re.compile(r"[-+.0-9A-Za-z]+")
_CLOSER: Final = {"{": "}", "[": "]"}
# What may come next where a text can be closed: behind what opens, and behind a value.
_CLOSABLE: Final = frozenset({"key or end", "item or end", "more", "end"})


class _NotJson(Exception):
    pass


class PartialJson:
    """An object's text that comes in pieces: it can be cut where brackets and a quote make it whole. What is no JSON
    isn't cut any more from there on."""

    def __init__(self) -> None:
        self._open = ""  # what closes each object and list that is open, the outermost first
        self._next = "object"
        self._in_string = False  # one that is a value
        self._broken = False

    @property
    def closes(self) -> str:
        """What makes the text up to the last cut whole."""
        return ('"' if self._in_string else "") + self._open[::-1]

    def cut(self, text: str) -> int:
        """How much of `text`, which follows the last cut, can be told; a placeholder is never cut in two."""
        at = safe = 0
        there = self._open, self._next, self._in_string
        try:
            while not self._broken and (behind := self._step(text, at)) is not None:
                at = behind
                if self._in_string or self._next in _CLOSABLE:
                    safe, there = at, (self._open, self._next, self._in_string)
                if self._in_string:
                    break
        except _NotJson:
            self._broken = True
        self._open, self._next, self._in_string = there
        return unfinished(text[:safe]) if self._in_string else safe

    def _step(self, text: str, at: int) -> int | None:
        """Behind the next token, or behind what is there of a string; None where its end must come first."""
        if self._in_string:
            return self._value_string(text, at)
        at = _end(_SPACE, text, at)
        if at == len(text):
            return None
        char = text[at]
        if char == '"' and self._next in ("key", "key or end"):
            return self._key(text, at + 1)
        if char == '"' and self._next in ("value", "item or end"):
            return self._value_string(text, at + 1)
        if char in _CLOSER and self._next in ("value", "item or end", "object" if char == "{" else ""):
            return self._opened(char, at)
        if self._next in _CLOSABLE and char == self._open[-1:]:
            return self._closed(at)
        if char == "," and self._next == "more":
            self._next = "key" if self._open[-1] == "}" else "value"
            return at + 1
        if char == ":" and self._next == "colon":
            self._next = "value"
            return at + 1
        if self._next in ("value", "item or end"):
            return self._scalar(text, at)
        raise _NotJson

    def _opened(self, char: str, at: int) -> int:
        if len(self._open) == _DEEPEST:
            raise _NotJson
        self._open += _CLOSER[char]
        self._next = "key or end" if char == "{" else "item or end"
        return at + 1

    def _closed(self, at: int) -> int:
        self._open = self._open[:-1]
        self._next = "more" if self._open else "end"
        return at + 1

    def _key(self, text: str, at: int) -> int | None:
        end = _characters(text, at)
        if not text.startswith('"', end):
            return None
        self._next = "colon"
        return end + 1

    def _value_string(self, text: str, at: int) -> int:
        end = _characters(text, at)
        self._in_string = not text.startswith('"', end)
        if self._in_string:
            return end
        self._next = "more"
        return end + 1

    def _scalar(self, text: str, at: int) -> int | None:
        end = _end(_WORD, text, at)
        if end == len(text):
            return None
        try:
            orjson.loads(text[at:end])  # it refuses a number that no float can hold
        except orjson.JSONDecodeError:
            raise _NotJson from None
        self._next = "more"
        return end


def _characters(text: str, at: int) -> int:
    """Behind the whole characters of a string: at its quote, at an escape that isn't all there, or at the end."""
    end = _end(_CHARACTERS, text, at)
    begun = text.startswith("\\", end) and len(text) - end < _LONGEST_ESCAPE
    if end < len(text) and text[end] != '"' and not begun:
        raise _NotJson
    return end


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
