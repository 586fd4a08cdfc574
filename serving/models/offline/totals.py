"""Figures over several passages of the documents: sums of named items or of a whole list, the largest, the smallest."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import TOKEN, Quantity, content, nearest, quantities, stem, stems
from serving.models.offline.passages import Unit
from serving.models.offline.question import Question, ask
from serving.models.offline.ranking import ENOUGH, Scale, rank

SUM: Final = re.compile(
    r"\b(?:sum|totals?|add|altogether|together|in all|combined|overall)\b|\b(?:spen[dt]|how much)\b.* and\b",
    re.IGNORECASE,
)
# Where these stand, a single item of the list would be a wrong answer.
ONLY_SUM: Final = re.compile(r"\b(?:sum|totals?|altogether|add up)\b", re.IGNORECASE)
_ITEM: Final = r"(?:the |for |for the )?[\w-]+(?: [\w-]+)?"
_ITEMS: Final = re.compile(rf"((?:{_ITEM}, )*{_ITEM}),? and ({_ITEM})", re.IGNORECASE)
_COSTS: Final = stems("cost price expense fee amount charge spending bill")
_FURTHEST: Final = re.compile(r"\b(\w+est|most|least)\b((?:\s+[\w-]+){0,3})", re.IGNORECASE)

Priced = tuple[Unit, Quantity]


def summands(question: Question, seen: Sequence[Unit]) -> list[Priced]:
    """The amounts to add: of the items that the question names, or of the list that it is about. Empty for neither."""
    lists = [(u, q) for u in seen if u.kind in ("item", "cell", "sentence") and (q := amount(u))]
    items = _ITEMS.search(question.text)
    names = [_plain_name(name) for name in (*items[1].split(", "), items[2])] if items else []
    parts = _items(names, question, lists) if names and all(names) else _whole_list(question, lists)
    return parts if len(parts) > 1 and len({quantity.unit for _, quantity in parts}) == 1 else []


def _plain_name(item: str) -> str:
    return " ".join(word for word in item.split() if word.lower() not in v.STOP and not SUM.fullmatch(word))


def furthest(question: Question, seen: Sequence[Unit]) -> Unit | None:
    """Of the values that the documents state for an attribute, the largest or the smallest."""
    cue = _FURTHEST.search(question.text)
    word = cue[1].lower() if cue else ""
    if cue is None or word not in v.EXTREMES or any(word in unit.text.lower() for unit in seen):
        return None
    following = cue[2].lower().split()
    dimension = v.dimension(word) or (v.dimension(following[0]) if following else "")
    attribute = _attribute(following)
    asked = replace(question, terms=tuple(t for t in question.terms if t.word.lower() != word))
    found = [(unit, q) for unit in _stating(asked, attribute, seen) if (q := amount(unit, attribute, dimension))]
    same = [(unit, q) for unit, q in found if q.dimension == found[0][1].dimension]
    sign = v.EXTREMES[word] * (v.DEGREES[following[0]][0] if following and following[0] in v.DEGREES else 1)
    return max(same, key=lambda pair: sign * pair[1].size)[0] if len(same) > 1 else None


def _attribute(following: Sequence[str]) -> frozenset[str]:
    """The noun behind the superlative: `warranty` in `the longest warranty on rowing machines`."""
    nouns = [word for word in following if word not in v.DEGREES]
    end = next((at for at, word in enumerate(nouns) if word in v.STOP), len(nouns))
    return content(" ".join(nouns[:end]))


def _stating(question: Question, attribute: frozenset[str], seen: Sequence[Unit]) -> list[Unit]:
    """The units that answer and name the attribute themselves, or else the kind of thing that is asked for."""
    wanted = [term for term in question.terms if term.key in attribute] or question.terms[:1]
    ranked = [scored.unit for scored in rank(replace(question, kind="text"), seen)]
    single = [unit for unit in ranked if unit.kind in ("cell", "item", "sentence")]
    cells = not attribute and "cell"
    return [unit for unit in single if unit.kind == cells or any(term.within(unit.own) for term in wanted)]


def amount(unit: Unit, attribute: frozenset[str] = frozenset(), dimension: str = "") -> Quantity | None:
    """The figure of a unit: the one nearest to the attribute, else its money, else its last number.

    A figure without a unit takes that of its column.
    """
    numbers = [_in_column(number, unit) for number in quantities(unit.value)]
    fitting = [number for number in numbers if not dimension or number.dimension == dimension]
    if attribute or dimension:
        return nearest(fitting, unit.value, attribute)
    return next((n for n in numbers if n.dimension == "money"), numbers[-1] if numbers else None)


def _in_column(number: Quantity, unit: Unit) -> Quantity:
    named = next((word.lower() for word in TOKEN.findall(unit.column) if word.lower() in v.UNITS), "")
    return number if number.unit or not named else replace(number, unit=named, dimension=v.UNITS[named][0])


def _items(names: Sequence[str], question: Question, lists: Sequence[Priced]) -> list[Priced]:
    """One amount for each name; those of one section belong together. Empty when one is missing."""
    scale = Scale.of(question, [unit for unit, _ in lists])
    wanted = [[term for term in ask(name).terms if term.key not in _COSTS] for name in names]
    found = [[(u, q) for u, q in lists if terms and all(t.within(u.own) for t in terms)] for terms in wanted]
    together = Counter(section for pairs in found for section in {unit.section for unit, _ in pairs})

    def fit(pair: Priced) -> tuple[int, float, bool]:
        unit, quantity = pair
        return together[unit.section], round(scale.coverage(question, unit), 1), quantity.dimension == "money"

    return [max(pairs, key=fit) for pairs in found] if all(found) else []


def _whole_list(question: Question, lists: Sequence[Priced]) -> list[Priced]:
    """The items of the one list that the question is about, without its own total."""
    groups: dict[tuple[str, ...], list[Priced]] = {}
    for unit, quantity in lists:
        if unit.kind != "sentence":
            groups.setdefault((*unit.section, unit.kind, unit.column, quantity.unit), []).append((unit, quantity))
    scale = Scale.of(question, [unit for unit, _ in lists])
    scored = [(max(scale.coverage(question, u) for u, _ in g), g) for g in groups.values() if len(g) > 1]
    score, chosen = max(scored, key=lambda pair: pair[0], default=(0.0, []))
    return [(u, q) for u, q in chosen if stem("total") not in u.own] if score >= ENOUGH else []
