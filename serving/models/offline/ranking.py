"""How well a passage answers: rare words weigh more, names must be there, the value must be of the kind asked for."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import DATED, FIGURE, LIGHT, STOP, likeness, quantities, stems
from serving.models.offline.passages import Passage

# The share of a question that a passage covers when it answers, and when it is worth showing.
_ANSWERS, _NEAR = 0.68, 0.5
# Capitals inside a sentence, codes and years: no answer may lack them.
_NAME: Final = re.compile(r"(?<=[^.?!:] )[A-Z][^\W_]*|\b(?=\w*\d)(?=[\d-]*[^\W\d])[\w-]+|\b(?:19|20)\d\d\b|\[\w+\]")
_TIME: Final = r"(?<![a-z])(?:second|minute|hour|day|night|week|month|quarter|year)s?\b"
_PRICE: Final = (
    r"[€$£%]|(?-i:\b[A-Z]{3}\b)|(?<!at )(?<!from )(?<!to )(?<!by )\b\d+\.\d\d|\b(?:euro|pound|dollar)s?\b"
    r"|\b(?:free|no|none|included|request)\b"
)
_PERSON: Final = r"(?-i:\[PERSON|\[NAME|[A-Z]\w+ [A-Z]\w+)|\w(?:er|or)\b|\b(?:head|team|office|board|staff)\b"
# What a question says, what the value must then look like, and whether nothing else will do.
_KINDS: Final = (
    (r"\bhow (?:often|frequently)", r"\b(?:every|each|per|once|twice|an?) |\b\w+ly\b", True),
    (r"\bhow (?:long|soon|quickly|fast|early|late|far ahead)\b", rf"{_TIME}|\b(?:lifetime|unlimited)", True),
    (r"\b(?:cost|price|fee|rent)s?\b", _PRICE, True),
    (r"\bhow (?!to\b)\w+", rf"{FIGURE}|\b(?:no|none|free|unlimited)\b", True),
    (r"\bwhen\b|\bwhat (?:time|date|day)", rf"{_TIME}|{DATED.pattern}|\b\w+day\b|\b(?:after|before|until)\b", False),
    (r"\bwho(?:m|se)?\b", _PERSON, False),
    ("", "", False),
)
_ASKS_FOR: Final = re.compile(r"(?i).*?\b(?:what|which|how (?:much|many))\b")


class Question(NamedTuple):
    """`weights` of its words' stems, `names` that no answer may lack, `looks`: the pattern of a value that fits."""

    text: str
    weights: Mapping[str, float]
    names: frozenset[str]
    looks: str
    strict: bool

    @property
    def strong(self) -> list[str]:
        return [key for key, weight in self.weights.items() if weight == 1]

    @property
    def head(self) -> str:
        """What is asked for: the first strong word behind `what`, `which` or `how much`."""
        asks = _ASKS_FOR.match(self.text)
        return next((key for key in words(self.text[asks.end() :]) if key in self.strong), "") if asks else ""


class Rated(NamedTuple):
    sure: bool
    score: float
    passage: Passage


def ask(text: str) -> Question:
    """Reads a question. What stands behind `(about:` is its subject when it has none of its own."""
    text, _, about = text.replace("in charge of", "responsible for").partition(" (about: ")
    looks, strict = next(kind[1:] for kind in _KINDS if re.search(kind[0], text, re.IGNORECASE))
    names = stems(" ".join(name for name in _NAME.findall(text) if not DATED.fullmatch(name) or name.isdigit())) - STOP
    light, subject = 0.5 if "how many" in text.lower() else 0.2, 0.2 if names else 0.5
    weights = {key: light if key in LIGHT - names else 1.0 for key in words(text) if key not in STOP}
    given = {key: 0.1 if key in LIGHT else subject for key in words(about) if key not in STOP}
    return Question(text, given | weights, names & weights.keys(), looks, strict)


def rank(question: Question, seen: Sequence[Passage]) -> list[Rated]:
    """The passages that say something to a question, best first: those that answer it ahead of the others."""
    held = {key: sum(key in stems(passage.text) for passage in seen) or 1 for key in question.weights}
    scale = {key: w * math.log(1 + (1 + len(seen)) / (1 + held[key])) for key, w in question.weights.items()}
    rated = [_rated(question, passage, scale) for passage in seen]
    return sorted((each for each in rated if each.score), key=lambda each: (not each.sure, -each.score))


def _rated(question: Question, passage: Passage, scale: Mapping[str, float]) -> Rated:
    covered = {key: _covers(key, passage, key in question.names) for key in scale}
    coverage = sum(scale[key] * covered[key] for key in scale) / (sum(scale.values()) or 1)
    if coverage < _NEAR or not covered.get(question.head, 1):
        return Rated(False, 0.0, passage)
    fits = _fits(question, passage)
    sure = coverage >= _ANSWERS and (fits or not question.strict) and all(map(covered.get, question.names))
    brevity = sum(share == 1 for share in covered.values()) / (len(stems(passage.text)) or 1)
    return Rated(sure, coverage + 0.25 * fits + 0.05 * brevity - 0.05 * (passage.kind == "row"), passage)


def _covers(key: str, passage: Passage, name: bool) -> float:
    """A word is said by the passage itself, by what stands above it, or (no name) by its section."""
    around = 0.0 if name else 0.6 * likeness(key, stems(passage.around))
    return max(likeness(key, stems(passage.text)), 0.85 * likeness(key, stems(passage.place)), around)


def _fits(question: Question, passage: Passage) -> bool:
    """`how many beds` wants a number of beds; `who` somebody whom the question does not name."""
    who, value = re.search(r"(?i)\bwho\b", question.text), passage.value
    if who:
        value = " ".join(word for word in passage.text.split() if stems(word).isdisjoint(question.weights))
    looks = bool(question.looks and re.search(question.looks, value, re.IGNORECASE))
    counted = re.search(r"(?i)\bhow many (\w+)", question.text)
    return looks and (not counted or _counts(words(counted[1]), question.names, passage))


def _counts(counted: Sequence[str], names: frozenset[str], passage: Passage) -> bool:
    """Whether a number in the passage is one of what is counted: `nine X100 pumps` are no X200 pumps."""
    numbers = quantities(passage.value)
    said = [passage.value[number.start :][:30] for number in numbers]
    phrases = [re.split(r" (?:per|an?|of|for|in|and|or|to|from|by) ", phrase)[0] for phrase in said]
    phrases = [phrase for phrase in phrases if stems(" ".join(_NAME.findall(phrase))) <= names]
    if any(number.dimension not in ("time", "money") for number in numbers):
        phrases += [passage.name, passage.column]
    return any(likeness(key, stems(" ".join(phrases))) > 0.9 for key in counted)
