"""Months, quarters, halves and years that a question names, as conditions on a date column."""

import re
from dataclasses import dataclass
from typing import Final

from serving.models.offline import vocabulary as v

# "may" is a month only where the words around it say so.
_MONTH: Final = "|".join(f"{month}|{month[:3]}" for month in v.MONTHS if month != "may") + (
    r"|(?<=\b(?:in|of|or|to) )may|(?<=\b(?:and|for) )may|may(?= \d{4})"
)
_SINGLE_DAY: Final = re.compile(
    rf"\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:{_MONTH})\b|\b(?:{_MONTH}) \d{{1,2}}\b|\d{{4}}-\d\d"
)
_EDGE: Final = re.compile(rf"\b(since|from|after|before|until) ({_MONTH})\b")
_OPERATORS: Final = {"since": ">=", "from": ">=", "after": ">", "before": "<", "until": "<="}
_PARTS: Final = (
    ("month", re.compile(rf"\b({_MONTH})\b")),
    ("quarter", re.compile(r"\bq([1-4])\b|\b(first|second|third|fourth) quarter")),
    ("half", re.compile(r"\bh([12])\b|\b(first|second) half")),
    ("year", re.compile(r"\b((?:19|20)\d\d)\b")),
)
_HALF: Final = "((month({}) + 5) // 6)"


@dataclass(frozen=True, slots=True)
class Period:
    """`conditions` hold `{}` for the date column; `part` is what to group by when several are named."""

    conditions: tuple[str, ...] = ()
    said: str = ""
    part: str = ""


def period(text: str) -> Period:
    """The time that a question speaks of; nothing for single days, which are left to stand unexplained."""
    lower = text.lower()
    if _SINGLE_DAY.search(lower):
        return Period()
    conditions, said, part = [], [], ""
    if edge := _EDGE.search(lower):
        conditions.append(f"month({{}}) {_OPERATORS[edge[1]]} {_number(edge[2])}")
        said.append(edge.group())
        lower = lower.replace(edge.group(), " ")
    for name, pattern in _PARTS:
        found = list(pattern.finditer(lower))
        numbers = dict.fromkeys(_number(next(filter(None, match.groups()))) for match in found)
        if numbers:
            field = _HALF if name == "half" else f"{name}({{}})"
            conditions.append(f"{field} IN ({', '.join(map(str, numbers))})")
            said += [match.group() for match in found]
            part = part or (name if len(numbers) > 1 else "")
    return Period(tuple(conditions), " ".join(said).title(), part)


def _number(name: str) -> int:
    if name.isdigit():
        return int(name)
    ordinals = ("first", "second", "third", "fourth")
    months = (number for number, month in enumerate(v.MONTHS, 1) if month.startswith(name[:3]))
    return ordinals.index(name) + 1 if name in ordinals else next(months)
