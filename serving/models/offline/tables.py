"""A question about tables as a query: measure, group, order and filters, and the words that none of them explains."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from serving.models.offline import vocabulary as v
from serving.models.offline.columns import MONEY, Column, Sheet, named
from serving.models.offline.filters import Filter, Reader
from serving.models.offline.language import TOKEN, keys, number_of, stem, stems

Aggregate = Literal["sum", "avg", "min", "max", "count", "share", "rows"]
_SUMS: Final = v.either(
    """spend spent revenue turnover sales earnings sum total totals altogether overall add_up adds_up add_together
    combined in_all"""
)
_CUES: Final[tuple[tuple[Aggregate, str], ...]] = (
    ("share", r"\b(?:what|which) (?:percentage|percent|share|proportion)\b|\bhow many percent\b"),
    ("avg", r"\b(?:average|mean|avg)\b"),
    ("count", r"\bhow many\b"),
    ("sum", rf"\b(?:{_SUMS})\b"),
    ("count", r"\bnumber of\b|\bcount\b"),
)
_GROUP: Final = re.compile(r"\b(?:by|per|(?:for|in|of) each|for every|each|every)\s+((?:[\w-]+\s?){1,2})")
_WHICH: Final = re.compile(
    r"\b(?:(?:which|what)(?: (?:is|are|was|were) the)?|whose|top \w+|list (?:all |the )?(?:\w+ )?)\s?"
    r"((?:[\w-]+\s?){1,3})"
)
_COUNTED: Final = re.compile(r"(?:how many|(?:number|percentage|percent|share|proportion) of)\s+((?:[\w-]+\s?){1,4})")
_MOST: Final = re.compile(r"\b(?:most|fewest|least|more|fewer)\s+((?:[\w-]+\s?){1,2})")
_AMONG: Final = re.compile(r"\b(?:which|compare|versus|vs|than|difference|each|or)\b")
_SUMMED: Final = re.compile(r"\b(?:most|least|fewest|spent|spend|sold)\b")
_PARTS: Final = {"month": "%Y-%m", "year": "%Y", "day": "%Y-%m-%d", "week": "%G week %V", "quarter": ""}
# Verbs and nouns that speak of rows in general; a table needs no column for them.
_ROWS: Final = frozenset(
    stem(word)
    for word in v.words(
        """place make issue record register book list order buy sell arrive belong different distinct unique average row
        entry table csv sheet spreadsheet show compute calculate worth percentage percent share proportion mean combine
        compare visit see serve log earn bring spend cheap expensive complete across"""
    ).union(v.WEAK, v.EXTREMES, v.COMPARATIVES)
)
_QUANTITY: Final = frozenset(stem(word) for word in v.words("quantity qty units stock pieces"))
_VALUE: Final = stems("value revenue sale turnover total spend worth amount cost")


@dataclass(frozen=True, slots=True)
class TableQuestion:
    """What to ask of one sheet: `measure` and `group` are SQL, `measured` and `grouped` their names.

    `unexplained`: content words that no part of the query stands for; `cued`: the words ask for a calculation.
    """

    sheet: Sheet
    aggregate: Aggregate
    cued: bool = False
    measure: str = ""
    measured: str = ""
    unit: str = ""
    group: str = ""
    grouped: str = ""
    by_id: bool = False
    shown: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    direction: int = 0
    top: int = 1
    explained: int = 0
    exact: int = 0
    unexplained: tuple[str, ...] = ()


def read(text: str, sheet: Sheet, values: Mapping[str, Sequence[str]] | None = None) -> TableQuestion:
    """`values`: SQL of a column -> values of it that the question may mean, beyond the samples in the overview."""
    reader = Reader(text, sheet, values or {})
    aggregate: Aggregate = next((name for name, cue in _CUES if re.search(cue, reader.lower)), "rows")
    filters = reader.filters()
    direction, top = _direction(reader)
    asked = TableQuestion(
        sheet, aggregate, aggregate != "rows" or direction != 0, filters=filters, direction=direction, top=top
    )
    asked = _grouped(reader, asked)
    asked = _counted(reader, asked) if aggregate in ("count", "share") else _measured(reader, asked)
    return _explained(reader, asked)


def _direction(reader: Reader) -> tuple[int, int]:
    """+1 for the highest, -1 for the lowest, and how many of them."""
    words = TOKEN.findall(re.sub(r"\bat (?:least|most)\b", "", reader.lower))
    reader.used |= {word for word in reader.words if word in v.NUMBERS or (word.isdigit() and len(word) < 3)}
    many = re.search(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b", reader.lower)
    count = int(number_of(many[1]) or v.NUMBERS.get(many[1], 1)) if many else 1
    return next((v.EXTREMES[word] for word in words if word in v.EXTREMES), 0), min(count, 20)


# ---------------------------------------------------------------- groups


def _grouped(reader: Reader, asked: TableQuestion) -> TableQuestion:
    """`by country`, `per month`, `which customer ... the most`, `Berlin or Munich`."""
    for match in _GROUP.finditer(reader.lower):
        words = match[1].split()
        part = next((word.rstrip("s") for word in words if word.rstrip("s") in _PARTS), "")
        if part and (column := reader.dated()):
            reader.used |= set(words)
            return _by_part(asked, part, column)
        ordering = asked.direction and named(words, reader.of_kind("number"), 0.6)
        if not ordering and (found := named(words, reader.of_kind("text", "flag"), 0.6)):
            return _by(reader, asked, found, words)
    if _AMONG.search(reader.lower):
        dated = next((f for f in asked.filters if f.said == reader.when.said and reader.when.part), None)
        if dated:
            return _by_part(asked, reader.when.part, dated.column)
        if several := next((f for f in asked.filters if f.many), None):
            return _by(reader, asked, several.column, [])
    return _by_subject(reader, asked)


def _by_subject(reader: Reader, asked: TableQuestion) -> TableQuestion:
    """`which customer ...`: the noun behind the question word, unless it is what a row stands for."""
    which = _WHICH.search(reader.lower)
    if not asked.direction or not (which or reader.lower.startswith("who")):
        return asked
    texts = reader.of_kind("text")
    if which is None:
        return _by(reader, asked, texts[0], []) if texts else asked
    skipped = {*v.STOP, *v.EXTREMES, *v.NUMBERS}
    words = [word for word in which[1].split() if word not in skipped and not word.isdigit()]
    words = words[: next((at for at, word in enumerate(words) if word in reader.used), len(words))] or words
    column = named(words[:2], texts, 0.6)
    if column is None or (words[0] in reader.entity and column.identifies):
        return asked
    return _by(reader, asked, column, words)


def _by(reader: Reader, asked: TableQuestion, column: Column, words: Sequence[str]) -> TableQuestion:
    reader.use(column, words)
    return replace(asked, group=column.sql, grouped=column.title, by_id=column.identifies)


def _by_part(asked: TableQuestion, part: str, column: Column) -> TableQuestion:
    form = _PARTS[part]
    sql = f"strftime({column.sql}, '{form}')" if form else f"year({column.sql}) || ' Q' || quarter({column.sql})"
    return replace(asked, group=sql, grouped=part)


# ---------------------------------------------------------------- measures


def _counted(reader: Reader, asked: TableQuestion) -> TableQuestion:
    """`how many X`: the sum of a column X, the distinct X, or the rows."""
    cue = _COUNTED.search(reader.lower)
    words = [word for word in (cue[1].split() if cue else []) if word not in v.STOP]
    words = words[: next((at + 1 for at, word in enumerate(words) if word in reader.entity), len(words))]
    entity = any(word in reader.entity and not word.endswith("ed") for word in words)
    free = [word for word in words if word not in reader.used and word not in reader.entity]
    if asked.aggregate == "share":
        return asked
    numbers = [column for column in reader.of_kind("number") if not column.money]
    column = named(words[:1] if entity else free[:2], numbers, 0.6)
    valued = reader.apposed & set(words) or reader.used & set(words[:1])
    if column is None and valued and not entity and all(key in _ROWS for word in free for key in keys(word)):
        # `how many X200 pumps`: the pieces of them, where the rows say how many each holds.
        column = _quantity(numbers)
        reader.used -= set() if column else reader.apposed & set(words)
    if column:
        reader.use(column, words)
        return replace(asked, aggregate="sum", measure=column.amount, measured=column.title, unit=column.unit)
    distinct = named(free[:2], reader.of_kind("text"), 0.6)
    if distinct is None and free and _are_rows(reader, asked, free[0]):
        reader.used.add(free[0])
    if distinct is None or distinct.sql == asked.group or (entity and distinct.keys & reader.sheet.keys):
        return asked
    reader.use(distinct, words)
    return replace(asked, measure=f"DISTINCT {distinct.sql}", measured=f"different {distinct.title}")


def _are_rows(reader: Reader, asked: TableQuestion, noun: str) -> bool:
    """`how many plants in the Desert House are alive`: with two conditions, or a column `planted`, rows are meant."""
    told = any(not column.keys.isdisjoint(keys(noun)) for column in reader.sheet.columns)
    return len(asked.filters) > (0 if told else 1)


def _measured(reader: Reader, asked: TableQuestion) -> TableQuestion:
    numbers = reader.of_kind("number")
    column = named([w for w in reader.free() if w not in v.EXTREMES or named([w], numbers, 0.9)], numbers)
    if column is None and {"cheapest", "expensive", "priciest"} & set(reader.words):
        column = next((number for number in numbers if number.money), None)
    if re.search(r"\bhow much\b", reader.lower) and not (column and "pric" in column.keys):
        asked = replace(asked, aggregate="sum" if asked.aggregate == "rows" else asked.aggregate, cued=True)
    most = _MOST.search(reader.lower)
    if asked.group and asked.aggregate == "rows" and most and not reader.entity.isdisjoint(most[1].split()):
        return replace(asked, aggregate="count")
    if product := _product(reader, column):
        return _reduced(reader, replace(asked, measure=product[0], measured="value", unit=product[1]), money=True)
    if column is None and most and (counted := named(most[1].split(), reader.of_kind("text"), 0.6)):
        reader.use(counted, reader.words)
        return replace(
            asked, aggregate="count", measure=f"DISTINCT {counted.sql}", measured=f"different {counted.title}"
        )
    listed = asked.aggregate == "rows" and not asked.direction and not asked.group
    named_ = column is not None
    column = None if listed else column or _default(reader, asked, numbers)
    if column is None:
        return _listed(reader, asked) if asked.aggregate == "rows" else asked
    if asked.group and asked.aggregate == "rows" and not named_:
        asked = replace(asked, aggregate="sum")
    reader.use(column, reader.words)
    asked = replace(asked, measure=column.amount, measured=column.title, unit=column.unit)
    return _reduced(reader, asked, column.money)


def _reduced(reader: Reader, asked: TableQuestion, money: bool) -> TableQuestion:
    """Rows with a measure become one figure (a group), or stay rows in the order of the measure."""
    if money:
        reader.used |= {word for word in reader.words if not MONEY.isdisjoint(keys(word))}
        asked = _in_currency(reader, asked)
    if asked.aggregate != "rows":
        return asked
    which = _WHICH.search(reader.lower)
    rows = which and any(word in reader.entity for word in which[1].split())
    if rows and not asked.group:
        return replace(asked, shown=_identity(reader))
    extreme: Aggregate = "max" if asked.direction > 0 else "min"
    return replace(asked, aggregate="sum" if _SUMMED.search(reader.lower) or not asked.direction else extreme)


def _in_currency(reader: Reader, asked: TableQuestion) -> TableQuestion:
    """Amounts in several currencies are never added up: each stands alone."""
    column = next((c for c in reader.of_kind("text") if c.name in ("currency", "curr")), None)
    if column is None or not column.values or any(f.column == column for f in asked.filters):
        return asked
    if len(column.values) == 1:
        return replace(asked, unit=column.values[0])
    group = f"{asked.group} || ' ' || {column.sql}" if asked.group else column.sql
    return replace(asked, group=group, grouped=f"{asked.grouped} and currency" if asked.group else "currency")


def _product(reader: Reader, column: Column | None) -> tuple[str, str] | None:
    """(SQL, unit) of quantity times unit price, where a value is wanted and the table has no column for it."""
    numbers = reader.of_kind("number")
    price = next((c for c in numbers if "pric" in c.keys), None)
    quantity = _quantity([column for column in numbers if column != price])
    wanted = any(not _VALUE.isdisjoint(keys(word)) for word in reader.words)
    other = [c for c in numbers if c.money and c is not price]
    if not (price and quantity and wanted) or other or {"price", "prices"} & set(reader.words):
        return None
    if column and column is not price:
        return None
    reader.used |= {word for word in reader.words if not (price.keys | quantity.keys).isdisjoint(keys(word))}
    return f"{quantity.sql} * {price.amount}", price.unit


def _quantity(numbers: Sequence[Column]) -> Column | None:
    return next((column for column in numbers if not column.keys.isdisjoint(_QUANTITY)), None)


def _default(reader: Reader, asked: TableQuestion, numbers: Sequence[Column]) -> Column | None:
    """The column that a bare `total` or `most` speaks of: pieces that were sold, the money, or the only number."""
    if asked.group and re.search(r"\b(?:sold|bought|ordered)\b", reader.lower) and (pieces := _quantity(numbers)):
        return pieces
    money = [column for column in numbers if column.money]
    return next(iter(money or numbers), None) if asked.cued and (money or len(numbers) == 1) else None


def _identity(reader: Reader) -> tuple[Column, ...]:
    """The columns that name a row: its id or first text, and a name."""
    texts = reader.of_kind("text")
    called = [column for column in texts if column.name in ("name", "title") or column.name.endswith("_name")]
    return tuple(dict.fromkeys([*texts[:1], *called[:1]]))


def _listed(reader: Reader, asked: TableQuestion) -> TableQuestion:
    """Rows as they are: the columns that the question names, beside what identifies a row."""
    wanted = []
    for word in [word for word in reader.free() if word not in reader.entity]:
        if column := named([word], reader.sheet.columns, 0.5):
            wanted.append(column)
            reader.use(column, [word])
    filtered = {f.column for f in asked.filters}
    besides = [] if wanted else [column for column in reader.of_kind("text") if column not in filtered][:3]
    shown = tuple(dict.fromkeys([*_identity(reader), *besides, *wanted]))
    return replace(asked, aggregate="rows", shown=shown, cued=bool(wanted) or asked.direction != 0)


def _explained(reader: Reader, asked: TableQuestion) -> TableQuestion:
    joined = stems(asked.sheet.joined.replace("_", " "))
    reader.used |= reader.entity | {word for word in reader.words if not joined.isdisjoint(keys(word))}
    left = [word for word in reader.free() if not all(key in _ROWS for key in keys(word))]
    explained = sum(1 for word in reader.words if word in reader.used)
    return replace(asked, explained=explained, exact=reader.exact, unexplained=tuple(dict.fromkeys(left)))
