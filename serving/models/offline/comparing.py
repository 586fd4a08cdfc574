"""`Which plan has the longer notice period, Basic or Pro?`: what is compared, between whom, and who is ahead."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import TOKEN, Quantity, keys, quantities, synonyms

_OPTION: Final = r"(?:the |that of |that for )?((?:[\w.&'-]+ ?){1,4}?)"
_OPTIONS: Final = (
    re.compile(rf"[,:]\s*{_OPTION}\s+or\s+{_OPTION}\s*(?:[?,.]|$)"),
    re.compile(rf"\bbetween {_OPTION} and {_OPTION}\s*(?:[?,.]|$)"),
    re.compile(rf"\b(?:of|for) {_OPTION}(?:,)? (?:with|to|and|against|versus|vs\.?) {_OPTION}\s*(?:[?,.]|$)"),
    re.compile(rf"\bcompare {_OPTION} (?:with|to|and|against|versus|vs\.?) {_OPTION}\s*(?:[?,.]|$)", re.IGNORECASE),
    re.compile(rf"\b(?:is|are|does|do|has|have|was|did) {_OPTION} (?:\w+ )*?(?:\w+er|more|less) (?:\w+ ){{0,3}}?than {_OPTION}\s*(?:[?,.]|$)"),
    re.compile(rf"\bhow much (?:\w+er|more|less)[\w ]*? (?:is|are|does|do|has) {_OPTION} (?:\w+ )*?than {_OPTION}\s*(?:[?,.]|$)", re.IGNORECASE),
)
_CUE: Final = re.compile(rf"\b(?:compare|difference|{'|'.join(v.COMPARATIVES)})\b", re.IGNORECASE)
_FILLER: Final = re.compile(
    r"['’]s\b|\b(?:which|what|who|compare|difference|between|in terms of|and|or|by|how|much|has|have|is|are|does|do|the|a|an|of|for|with|to|than|that|one|it"
    r"|offers?|gives?|comes?|there|was|did|in|more|less|get|gets)\b|[?,.:]",
    re.IGNORECASE,
)
# `which plan`: the kind of thing that is compared says nothing about the attribute.
_KIND: Final = re.compile(r"\b(?:which|what)(?: of)?(?: the)? (?!is\b|are\b|has\b|have\b|does\b|do\b|was\b|costs?\b|of\b)\w+", re.IGNORECASE)


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
    first, second = _bare(match[1]), _bare(match[2])
    word = next((w for w in re.findall(r"\w+", text.lower()) if w in v.COMPARATIVES), "")
    direction, noun = v.COMPARATIVES.get(word, (0, ""))
    rest = _KIND.sub(" ", text.replace(match.group(), " "))
    for said in (word, first, second, "more expensive"):
        rest = re.sub(rf"\b{re.escape(said)}\b", " ", rest, flags=re.IGNORECASE) if said else rest
    attribute = " ".join(_FILLER.sub(" ", rest).split())
    if re.search(r"\bexpensive\b", text):
        direction, noun, word = (-1 if "less" in text.lower() else 1), "price", "more expensive"
    attribute = " ".join(dict.fromkeys(f"{noun} {attribute}".split()))
    different = re.search(r"\bdifference|\bhow much (?:more|less|\w+er)|\bby how much", text, re.IGNORECASE)
    if not attribute or first.lower() == second.lower():
        return None
    return Comparison((first, second), attribute, word, direction, bool(different))


def _bare(option: str) -> str:
    """`Pro plan` is called Pro: a common noun behind a name says only what kind of thing it is."""
    words = option.split()
    return " ".join(words[:-1]) if len(words) > 1 and words[0][0].isupper() and words[-1].islower() else " ".join(words)


def value_for(option: str, other: str, attribute: str, text: str) -> Quantity | None:
    """The quantity that a passage gives for an option: behind its name, before the other's, nearest to the attribute."""
    lower = text.lower()
    start = lower.find(option.lower())
    stop = lower.find(other.lower(), start + 1) if start >= 0 else -1
    numbers = [n for n in quantities(text) if n.unit] or list(quantities(text))
    behind = [n for n in numbers if n.start >= max(start, 0) and (stop < 0 or n.start < stop)]
    wanted = {key for word in attribute.split() for key in keys(word)}
    tokens = list(TOKEN.finditer(lower, max(start, 0)))
    named = [t.start() for t in tokens if not wanted.isdisjoint(keys(t.group()))] or [
        t.start() for t in tokens if any(not wanted.isdisjoint(synonyms(key)) for key in keys(t.group()))
    ]
    if behind and named:
        return min(behind, key=lambda n: min(abs(n.start - at) for at in named))
    return next(iter(behind), None) or (numbers[0] if len(numbers) == 1 else None)


def verdict(compared: Comparison, values: Sequence[Quantity]) -> str:
    """Both values, and who is ahead; says so when they are equal."""
    (first, second), (a, b) = compared.options, values
    if a.size == b.size:
        return f"{first} and {second} are equal: {a.text} each."
    ahead, behind = ((first, a), (second, b)) if (a.size > b.size) == (compared.direction >= 0) else ((second, b), (first, a))
    word = compared.word or "larger"
    if compared.word in ("longer", "shorter", "higher", "lower", "larger", "smaller", "more", "fewer", "less", "bigger", "greater"):
        said = f"{ahead[0]} has {'the ' if compared.word not in ('more', 'less', 'fewer') else ''}{word} {compared.attribute}"
    else:
        said = f"{ahead[0]} is {word}" if compared.direction else f"The {compared.attribute} of {ahead[0]} is {word}"
    return f"{said}: {ahead[1].text}, against {behind[1].text} for {behind[0]}."
