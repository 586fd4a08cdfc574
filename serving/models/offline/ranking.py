"""How well a passage answers: rare words weigh more, names must be there, the value must be of the kind asked for."""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import DATED, FIGURE, LIGHT, STOP, UNITS, covers, quantities, stems
from serving.models.offline.passages import Passage

# The share of a question that a passage covers when it answers, and when it is worth showing.
_ANSWERS, _NEAR = 0.68, 0.5
# Capitals inside a sentence, codes and years: no answer may lack them.
_NAME: Final = re.compile(r"(?<=[^.?!:] )[A-Z][^\W_]*|\b(?=\w*\d)(?=[\d-]*[^\W\d])[\w-]+|\b(?:19|20)\d\d\b|\[\w+\]")
_TIME: Final = r"(?<![a-z])(?:second|minute|hour|day|night|week|month|quarter|year)s?\b"
_PRICE: Final = (
    r"[€$£%]|\b(?:eur|usd|gbp|chf|sek|nok|dkk|pln)\b|(?<!at )(?<!from )(?<!to )(?<!by )\b\d+\.\d\d"
    r"|\b(?:euro|pound|dollar|franc|cent)s?\b|^[\d.,]+$|^(?:no|none)\b|\bno (?:charge|cost|deposit|fee)\b"
    r"|\b(?:free|(?<!vat )included|request)\b"
)
_DATE: Final = rf"{_TIME}|{DATED.pattern}|\b\w+day\b|\b(?:after|before|until)\b"
# A price is told by its figure ahead of `free`, a day by its date ahead of `after two years`.
_TOLD: Final = {_PRICE: r"^(?!.*\bfree\b)", _DATE: DATED.pattern}
_CLOCK: Final = r"\b\d\d?[.:]\d\d\b|\b\d\d? ?[ap]\.?m\b|\b(?:noon|midnight)\b"
_PERSON: Final = r"(?-i:\[PERSON|\[NAME|(?<=[a-z] )[A-Z]\w|[A-Z]\w+ [A-Z])|\w(?:er|or)\b|\b(?:team|office|staff)\b"
# What a question says, what the value must then look like, and whether nothing else will do.
_KINDS: Final = (
    (r"\bhow (?:often|frequently)", r"\b(?:every|each|per|once|twice|an?) |\b\w+ly\b", True),
    (r"\bhow (?:long|soon|quickly|fast|early|late|far ahead)\b", rf"{_TIME}|\b(?:lifetime|unlimited)", True),
    (r"\b(?:cost|price|fee|rent|earn|salary|wage)s?\b|\bhow much (?:is|are) (?:an?|the) ", _PRICE, True),
    (r"\b(?:how much|what do)\b.*\bpa(?:y|id)\b", _PRICE, True),
    (r"\bhow (?!to\b)\w+", rf"{FIGURE}|\b(?:no|none|free|unlimited)\b", True),
    (r"\bby (?:what|which) time\b", rf"\b(?:by|before|until) (?:{_CLOCK})", True),
    (r"\b(?:what|which) time\b", _CLOCK, True),
    (r"\bwhen\b|\bwhat (?:date|day)", _DATE, False),
    (r"\bwho(?:m|se)?\b", _PERSON, False),
    ("", "", False),
)


class Question(NamedTuple):
    """`weights` of its words' stems; `names` and the `head`, what is asked for, no answer may lack.

    `looks` is the pattern of a value that fits; where it is `strict`, no other will do.
    """

    text: str
    weights: Mapping[str, float]
    names: frozenset[str]
    looks: str
    strict: bool
    head: str

    @property
    def strong(self) -> list[str]:
        return [key for key, weight in self.weights.items() if weight == 1]


class Rated(NamedTuple):
    sure: bool
    score: float
    passage: Passage


