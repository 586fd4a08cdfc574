"""How well a fact answers: names must be there, the value must be of the kind asked for."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import DATED, LIGHT, NUMBERS, STOP, UNITS, covers, quantities, stems
from serving.models.offline.facts import Fact

# The share of a question that a fact covers when it answers, and when it is worth showing.
_ANSWERS, _NEAR = 0.69, 0.67
# Capitals inside a sentence, codes and years: no answer may lack them.
_NAME: Final = re.compile(r"(?<=[^.?!:] )[A-Z][^\W_]*|\b(?=\w*\d)(?=[\d-]*[^\W\d])[\w-]+|\b(?:19|20)\d\d\b|\[\w+\]")
# Neither a name nor a role that a question says is what it asks for.
_GIVEN: Final = re.compile(rf"{_NAME.pattern}|\b\w{{3,}}(?:er|or)\b")
_HOW: Final = re.compile(r"(?i)\bhow (?!many)\w+|\btemperature\b")
_FIGURE: Final = rf"(?<![\w-])\d|\b(?:{'|'.join(NUMBERS)})\b"
_TIME: Final = r"(?<![a-z])(?:second|minute|hour|day|night|week|month|quarter|year)s?\b"
_CLOCK: Final = r"\b\d\d?[.:]\d\d\b|\b\d\d? ?[ap]\.?m\b|\b(?:noon|midnight)\b"
_PRICE: Final = (
    r"[€$£%]|\b(?:eur|usd|gbp|chf|sek|nok|dkk|pln|euros?|pounds?|dollars?|francs?|cents?)\b|^[\d.,]+$|\d\.\d\d\b"
)
_NO_PRICE: Final = r"^(?:no|none)\b|\bno (?:charge|cost|deposit|fee)\b|\b(?:free|(?<!vat )included|request)\b"
_PERSON: Final = (
    r"(?-i:\[PERSON|\[NAME|(?<=[a-z] )[A-Z]\w|[A-Z]\w+ (?:[A-Z]|is|has|will))|\w{3}(?:er|or)\b"
    r"|\b(?:team|office|persons?|people)\b"
)
# What a question says, and what the value must then look like: the first is better than the second.
_KINDS: Final = (
    (r"\bhow (?:often|frequently)", r"\b(?:every|each|per|once|twice|an?) |\b\w+ly\b", ""),
    (r"\bhow (?:long|soon|quickly|fast|early|late|far ahead)\b", _TIME, r"\b(?:lifetime|unlimited)"),
    (r"\b(?:what|which) time\b", _CLOCK, ""),
    (r"\btemperature\b", r"°|\bdegree", ""),
    (r"\bhow heavy\b|\bweighs?\b", r"\d ?(?:k?g|tonnes?|kilos?)\b", ""),
    (r"^\W*(?:\w+ )?when\b|\bwhat (?:date|day)", DATED.pattern, rf"{_TIME}|{_CLOCK}|\b(?:\w+day|after|until|with)\b"),
    (r"\bwho(?:m|se)?\b", _PERSON, ""),
    (r"\b(?:cost|price|fee|rent|earn|salary|wage)s?\b", _PRICE, _NO_PRICE),
    (r"\bhow much (?:is|are) (?:an?|the) |\b(?:how much|what do)\b.*\bpa(?:y|id)\b", _PRICE, _NO_PRICE),
    (r"\bhow (?!to\b)\w+", _FIGURE, r"\b(?:no|none|free|unlimited)\b"),
    ("", "", ""),
)


class Question(NamedTuple):
    """`weights` of its words' stems; no answer may lack the `names`.

    `looks` are the patterns of a value that fits, and of one that will do; no other does. `how many` counts `of`.
    """

    text: str
    weights: Mapping[str, float]
    names: frozenset[str]
    looks: tuple[str, str] = ("", "")
    of: str = ""

    @property
    def strong(self) -> list[str]:
        return [key for key, weight in self.weights.items() if weight == 1]


class Rated(NamedTuple):
    sure: bool
    score: float
    fact: Fact


def ask(text: str) -> Question:
    """Reads a question. What stands behind `(about:` is its subject when it has none of its own."""
    text, _, about = text.replace("in charge of", "responsible for").partition(" (about: ")
    text = re.sub(rf"\b(the|all) (?:{'|'.join(NUMBERS[2:])}) ", r"\1 ", text)
    looks = next(kind[1:] for kind in _KINDS if re.search(kind[0], text, re.I))
    names = frozenset(words(" ".join(_NAME.findall(text)))) - STOP
    weights = {key: 0.2 for key in words(about) if key not in STOP}
    weights |= {key: 0.2 if key in LIGHT - names else 1.0 for key in words(text) if key not in STOP}
    # `how deep` asks for a figure, whatever that is called.
    weights |= {key: 0.5 for said in _HOW.findall(text) for key in words(said) if key in weights.keys() - LIGHT}
    # A season ticket is no day ticket.
    weights |= {first: 1.0 for first, second in pairwise(words(text)) if first in UNITS and weights.get(second) == 1}
    counted = re.search(rf"(?i)\bhow many (?:\w+ (?={_TIME}))?(\w+)", text)
    return Question(text, weights, names & weights.keys(), looks, counted[1] if counted else "")


def rank(question: Question, seen: Sequence[Fact]) -> list[Rated]:
    """The facts that say something to a question, best first: those that answer it ahead of the others."""
    rated = (_rated(question, fact) for fact in seen)
    return sorted((each for each in rated if each.score), key=lambda each: (not each.sure, -each.score))


def _rated(question: Question, fact: Fact) -> Rated:
    """A word is said by the fact itself, what stands above or beside it, or (no name) by its section."""
    # A fact that names something is not about what was named before it.
    lends = not any(not name.isdigit() for name in _NAME.findall(fact.value))
    covered = {}
    for key in question.weights:
        name = key in question.names
        levels = (
            (fact.value, 1.0),
            (fact.text, 1.0 if fact.row or fact.value == fact.text else 0.95),
            (fact.place, 0.85),
            (fact.before, 0.7 * (lends or not name)),
        )
        around = fact.around, 0.6 * (not fact.row and (not name or key.isdigit()))
        covered[key] = next((share * said for text, share in (*levels, around) if (said := covers(key, text))), 0.0)
    coverage = sum(w * covered[key] for key, w in question.weights.items()) / (sum(question.weights.values()) or 1)
    if coverage < _NEAR:
        return Rated(False, 0.0, fact)
    value = re.sub("|".join(map(re.escape, _GIVEN.findall(question.text))) or "$^", "", f"{fact.value}\n{fact.column}")
    best, other = (bool(look and re.search(look, value, re.I | re.M)) for look in question.looks)
    fits = (1.0 if best or not question.looks[0] else 0.6 * other) * (not question.of or counts(question.of, fact))
    brevity = sum(share == 1 for share in covered.values()) / (len(stems(fact.text)) or 1)
    sure = coverage >= _ANSWERS and fits > 0 and all(map(covered.get, question.names))
    return Rated(sure, coverage + 0.25 * fits + 0.05 * brevity, fact)


def counts(counted: str, fact: Fact) -> bool:
    """Whether a number in the fact is one of what is counted: `employees get 28 days` are no employees."""
    beside = f"{fact.subject} {fact.column}"
    said = (f"{n.text} {'' if n.dimension in ('time', 'money') else beside}" for n in quantities(fact.value))
    return any(covers(key, each) for each in said for key in words(counted))
