"""Months, quarters, years and days that a question names, as conditions on a date column."""

import re
from dataclasses import dataclass
from typing import Final

from serving.models.offline import vocabulary as v

# "may" is a month only where the words around it say so.
_MONTH: Final = "|".join(f"{month}|{month[:3]}" for month in v.MONTHS if month != "may") + (
    r"|(?<=\b(?:in|of|or|to) )may|(?<=\b(?:and|for) )may|(?<=\bsince )may|may(?= \d{4})|(?<=\d )may"
)
_DAY: Final = rf"(?P<NAME>\d{{4}}-\d\d-\d\d|\d{{1,2}}\.? (?:{_MONTH})\b(?: \d{{4}})?)"
_MONTH_FIRST: Final = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b,?")
_SPAN: Final = re.compile(
    r"(?:between|from) " + _DAY.replace("NAME", "first") + r" (?:and|to|until) " + _DAY.replace("NAME", "last")
)
_EDGE: Final = re.compile(r"\b(?P<word>since|from|after|before|until|by|up to|on) " + _DAY.replace("NAME", "day"))
_MONTHS_EDGE: Final = re.compile(rf"\b(?P<word>since|from|after|before|until) (?P<month>{_MONTH})\b")
_QUARTER: Final = re.compile(r"\bq([1-4])\b|\b(first|second|third|fourth|last) quarter")
_HALF: Final = re.compile(r"\bh([12])\b|\b(first|second) half")
_OPERATORS: Final = {
    "since": ">=",
    "from": ">=",
    "after": ">",
    "before": "<",
    "until": "<=",
    "by": "<=",
    "up to": "<=",
    "on": "=",
}
_ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": 4}


@dataclass(frozen=True, slots=True)
class Period:
    """`conditions` hold `{}` for the date column; `words` are those used up; `part` is what to group by."""

    conditions: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    said: str = ""
    part: str = ""


def period(text: str) -> Period:
    """The time that a question speaks of. Several months or quarters are alternatives, grouped by `part`."""
    lower = _MONTH_FIRST.sub(r"\2 \1", text.lower())
    years = re.findall(r"\b(?:19|20)\d\d\b", lower)
    conditions: list[str] = []
    said: list[str] = []
    for pattern, render in ((_SPAN, _between), (_EDGE, _edge), (_MONTHS_EDGE, _month_edge)):
        if match := pattern.search(lower):
            conditions.append(render(match, years[-1] if years else ""))
            said.append(match.group())
            lower = lower.replace(match.group(), " ")
    part = ""
    months = [_month(name) for name in re.findall(rf"\b({_MONTH})\b", lower)]
    quarters = [int(number or _ORDINALS[word]) for number, word in _QUARTER.findall(lower)]
    halves = [int(number or _ORDINALS[word]) for number, word in _HALF.findall(lower)]
    for name, numbers in (
        ("month", months),
        ("quarter", quarters),
        ("month", [m for h in halves for m in range(6 * h - 5, 6 * h + 1)]),
    ):
        if numbers:
            conditions.append(f"{name}({{}}) IN ({', '.join(map(str, dict.fromkeys(numbers)))})")
            part = name if len(numbers) in (2, 3, 4) else part
    left = re.findall(r"\b(?:19|20)\d\d\b", lower)
    if left:
        conditions.append(f"year({{}}) IN ({', '.join(dict.fromkeys(left))})")
        part = part or ("year" if len(set(left)) > 1 else "")
    said += re.findall(rf"\b(?:{_MONTH})\b|\bq[1-4]\b|\bh[12]\b|\b\w+ (?:quarter|half)\b|\b(?:19|20)\d\d\b", lower)
    words = frozenset(re.findall(r"[\w-]+", " ".join(said)))
    return Period(tuple(conditions), words, " ".join(said).title(), part)


def _month(name: str) -> int:
    return next(number for number, month in enumerate(v.MONTHS, 1) if month.startswith(name[:3]))


def _day(text: str, year: str) -> str:
    if re.match(r"\d{4}-", text):
        return f"DATE '{text}'"
    day, month, *stated = text.replace(".", "").split()
    return f"DATE '{(stated or [year or '1900'])[0]}-{_month(month):02d}-{int(day):02d}'"


def _between(match: re.Match[str], year: str) -> str:
    return f"{{}} BETWEEN {_day(match['first'], year)} AND {_day(match['last'], year)}"


def _edge(match: re.Match[str], year: str) -> str:
    return f"CAST({{}} AS DATE) {_OPERATORS[match['word']]} {_day(match['day'], year)}"


def _month_edge(match: re.Match[str], year: str) -> str:
    return f"month({{}}) {_OPERATORS[match['word']]} {_month(match['month'])}"
