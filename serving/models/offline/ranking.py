"""Which unit answers a question, if any: weighted overlap, names that must be there, a value of the right kind."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import DATED, INFINITE, Quantity, quantities, ranges, stems
from serving.models.offline.passages import Unit
from serving.models.offline.question import Question, Term

ENOUGH: Final = 0.62
_DAYS: Final = "|".join(v.WEEKDAYS)
_OFTEN: Final = v.either("every each per once twice times daily weekly monthly quarterly annually yearly regularly")
_LASTING: Final = v.either("lifetime unlimited indefinite permanent forever immediately same_day until within an_hour")
_WHEN: Final = v.either("immediately upon within before after until every daily weekly monthly start end_of")
_OFFICES: Final = v.either(
    """manager director head officer lead chief team department office board committee desk staff owner administrator
    coordinator supervisor accountant nurse physician C[A-Z]O Dr Mr Ms"""
)
# What a value of each kind looks like where it is not a number with a unit.
_VALUES: Final = {
    "phone": r"\+?\d[\d /()-]{5,}\d|\[PHONE",
    "email": r"\S@\S|\[EMAIL",
    "percent": r"%|\bper ?cent\b",
    "often": rf"\b(?:{_OFTEN})\b|\b(?:an?|the) (?:{'|'.join(map(re.escape, v.UNITS))})\b|\bon (?:{_DAYS})s",
    "time": rf"\b(?:{_LASTING})\b",
    "number": r"\b(?:no|none|free|unlimited|nothing|included|on request|gratis)\b",
    "date": rf"\b(?:(?:19|20)\d\d|{_DAYS})|\b(?:{_WHEN})\b",
    "person": rf"(?-i:\b(?:{_OFFICES})\b|\[(?:PERSON|NAME)|\b[A-Z]\w+ [A-Z]\w+)",
}


@dataclass(frozen=True, slots=True)
class Scored:
    unit: Unit
    score: float


@dataclass(frozen=True, slots=True)
class Scale:
    """What each word of a question weighs among some units, and what the documents they come from speak of."""

    weights: Mapping[str, float]
    topics: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, question: Question, units: Sequence[Unit]) -> "Scale":
        """Rare words weigh more; one that stands nowhere weighs most, so that an answer without it is none."""
        weights: dict[str, float] = {}
        topics: dict[str, frozenset[str]] = {}
        for term in question.terms:
            rarity = math.log(1 + (1 + len(units)) / (1 + sum(1 for unit in units if term.within(unit.own))))
            weights[term.key] = rarity * (0.2 if term.weak else 1.4 if term.required else 1.0)
        for unit in units:
            topics[unit.section[0]] = topics.get(unit.section[0], frozenset()) | unit.own
        return cls(weights, topics)

    def coverage(self, question: Question, unit: Unit) -> float:
        """The weighted share of the question's words that a unit covers; 0 when a required one is missing."""
        covered = {term.key: covers(term, unit) for term in question.terms}
        focus = [covered[term.key] for term in question.terms if term.focus]
        if any(not covered[term.key] for term in question.terms if term.required):
            return 0.0
        if focus and sum(1 for share in focus if share > 0.5) * 2 < len(focus):
            return 0.0
        total, topic = sum(self.weights.values()) or 1.0, self.topics.get(unit.section[0], frozenset())
        # A rule for just the amount in question counts like one more word that is there.
        rule = total / len(covered) if (_within_bounds(question, unit) or 0.0) > 0.05 else 0.0
        total += rule
        near = (rule + sum(self.weights[key] * share for key, share in covered.items())) / total
        far = sum(self.weights[t.key] * 0.5 * t.within(topic) for t in question.terms if not covered[t.key]) / total
        return near + far if near > 0.45 else near


def best(question: Question, units: Sequence[Unit], most: int = 5) -> tuple[Scored, ...]:
    """The unit that answers, with those of its section that do so as well; empty when none does."""
    ranked = rank(question, units)
    top = ranked[0] if ranked else None
    if top is None or top.unit.kind not in ("item", "sentence"):
        return tuple(ranked[:1])
    if question.kind != "text" and top.unit.kind != "item":
        return (top,)
    near = [s for s in ranked if s.unit.section == top.unit.section and s.score > top.score - 0.04]
    order = {id(unit): at for at, unit in enumerate(units)}
    return tuple(sorted(near[:most], key=lambda s: order[id(s.unit)]))


