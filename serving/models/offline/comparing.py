"""`Which plan has the longer notice period, Basic or Pro?`: what is compared, between whom, and who is ahead."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import Quantity, nearest, quantities, stems

_OPTION: Final = r"(?:the |that of |that for )?((?:[\w.&'-]+ ?){1,4}?)"
_WITH: Final = r"(?:with|to|and|against|versus|vs\.?)"
_OPTIONS: Final = tuple(
    re.compile(rf"{pattern}\s*(?:[?,.]|$)", re.IGNORECASE)
    for pattern in (
        rf"[,:]\s*{_OPTION}\s+or\s+{_OPTION}",
        rf"\bbetween {_OPTION} and {_OPTION}",
        rf"\b(?:of|for) {_OPTION}(?:,)? {_WITH} {_OPTION}",
        rf"\bcompare {_OPTION} {_WITH} {_OPTION}",
        rf"\b(?:is|are|does|do|has|have) {_OPTION} (?:\w+ )*?(?:\w+er|more|less|cost) (?:\w+ )*?than {_OPTION}",
    )
)
_CUE: Final = re.compile(rf"\b(?:compare|difference|{'|'.join(v.COMPARATIVES)})\b", re.IGNORECASE)
_DIFFERENCE: Final = re.compile(r"\bdifference|\bhow much (?:more|less|\w+er)|\bby how much", re.IGNORECASE)
_EMPTY: Final = v.either(
    """which what who how compare difference between in_terms_of and or by much has have is are does do the a an of for
    with to than that one it offer offers give gives come comes there was did in more less get gets against versus vs"""
)
_FILLER: Final = re.compile(rf"['’]s\b|\b(?:{_EMPTY})\b|[?,.:]", re.IGNORECASE)
# `which plan`: the kind of thing that is compared says nothing about the attribute.
_KIND: Final = re.compile(
    r"\b(?:which|what)(?: of)?(?: the)? (?!(?:is|are|has|have|does|do|was|costs?|of)\b)\w+", re.IGNORECASE
)
_HAVING: Final = v.words("longer shorter higher lower larger smaller bigger greater more fewer less")


@dataclass(frozen=True, slots=True)
class Comparison:
    """`direction` +1 asks for the larger, -1 for the smaller, 0 for neither; `attribute` is what is compared."""

    options: tuple[str, str]
    attribute: str
    word: str
    direction: int
    difference: bool

    def questions(self) -> Iterator[tuple[str, str]]:
        for option in self.options:
            yield option, f'What is the {self.attribute} of "{option}"?'


def comparison(text: str) -> Comparison | None:
    """None when the text compares nothing, or doesn't say what with what."""
    match = next((m for pattern in _OPTIONS if (m := pattern.search(text))), None)
    if match is None or not _CUE.search(text):
        return None
    first, second = match[1].strip(), match[2].strip()
    word = next((w for w in re.findall(r"\w+", text.lower()) if w in v.COMPARATIVES), "")
    direction, noun = v.COMPARATIVES.get(word, (0, ""))
    if re.search(r"\bexpensive\b", text):
        direction, noun, word = (-1 if word == "less" else 1), "price", "more expensive"
    rest = _KIND.sub(" ", text)
    for said in (match[1], match[2], *word.split()):
        rest = re.sub(rf"\b{re.escape(said.strip())}(?!\w)", " ", rest, flags=re.IGNORECASE)
    attribute = " ".join(dict.fromkeys(f"{noun} {_FILLER.sub(' ', rest)}".split()))
    if not attribute or first.lower() == second.lower():
        return None
    return Comparison((first, second), attribute, word, direction, bool(_DIFFERENCE.search(text)))


def value_for(option: str, other: str, attribute: str, text: str) -> Quantity | None:
    """What a passage gives for an option: behind its name, before the other's, nearest to the attribute."""
    lower = text.lower()
    start = max(lower.find(option.lower()), 0)
    stop = lower.find(other.lower(), start + 1) if option.lower() in lower else -1
    numbers = [number for number in quantities(text) if number.unit] or list(quantities(text))
    behind = [n for n in numbers if n.start >= start + len(option) and (stop < 0 or n.start < stop)]
    masked = " " * start + text[start:]
    return nearest(behind, masked, stems(attribute)) or (numbers[0] if len(numbers) == 1 else None)


def verdict(compared: Comparison, values: Sequence[Quantity]) -> str:
    """Both values, and who is ahead; says so when they are equal."""
    (first, second), (a, b) = compared.options, values
    if a.size == b.size:
        return f"{first} and {second} are equal: {a.text} each."
    pairs = ((first, a), (second, b))
    ahead, behind = pairs if (a.size > b.size) == (compared.direction >= 0) else pairs[::-1]
    said = f"The {compared.attribute} of {ahead[0]} is larger"
    if compared.word in _HAVING:
        article = "" if compared.word in ("more", "fewer", "less") else "the "
        said = f"{ahead[0]} has {article}{compared.word} {compared.attribute}"
    elif compared.direction:
        said = f"{ahead[0]} is {compared.word}"
    return f"{said}: {ahead[1].text}, against {behind[1].text} for {behind[0]}."
