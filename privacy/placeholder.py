"""The grammar of placeholders: `[EMAIL_1]` of a client's vault, `[EMAIL_S1]` of the server's."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from privacy.spans import KIND

LITERAL: Final = "LITERAL"
"""Kind of a text that only looks like a placeholder: it is kept in the vault so that it comes back as it was."""

_GRAMMAR: Final = re.compile(rf"\[(?P<kind>{KIND.pattern})_(?P<realm>S?)(?P<number>[0-9]{{1,18}})\]")
# A placeholder has "[" only as its first character, so only the last "[" of a text can begin an unfinished one.
_UNFINISHED: Final = re.compile(r"\[(?:[A-Z][A-Z_]{0,40}(?:(?<=_)[0-9]{1,18}|(?<=_S)[0-9]{1,18})?)?")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`number` counts over all kinds of one vault, from 1; a realm tells the client's vault ("") from the server's."""

    kind: str
    realm: str
    number: int

    def __str__(self) -> str:
        return f"[{self.kind}_{self.realm}{self.number}]"


@dataclass(frozen=True, slots=True)
class Found:
    """A placeholder and where it lies in the text."""

    placeholder: Placeholder
    start: int
    end: int


def find(text: str) -> Iterator[Found]:
    """The placeholders in `text`, in order. `[EMAIL_01]` is none: no vault writes a leading zero."""
    for match in _GRAMMAR.finditer(text):
        if match["number"][0] != "0":
            value = Placeholder(match["kind"], match["realm"], int(match["number"]))
            yield Found(value, match.start(), match.end())


def parse(text: str) -> Placeholder | None:
    """The placeholder that `text` is, whole; None if it is none."""
    found = next(find(text), None)
    return found.placeholder if found and found.end - found.start == len(text) else None


def unfinished(text: str) -> int:
    """Where a placeholder may have begun that `text` doesn't end yet; `len(text)` if nowhere."""
    start = text.rfind("[")
    return start if start >= 0 and _UNFINISHED.fullmatch(text, start) else len(text)