def ask(text: str) -> Question:
    """Reads a question. What stands behind `(about:` is its subject when it has none of its own."""
    text, _, about = text.replace("in charge of", "responsible for").partition(" (about: ")
    looks, strict = next(kind[1:] for kind in _KINDS if re.search(kind[0], text, re.IGNORECASE))
    names = frozenset(words(" ".join(n for n in _NAME.findall(text) if not DATED.fullmatch(n) or n.isdigit()))) - STOP
    said = words(text)
    weights = {key: 0.2 if key in LIGHT - names else 1.0 for key in said if key not in STOP}
    subject = {key: 0.1 if key in LIGHT else 0.2 if names else 0.5 for key in words(about) if key not in STOP}
    # A season ticket is no day ticket.
    weights |= {first: 1.0 for first, second in pairwise(said) if first in UNITS and weights.get(second) == 1}
    asks = re.search(r"(?i)\b(?:what|which|how (?:much|many))\b(?! (?:do|does it|happens)\b)(.*)", text)
    head = next((key for key in words(asks[1]) if weights.get(key) == 1), "") if asks else ""
    return Question(text, subject | weights, names & weights.keys(), looks, strict, head)


def rank(question: Question, seen: Sequence[Passage]) -> list[Rated]:
    """The passages that say something to a question, best first: those that answer it ahead of the others."""
    held = {key: sum(key in stems(passage.text) for passage in seen) or 1 for key in question.weights}
    scale = {key: w * math.log(1 + (1 + len(seen)) / (1 + held[key])) for key, w in question.weights.items()}
    rated = [_rated(question, passage, scale) for passage in seen]
    return sorted((each for each in rated if each.score), key=lambda each: (not each.sure, -each.score))


def _rated(question: Question, passage: Passage, scale: Mapping[str, float]) -> Rated:
    """A word is said by the passage itself, by what stands above it, or (no name) by its section."""
    # A passage that names something is not about what was named before it.
    named = any(not name.isdigit() for name in _NAME.findall(passage.value))
    lent = dict.fromkeys(question.names, 0.0 if named else 0.75)
    covered = {
        key: covers(key, passage.text)
        or 0.85 * covers(key, passage.place)
        or lent.get(key, 0.65) * covers(key, passage.before)
        or 0.6 * covers(key, passage.around) * (key not in question.names or key.isdigit())
        for key in scale
    }
    coverage = sum(scale[key] * covered[key] for key in scale) / (sum(scale.values()) or 1)
    if coverage < _NEAR or covered.get(question.head, 1) < 0.65:
        return Rated(False, 0.0, passage)
    looks = bool(question.looks) and bool(re.search(question.looks, passage.value, re.I))
    fits = looks and _counts(question, passage)
    sure = coverage >= _ANSWERS and (fits or not question.strict) and all(map(covered.get, question.names))
    brevity = sum(share == 1 for share in covered.values()) / (len(stems(passage.text)) or 1)
    told = fits and question.looks in _TOLD and bool(re.search(_TOLD[question.looks], passage.value, re.I))
    return Rated(sure, coverage + (0.25 if question.strict else 0.1) * fits + 0.1 * told + 0.05 * brevity, passage)


def _counts(question: Question, passage: Passage) -> bool:
    """Whether a number in the passage is one of what `how many` asks for: `nine X100 pumps` are no X200 pumps."""
    counted = re.search(r"(?i)\bhow many (\w+)", question.text)
    for number in quantities(passage.value) if counted else ():
        phrase = re.split(r" (?:per|an?|of|for|in|and|or|to|from|by) ", passage.value[number.start :][:30])[0]
        named = "" if number.dimension in ("time", "money") else f"{passage.name} {passage.column}"
        other = frozenset(words(" ".join(_NAME.findall(phrase)))) - question.names
        # `dogs, not more than three at a time` leaves out what it counts.
        elided = re.match(r"\w+ (?:at|per|an?)\b", passage.value[number.start :])
        said = f"{phrase} {named} {passage.value if elided else ''}"
        if counted and not other and any(covers(key, said) for key in words(counted[1])):
            return True
    return not counted