def rank(question: Question, units: Sequence[Unit]) -> list[Scored]:
    """The units that are an answer, best first."""
    scale = Scale.of(question, units)
    scored = [Scored(unit, score) for unit in units if (score := _score(question, unit, scale)) is not None]
    return sorted(scored, key=lambda s: -s.score)


def _score(question: Question, unit: Unit, scale: Scale) -> float | None:
    coverage = scale.coverage(question, unit)
    fits, bound = _fits(question, unit, coverage), _within_bounds(question, unit)
    if coverage < ENOUGH or fits is None or bound is None:
        return None
    said = sum(1 for term in question.terms if term.key in unit.own)
    shape = {"row": 0.03, "pair": 0.08}.get(unit.kind, 0.0)
    worth = 0.4 if question.counted else 0.15
    return coverage + worth * fits + bound + 0.04 * said / max(len(unit.own), 1) - shape


def covers(term: Term, unit: Unit) -> float:
    """How far a unit says a term: itself, by a figure that it measures, by its surroundings, or by what came before."""
    measured = v.dimension(term.word.lower())
    if share := term.within(unit.own):
        return share
    if measured and any(quantity.dimension == measured for quantity in quantities(unit.value)):
        return 1.0
    if share := term.within(stems(unit.around)):
        return 0.75 * share
    # What is named must be named here: the sentence before may have spoken of another product.
    return 0.7 * term.within(stems(unit.before)) if unit.before and not term.required else 0.0


def _fits(question: Question, unit: Unit, coverage: float) -> float | None:
    """1 when the unit holds a value of the kind asked for; None when it must and does not."""
    kind, numbers = question.kind, quantities(unit.value)
    told = kind in _VALUES and re.search(_VALUES[kind], unit.value, re.IGNORECASE) is not None
    timed = any(number.dimension == "time" for number in numbers)
    if kind == "text":
        return 0.0
    if kind == "cost":
        return 1.0 if any(number.dimension == "money" for number in numbers) else 0.3 if numbers else 0.0
    if kind in ("phone", "email", "often", "person", "percent"):
        return 1.0 if told else 0.0 if kind == "person" else None
    if question.counted:
        return _counts(question, unit, numbers)
    if kind == "time":
        return 1.0 if timed else 0.6 if told else 0.3 if numbers else None
    if kind == "date":
        return 1.0 if timed or DATED.search(unit.value) else 0.6 if told else 0.0 if coverage > 0.9 else None
    return 1.0 if any(n.unit for n in numbers) else 0.6 if numbers or told else None


def _counts(question: Question, unit: Unit, numbers: Sequence[Quantity]) -> float | None:
    """`how many beds` wants a number of beds; a number of something else only when all other words are there."""
    wanted = question.counted
    if any(n.unit in wanted for n in numbers) or (unit.kind == "cell" and numbers and not wanted.isdisjoint(unit.own)):
        return 1.0
    behind = [stems(unit.text[number.start : number.end + 20]) for number in numbers]
    if any(not wanted.isdisjoint(near) for near in behind):
        return 0.8
    others = [term for term in question.terms if term.key not in wanted and not term.weak]
    return 0.0 if numbers and len(others) > 1 and all(term.within(unit.own) for term in others) else None


def _within_bounds(question: Question, unit: Unit) -> float | None:
    """A rule for other amounts than the one in question is no answer: None."""
    found = 0.0
    for size, dimension in question.bounds:
        stated = [(low, high) for low, high, other in ranges(unit.text) if other == dimension]
        fitting = [(low, high) for low, high in stated if low < size <= high]
        if stated and not fitting:
            return None
        if fitting:
            found += 0.1 if any(abs(high) < INFINITE and abs(low) < INFINITE for low, high in fitting) else 0.09
    return found
