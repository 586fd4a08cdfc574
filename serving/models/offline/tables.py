"""A question about tables as a query: measure, group, order and filters, and the words that none of them explains."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from graph.ports import TableInfo
from serving.models.offline import vocabulary as v
from serving.models.offline.columns import MONEY, Column, is_quantity, named
from serving.models.offline.filters import Filter, Reader
from serving.models.offline.language import TOKEN, keys, stems

Aggregate = Literal["sum", "avg", "min", "max", "count", "share", "rows"]
_SUMS: Final = v.either("spend spent revenue turnover sales sum total totals altogether overall add_up combined in_all")
_CUES: Final[tuple[tuple[Aggregate, str], ...]] = (
    ("share", r"\b(?:what|which) (?:percentage|percent|share|proportion)\b"),
    ("avg", r"\b(?:average|mean)\b"),
    ("count", r"\bhow many\b"),
    ("sum", rf"\b(?:{_SUMS})\b"),
    ("count", r"\bnumber of\b"),
)
_GROUP: Final = re.compile(r"\b(?:by|per|(?:for|in|of) each|each|every)\s+((?:[\w-]+\s?){1,2})")
_WHICH: Final = re.compile(
    r"\b(?:(?:which|what)(?: (?:is|are|was|were) the)?|top \w+|list (?:all |the )?(?:\w+ )?)\s?((?:[\w-]+\s?){1,3})"
)
_COUNTED: Final = re.compile(r"(?:how many|number of)\s+((?:[\w-]+\s?){1,4})")
_MOST: Final = re.compile(r"\b(?:most|fewest|least)\s+((?:[\w-]+\s?){1,2})")
_AMONG: Final = re.compile(r"\b(?:which|compare|versus|vs|than|difference|or)\b")
_PIECES: Final = re.compile(r"\b(?:sold|bought|ordered)\b")
_PARTS: Final = {
    part: f"strftime({{}}, '{form}')"
    for part, form in (("month", "%Y-%m"), ("year", "%Y"), ("day", "%Y-%m-%d"), ("week", "%G week %V"))
} | {"quarter": "year({0}) || ' Q' || quarter({0})", "half": "year({0}) || ' H' || ((month({0}) + 5) // 6)"}
# Verbs and nouns that speak of rows in general; a table needs no column for them.
_ROWS: Final = stems(
    " ".join(v.WEAK | v.EXTREMES.keys() | v.COMPARATIVES.keys())
    + """ place issue register book list order buy sell arrive different distinct average row entry table show
    compute calculate worth percentage percent share proportion combine visit see serve log earn bring spend across"""
)
_VALUE: Final = stems("value revenue sale turnover total spend worth amount cost")


@dataclass(slots=True)
class TableQuestion:
    """What to ask of one table, filled in by `read`: `measure` and `group` are SQL, `measured`, `grouped` their names.

    `unexplained`: content words that no part of the query stands for; `cued`: the words ask for a calculation.
    """

    table: TableInfo
    aggregate: Aggregate
    filters: tuple[Filter, ...] = ()
    direction: int = 0
    top: int = 1
    cued: bool = False
    measure: str = ""
    measured: str = ""
    unit: str = ""
    group: str = ""
    grouped: str = ""
    by_id: bool = False
    shown: tuple[Column, ...] = ()
    explained: int = 0
    exact: int = 0
    unexplained: tuple[str, ...] = ()

    def of(self, column: Column) -> None:
        self.measure, self.measured, self.unit = column.amount, column.title, column.unit

    def of_different(self, column: Column) -> None:
        self.aggregate, self.measure, self.measured = "count", f"DISTINCT {column.sql}", f"different {column.title}"

    def by(self, column: Column) -> None:
        self.group, self.grouped, self.by_id = column.sql, column.title, column.identifies

    def by_part(self, column: Column, part: str) -> None:
        self.group, self.grouped = _PARTS[part].format(column.sql), part


def read(text: str, table: TableInfo, values: Mapping[str, Sequence[str]] | None = None) -> TableQuestion:
    """`values`: column -> values of it that the question may mean, beyond the samples in the overview."""
    reader = Reader(text, table, values or {})
    aggregate: Aggregate = next((name for name, cue in _CUES if re.search(cue, reader.lower)), "rows")
    asked = TableQuestion(table, aggregate, reader.filters())
    asked.direction, asked.top = _direction(reader)
    asked.cued = aggregate != "rows" or asked.direction != 0
    _group(reader, asked)
    if aggregate == "count":
        _count(reader, asked)
    elif aggregate == "share":
        asked.unit = "%"
    else:
        _measure(reader, asked)
    left = [word for word in reader.free() if word not in reader.entity and not set(keys(word)) <= _ROWS]
    asked.explained = len([word for word in reader.words if word in reader.used | reader.entity])
    asked.exact, asked.unexplained = reader.exact, tuple(dict.fromkeys(left))
    return asked


def _direction(reader: Reader) -> tuple[int, int]:
    """+1 for the highest, -1 for the lowest, and how many of them."""
    words = TOKEN.findall(re.sub(r"\bat (?:least|most)\b", "", reader.lower))
    reader.used |= {word for word in reader.words if word in v.NUMBERS or (word.isdigit() and len(word) < 3)}
    many = re.search(r"\b(?:top|the) (\d{1,2}|two|three|four|five|ten)\b", reader.lower)
    count = int(v.NUMBERS.get(many[1], many[1])) if many else 1
    return next((v.EXTREMES[word] for word in words if word in v.EXTREMES), 0), count


def _group(reader: Reader, asked: TableQuestion) -> None:
    """`by country`, `per month`, `which customer ... the most`, `Berlin or Munich`."""
    for match in _GROUP.finditer(reader.lower):
        words = match[1].split()
        part = next((word.rstrip("s") for word in words if word.rstrip("s") in _PARTS), "")
        if part and (dated := reader.dated()):
            reader.used |= set(words)
            return asked.by_part(dated, part)
        ordering = asked.direction and named(words, reader.of_kind("number"))
        if not ordering and (column := named(words, reader.of_kind("text", "flag"), 0.5)):
            reader.use(column, words)
            return asked.by(column)
    several = next((f for f in asked.filters if f.many or (reader.when.part and f.said == reader.when.said)), None)
    if several and _AMONG.search(reader.lower):
        return asked.by(several.column) if several.many else asked.by_part(several.column, reader.when.part)
    return _group_by_subject(reader, asked)


def _group_by_subject(reader: Reader, asked: TableQuestion) -> None:
    """`which customer ...`: the noun behind the question word, unless it is what a row stands for."""
    which = _WHICH.search(reader.lower)
    if not asked.direction or which is None:
        return
    skipped = {*v.STOP, *v.EXTREMES, *v.NUMBERS}
    words = [word for word in which[1].split() if word not in skipped and not word.isdigit()]
    words = words[: next((at for at, word in enumerate(words) if word in reader.used), len(words))] or words
    column = named(words[:2], reader.of_kind("text"))
    if column and not (words[0] in reader.entity and column.identifies):
        reader.use(column, words)
        asked.by(column)


def _count(reader: Reader, asked: TableQuestion) -> None:
    """`how many X`: the sum of a column X, the distinct X, or the rows."""
    cue = _COUNTED.search(reader.lower)
    words = [word for word in (cue[1].split() if cue else []) if word not in v.STOP]
    words = words[: next((at + 1 for at, word in enumerate(words) if word in reader.entity), len(words))]
    entity = any(word in reader.entity and not (word.endswith("ed") or word in v.IRREGULAR) for word in words)
    free = [word for word in words if word not in reader.used and word not in reader.entity]
    numbers = [column for column in reader.of_kind("number") if not column.money]
    column = named(words[:1] if entity else free[:2], numbers)
    if column is None and not entity and (reader.apposed & set(words) or reader.used & set(words[:1])):
        column = _pieces(reader, numbers, words, free)
    if column:
        reader.use(column, words)
        asked.aggregate = "sum"
        return asked.of(column)
    distinct = named(free[:2], reader.of_kind("text"))
    if distinct and distinct.sql != asked.group and not (entity and distinct.keys & stems(asked.table.name)):
        reader.use(distinct, words)
        asked.of_different(distinct)
    elif distinct is None and free and len(asked.filters) > (0 if named(free[:1], reader.columns, 0.4) else 1):
        # `how many plants in the Desert House are alive`: with two conditions, or a column `planted`, rows are meant.
        reader.used.add(free[0])
    return None


def _pieces(reader: Reader, numbers: Sequence[Column], words: Sequence[str], free: Sequence[str]) -> Column | None:
    """`how many X200 pumps`: the pieces of them, where the rows say how many each holds."""
    column = next(filter(is_quantity, numbers), None) if all(set(keys(word)) <= _ROWS for word in free) else None
    reader.used -= set() if column else reader.apposed & set(words)
    return column


def _measure(reader: Reader, asked: TableQuestion) -> None:
    numbers, most = reader.of_kind("number"), _MOST.search(reader.lower)
    column = named([word for word in reader.free() if word not in v.EXTREMES], numbers, 0.5)
    if column is None and {"cheapest", "expensive"} & set(reader.words):
        column = next((number for number in numbers if number.money), None)
    if re.search(r"\bhow much\b", reader.lower) and not (column and "pric" in column.keys):
        asked.aggregate, asked.cued = "sum" if asked.aggregate == "rows" else asked.aggregate, True
    if asked.group and asked.aggregate == "rows" and most and not reader.entity.isdisjoint(most[1].split()):
        asked.aggregate = "count"
        return None
    if product := _product(reader, column):
        asked.measure, asked.measured, asked.unit = product
        return _reduce(reader, asked, money=True)
    if column is None and most and (counted := named(most[1].split(), reader.of_kind("text"))):
        reader.use(counted, reader.words)
        return asked.of_different(counted)
    calculates = asked.aggregate != "rows" or asked.direction or asked.group
    if not calculates or not (chosen := column or _default(reader, asked, numbers)):
        return _list(reader, asked) if asked.aggregate == "rows" else None
    if asked.group and asked.aggregate == "rows" and column is None:
        asked.aggregate = "sum"
    reader.use(chosen, reader.words)
    asked.of(chosen)
    return _reduce(reader, asked, chosen.money)


def _reduce(reader: Reader, asked: TableQuestion, money: bool) -> None:
    """Rows with a measure become one figure (a group), or stay rows in the order of the measure."""
    if money:
        reader.used |= {word for word in reader.words if not MONEY.isdisjoint(keys(word))}
        _keep_currencies_apart(reader, asked)
    which = _WHICH.search(reader.lower)
    if asked.aggregate != "rows":
        return
    if which and not asked.group and any(word in reader.entity for word in which[1].split()):
        asked.shown = _identity(reader)
    elif not asked.direction or _MOST.search(reader.lower) or re.search(r"\b(?:spen[dt]|sold|most)\b", reader.lower):
        asked.aggregate = "sum"
    else:
        asked.aggregate = "max" if asked.direction > 0 else "min"


def _keep_currencies_apart(reader: Reader, asked: TableQuestion) -> None:
    column = next((c for c in reader.of_kind("text") if c.name in ("currency", "curr")), None)
    if column is None or not column.values or any(f.column == column for f in asked.filters):
        return
    if len(column.values) == 1:
        asked.unit = column.values[0]
    elif asked.group:
        asked.group, asked.grouped = f"{asked.group} || ' ' || {column.sql}", f"{asked.grouped} and currency"
    else:
        asked.by(column)


def _product(reader: Reader, column: Column | None) -> tuple[str, str, str] | None:
    """Quantity times unit price, where a value is wanted and the table has no column for it."""
    numbers = reader.of_kind("number")
    price = next((c for c in numbers if "pric" in c.keys), None)
    quantity = next((c for c in numbers if c != price and is_quantity(c)), None)
    wanted = any(not _VALUE.isdisjoint(keys(word)) for word in reader.words)
    if not (price and quantity and wanted) or {"price", "prices"} & set(reader.words):
        return None
    if column not in (None, price) or any(c.money and c != price for c in numbers):
        return None
    reader.used |= {word for word in reader.words if not (price.keys | quantity.keys).isdisjoint(keys(word))}
    return f"{quantity.sql} * {price.amount}", "value", price.unit


def _default(reader: Reader, asked: TableQuestion, numbers: Sequence[Column]) -> Column | None:
    """The column that a bare `total` or `most` speaks of: pieces that were sold, the money, or the only number."""
    pieces = next(filter(is_quantity, numbers), None)
    if asked.group and pieces and _PIECES.search(reader.lower):
        return pieces
    money = [column for column in numbers if column.money]
    spoken = asked.aggregate != "rows" or asked.group or reader.entity or stems(reader.lower) & MONEY
    return next(iter(money or numbers), None) if asked.cued and spoken and (money or len(numbers) == 1) else None


def _identity(reader: Reader) -> tuple[Column, ...]:
    """The columns that name a row: its id or first text, and a name."""
    texts = reader.of_kind("text")
    called = [column for column in texts if column.name in ("name", "title") or column.name.endswith("_name")]
    return tuple(dict.fromkeys([*texts[:1], *called[:1]]))


def _list(reader: Reader, asked: TableQuestion) -> None:
    """Rows as they are: the columns that the question names, beside what identifies a row."""
    wanted = []
    for word in [word for word in reader.free() if word not in reader.entity]:
        if column := named([word], reader.columns, 0.5):
            wanted.append(column)
            reader.use(column, [word])
    filtered = {f.column for f in asked.filters}
    besides = [] if wanted else [column for column in reader.of_kind("text") if column not in filtered][:3]
    asked.shown = tuple(dict.fromkeys([*_identity(reader), *besides, *wanted]))
    asked.cued = bool(wanted) or asked.direction != 0
