"""Figures over several passages of the documents: sums of named items or of a whole list, the largest, the smallest."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from serving.models.offline import vocabulary as v
from serving.models.offline.language import TOKEN, Quantity, quantities, stem
from serving.models.offline.passages import Unit
from serving.models.offline.question import Question, ask
from serving.models.offline.ranking import ENOUGH, Scale, covers, rank

_SUM: Final = re.compile(
    r"\b(?:sum|totals?|add|altogether|together|in all|combined|overall)\b|\b(?:spen[dt]|how much)\b.* and\b",
    re.IGNORECASE,
)
_TOTAL: Final = re.compile(r"\b(?:sum|totals?|altogether|add up)\b", re.IGNORECASE)
_ITEM: Final = r"(?:the |for |for the )?[\w-]+(?: [\w-]+)?"
_ITEMS: Final = re.compile(rf"((?:{_ITEM}, )*{_ITEM}),? and ({_ITEM})", re.IGNORECASE)
_COSTS: Final = frozenset(stem(word) for word in v.words("cost price expense fee amount charge spending bill"))

Priced = tuple[Unit, Quantity]


def wants_sum(text: str) -> bool:
    return bool(_SUM.search(text))


def wants_only_sum(text: str) -> bool:
    """`in total`, `add up`: a single item of the list would be a wrong answer."""
    return bool(_TOTAL.search(text))


def summands(question: Question, seen: Sequence[Unit]) -> list[Priced]:
    """The amounts to add: of the items that the question names, or of the list that it is about. Empty for neither."""
    lists = [(u, q) for u in seen if u.kind in ("item", "cell", "sentence") and (q := amount(u))]
    items = _ITEMS.search(question.text)
    names = [*items[1].split(", "), items[2]] if items else []
    names = [" ".join(w for w in name.split() if w.lower() not in v.STOP and not _SUM.fullmatch(w)) for name in names]
    parts = _items(names, question, lists) if names and all(names) else _whole_list(question, lists)
    return parts if len(parts) > 1 and len({quantity.unit for _, quantity in parts}) == 1 else []


def furthest(question: Question, seen: Sequence[Unit]) -> Unit | None:
    """Of all that the documents give for an attribute, the largest or the smallest."""
    word = next((w for w in TOKEN.findall(question.text.lower()) if w in v.EXTREMES), "")
    found = [
        (s.unit, q)
        for s in rank(question, seen)
        if s.unit.kind in ("cell", "item", "sentence") and (q := amount(s.unit))
    ]
    if not re.search(r"est$|most$|least$", word) or len(found) < 2 or any(stem(word) in unit.own for unit, _ in found):
        return None
    same = [pair for pair in found if pair[1].dimension == found[0][1].dimension]
    return max(same, key=lambda pair: v.EXTREMES[word] * pair[1].size)[0]


def amount(unit: Unit) -> Quantity | None:
    """The figure of a unit: its money, else its last number, in the unit that its column names."""
    numbers = quantities(unit.value)
    found = next((n for n in numbers if n.dimension == "money"), None) or (numbers[-1] if numbers else None)
    named = next((word.lower() for word in TOKEN.findall(unit.column) if word.lower() in v.UNITS), "")
    return replace(found, unit=named, dimension=v.UNITS[named][0]) if found and not found.unit and named else found


def _items(names: Sequence[str], question: Question, lists: Sequence[Priced]) -> list[Priced]:
    """One amount for each name; those of one section belong together. Empty when one is missing."""
    scale = Scale.of(question, [unit for unit, _ in lists])
    wanted = [[term for term in ask(name).terms if term.key not in _COSTS] for name in names]
    found = [[(u, q) for u, q in lists if terms and all(t.within(u.own) for t in terms)] for terms in wanted]
    together = Counter(section for pairs in found for section in {unit.section for unit, _ in pairs})

    own = {term.key for terms in wanted for term in terms} | _COSTS
    besides = [term for term in question.terms if not term.weak and term.key not in own]

    def fit(pair: Priced) -> tuple[int, float, bool]:
        unit, quantity = pair
        return together[unit.section], round(scale.coverage(question, unit), 1), quantity.dimension == "money"

    def meant(pair: Priced) -> bool:
        return sum(1 for term in besides if covers(term, question, pair[0])) * 2 >= len(besides)

    found = [[pair for pair in pairs if meant(pair)] for pairs in found]
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
