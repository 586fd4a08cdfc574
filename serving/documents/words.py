"""How a text falls into words and sentences: one reading for embedding, ranking and quoting."""

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(r"\[[A-Z][A-Z0-9_]*_\d+\]|\d+(?:[.,]\d+)+(?![\w-])|[^\W_]+(?:[-_][^\W_]+)*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_SUFFIXES = (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ied", "y"), ("ed", ""), ("es", "e"), ("s", ""))
_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|[ei]\.[ge]|Mrs?|Ms|Dr|Prof|No|Nr|vs|etc|approx|ca|cf|Fig|Inc|Ltd|Co)$"
)
_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n")
_STANDS_ALONE = re.compile(r"[ \t]*(?:[-*+•|>#]|\d+[.)]\s|```|\n|\Z)")
_WRAPPED_AT = 40

_SAY_NOTHING = """
a about after all also an and any are as at be been before being but by can could did do does for from had has have he
her his how i if in into is it its just me more most my no nor not of on only or other our out over please s she should
so some such t tell than that the their them then there these they this those to under up us was we were what when where
which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_SAY_NOTHING.split())


def words(text: str) -> list[str]:
    """Stems in lower case, in order, stop words included. A placeholder, an id or an amount is one exact word."""
    return [word for token in _TOKEN.findall(text) for word in _split(token)]


def content_words(text: str) -> list[str]:
    """`words` without the ones that say nothing; all of them when nothing would be left."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found


def is_exact(word: str) -> bool:
    """Whether the word must match to the letter: an id, a number, a date, a placeholder."""
    return any(character.isdigit() for character in word)


@lru_cache(maxsize=50_000)
def _split(token: str) -> tuple[str, ...]:
    if token.startswith("["):
        return (token.lower(),)
    if _GROUPED.fullmatch(token):
        return (token.replace(",", ""),)
    if is_exact(token):
        return (re.sub("[-_]", "", token).lower(),)
    return tuple(stem(part.lower()) for part in re.split("[-_]", token))


def stem(word: str) -> str:
    """A word without its commonest English endings; coarse, and the same on both sides of every comparison."""
    if len(word) <= 3 or word in STOP_WORDS or not word.isascii():
        return word
    for suffix, instead in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(suffix)] + instead
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "sz":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word.endswith(("e", "y")) else word


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Spans of sentences, list items and table rows, in order; blank spans are left out."""
    start = 0
    for end in _END.finditer(text):
        if _ends_here(text, start, end):
            yield from _span(text, start, end.end())
            start = end.end()
    yield from _span(text, start, len(text))


def _ends_here(text: str, start: int, end: re.Match[str]) -> bool:
    line = text[text.rfind("\n", 0, end.start()) + 1 : end.start()]
    in_row = line.lstrip()[:1] in ("|", "#")
    if "\n" not in end.group():
        piece = text[start : end.start()].rstrip(".")
        return not in_row and not piece.strip().isdigit() and not _ABBREVIATION.search(piece[-12:])
    if end.group() != "\n" or in_row:
        return True
    # A long line that stops without a full stop is a wrapped one: its sentence goes on below.
    stops = line.rstrip()[-1:] in (".!?:|" if text[end.end() : end.end() + 1].islower() else ".!?:;|")
    return len(line) < _WRAPPED_AT or stops or bool(_STANDS_ALONE.match(text, end.end()))


def _span(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if inner := piece.strip():
        first = start + len(piece) - len(piece.lstrip())
        yield first, first + len(inner)
