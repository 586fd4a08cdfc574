"""A question about tables as SQL: its measure, group, filters and order, and the words that none of them explains."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from serving.models.offline import vocabulary as v
from serving.models.offline.columns import MONEY, Column, Sheet, actor, named
from serving.models.offline.dates import Period, period
from serving.models.offline.language import TOKEN, keys, number_of, plain, stem, stems, synonyms

Aggregate = Literal["owed", "sum", "avg", "min", "max", "count", "share", "rows"]
_CUES: Final = (
    ("share", r"\b(?:what|which) (?:percentage|percent|share|proportion)\b|\bhow many percent\b"),
    ("avg", r"\b(?:average|mean|avg|on average)\b"),
    ("count", r"\bhow many\b"),
    ("sum", r"\b(?:revenue|turnover|sales|earnings|sum|total|totals|altogether|overall|add up|adds up|in all|combined|add together)\b"),
    ("owed", r"\bhow much\b"),
    ("count", r"\bnumber of\b|\bcount\b"),
)
_GROUP: Final = re.compile(r"\b(?:by|per|for each|for every|in each|of each|each|every)\s+((?:[\w-]+\s?){1,2})")
_WHICH: Final = re.compile(r"\b(?:which|what|whose|top \w+|list (?:all |the )?(?:\w+ )?)\s?((?:[\w-]+\s?){1,3})")
_OPERATORS: Final = (
    (r"(?:above|over|more than|greater than|exceed(?:s|ing)?|higher than|longer than|heavier than|larger than)", ">"),
    (r"(?:at least|no less than|minimum)", ">="),
    (r"(?:below|under|less than|fewer than|lower than|shorter than|cheaper than)", "<"),
    (r"(?:at most|up to|no more than|maximum)", "<="),
)
_NUMBER: Final = r"\s+(?:of )?(?:[€$£]|eur |usd |gbp )?(\d[\d.,]*\d|\d)\s?([^\W\d_]+)?"
_NOT: Final = re.compile(r"(?:\bnot|n't|\bnon|\bexcluding|\bexcept(?: for)?|\bwithout|\bother than|\bnever)[\s-]*(?:(?:yet|been|be|the|any) )*$")
_AMONG: Final = re.compile(r"\b(?:which|compare|versus|vs|than|difference|each|or)\b")
# Verbs and nouns that speak of rows in general; a table needs no column for them.
_ROWS: Final = frozenset(
    stem(w) for w in """place make issue record register book list order buy sell arrive belong different distinct unique
    overall altogether add sum average total row entry table csv sheet spreadsheet highest lowest most least top show number
    compute calculate work worth percentage percent share proportion mean combine compare visit largest smallest see serve log
    biggest earn bring spend hold cheap expensive complete across""".split()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filter:
    sql: str
    said: str
    column: str


@dataclass(frozen=True, slots=True)
class TableQuestion:
    """What to ask of one sheet. `unexplained`: content words that no part of the query stands for."""

    sheet: Sheet
    aggregate: Aggregate
    measure: str = ""
    measured: str = ""
    unit: str = ""
    group: str = ""
    grouped: str = ""
    shown: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    direction: int = 0
    top: int = 1
    explained: int = 0
    exact: int = 0
    unexplained: tuple[str, ...] = ()
    cued: bool = False

    @property
    def by_id(self) -> bool:
        """Whether groups carry mere ids: a joined sheet may know their names."""
        return any(column.sql == self.group and column.identifies for column in self.sheet.columns)


@dataclass
class _Reader:
    """Reads one question against one sheet; `used` collects the words that found their place."""

    text: str
    sheet: Sheet
    values: dict[str, tuple[str, ...]]
    used: set[str] = field(default_factory=set)
    exact: int = 0
    apposed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lower = self.text.lower()
        self.words = [word for word in TOKEN.findall(self.lower) if word not in v.STOP]
        self.entity = {word for word in self.words if not self.sheet.keys.isdisjoint(keys(word))}

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.sheet.columns if column.kind in kinds]

    def free(self) -> list[str]:
        return [word for word in self.words if word not in self.used]

    def use(self, column: Column, words: Sequence[str]) -> None:
        near = {key for own in column.keys | column.unit_keys for key in (own, actor(own), *synonyms(own))}
        self.exact += sum(1 for word in words if word in self.free() and not column.keys.isdisjoint(keys(word)))
        self.used |= {word for word in words if not near.isdisjoint(keys(word))}

    def filters(self) -> list[Filter]:
        found = [*self._values(), *self._flags(), *self._comparisons()]
        dated = self._period()
        return [*found, *dated]

    def _values(self) -> list[Filter]:
        said: dict[str, list[str]] = {}
        negated: set[str] = set()
        for column in self.of_kind("text"):
            known = dict.fromkeys((*column.values, *self.values.get(column.sql, ())))
            for value in sorted(known, key=len, reverse=True):
                words = self._said(value)
                if words and not column.yes:
                    said.setdefault(column.sql, []).append(value)
                    at = self.lower.find(words[0])
                    if _NOT.search(self.lower[:at]) or words[0].startswith("un") and not value.lower().startswith("un"):
                        negated.add(column.sql)
                    self.used |= set(words)
                    self._apposed(words[-1])
        return [_one_of(self._column(sql), values, sql in negated) for sql, values in said.items()]

    def _apposed(self, word: str) -> None:
        """`X200 pumps`, `Express service`: the noun behind a value says what the value is."""
        after = re.search(rf"\b{re.escape(word)}\s+([a-z]+)", self.lower)
        if after and after[1] in self.words and after[1] not in self.entity and not named([after[1]], self.sheet.columns):
            self.used.add(after[1])
            self.apposed.add(after[1])

    def _column(self, sql: str) -> Column:
        return next(column for column in self.sheet.columns if column.sql == sql)

    def _said(self, value: str) -> list[str]:
        """The question's words that say a value: all of it in order, or for a value that was looked up its distinct part."""
        wanted = [key for token in TOKEN.findall(value) for key in keys(token)]
        every = TOKEN.findall(self.lower)
        for at in range(len(every) - len(wanted) + 1):
            words = every[at : at + len(wanted)]
            free = [word for word in words if word in self.words and word not in self.used]
            if len(wanted) == 1 and not self.entity.isdisjoint(words):
                continue
            if free and all(_same(word, key, value) for word, key in zip(words, wanted, strict=True)):
                return words
        return []

    def _flags(self) -> list[Filter]:
        found = []
        for column in self.of_kind("flag", "text"):
            word = next((w for w in self.free() if not column.keys.isdisjoint({*keys(w), *keys(w.removeprefix("un"))})), "")
            if column.yes and word:
                no = bool(_NOT.search(self.lower[: self.lower.find(word)])) or column.keys.isdisjoint(keys(word))
                self.used.add(word)
                sql = f"{column.sql} {'IS DISTINCT FROM' if no else '='} {column.yes}"
                found.append(Filter(sql, f"{'not ' if no else ''}{column.name.replace('_', ' ')}", column.sql))
        return found

    def _comparisons(self) -> list[Filter]:
        found = []
        for cue, operator in _OPERATORS:
            for match in re.finditer(rf"\b{cue}{_NUMBER}", self.lower):
                number, unit = number_of(match[1].rstrip(".,")), match[2] or ""
                column = self._compared(unit)
                if column and number is not None:
                    found.append(Filter(f"{column.sql} {operator} {plain(number)}", match.group(), column.sql))
                    self.used |= {*TOKEN.findall(match.group())} - ({unit} if unit and unit not in v.UNITS else set())
        return found

    def _compared(self, unit: str) -> Column | None:
        numbers = self.of_kind("number")
        by_unit = [c for c in numbers if unit and (unit in c.name.split("_") or unit.rstrip("s") in c.name.split("_"))]
        money = [c for c in numbers if c.money] if not unit or v.UNITS.get(unit, ("",))[0] == "money" else []
        column = next(iter(by_unit), None) or named(self.free(), numbers) or next(iter(money), None)
        if column:
            self.use(column, self.free())
        return column

    def _period(self) -> list[Filter]:
        dates = self.of_kind("date")
        when = period(self.text)
        if not dates or not when.conditions:
            return []
        column = named(self.free(), dates, 0.4) or dates[0]
        self.use(column, self.free())
        self.used |= when.words
        self.when = when
        return [Filter(" AND ".join(when.conditions).replace("{}", column.sql), when.said, column.sql)]

    when: Period = Period()


def read(text: str, sheet: Sheet, values: dict[str, tuple[str, ...]] | None = None) -> TableQuestion:
    """`values`: column -> values of it that the question may mean, beyond the samples in the overview."""
    reader = _Reader(text, sheet, values or {})
    aggregate: Aggregate = next((name for name, cue in _CUES if re.search(cue, reader.lower)), "rows")  # type: ignore[misc]
    cued = aggregate != "rows"
    filters = reader.filters()
    direction, top = _direction(reader)
    group, grouped, per_row = _group(reader, filters, direction, aggregate)
    asked = TableQuestion(sheet, aggregate, group=group, grouped=grouped, direction=direction, top=top, cued=cued or bool(direction))
    asked = _counted(reader, asked) if aggregate in ("count", "share") else _measured(reader, asked, per_row)
    asked = replace(asked, filters=tuple(f for f in filters if not (asked.group and f.column == asked.group and "IN" not in f.sql)))
    return _explain(reader, asked)


def _direction(reader: _Reader) -> tuple[int, int]:
    word = next((word for word in TOKEN.findall(reader.lower) if word in v.EXTREMES), "")
    least = bool(re.search(r"\bleast (?!\d)", reader.lower)) and not re.search(r"\bat least\b", reader.lower)
    reader.used |= {word for word in reader.words if word in v.NUMBERS or word.isdigit() and len(word) < 3}
    many = re.search(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b", reader.lower)
    count = int(number_of(many[1]) or v.NUMBERS.get(many[1], 1)) if many else 1
    if word == "least" and not least:
        return 0, 1
    return v.EXTREMES.get(word, 0), min(count, 20)


def _group(reader: _Reader, filters: Sequence[Filter], direction: int, aggregate: Aggregate) -> tuple[str, str, bool]:
    """(SQL to group by, its name, whether rows themselves are asked for)."""
    for match in _GROUP.finditer(reader.lower):
        words = match[1].split()
        if part := next((w.rstrip("s") for w in words if w.rstrip("s") in ("month", "year", "quarter", "day", "week")), ""):
            if dates := reader.of_kind("date"):
                column = named(reader.free(), dates, 0.4) or dates[0]
                reader.used |= set(words)
                return _part(part, column), part, False
        ordering = direction and named(words, reader.of_kind("number"), 0.6)
        if not ordering and (column := named(words, reader.of_kind("text", "flag"), 0.6)):
            reader.use(column, words)
            return column.sql, column.name, False
    if reader.when.part and _AMONG.search(reader.lower) and (dated := next((f for f in filters if f.said == reader.when.said), None)):
        return _part(reader.when.part, reader._column(dated.column)), reader.when.part, False
    several = next((f for f in filters if " IN " in f.sql and "," in f.sql and f.said.count(" or ")), None)
    if several and _AMONG.search(reader.lower):
        return several.column, reader._column(several.column).name, False
    which = _WHICH.search(reader.lower)
    if direction and (which or reader.lower.startswith("who")):
        words = [word for word in (which[1].split() if which else ["name"]) if word not in v.STOP and word not in v.EXTREMES and not word.isdigit() and word not in v.NUMBERS]
        words = words[: next((i for i, w in enumerate(words) if w in reader.used), len(words))] or words
        column = named(words[:2], reader.of_kind("text"), 0.6) or (None if which else next(iter(reader.of_kind("text")), None))
        entity = bool(words) and words[0] in reader.entity
        if column and not (entity and column.identifies):
            reader.use(column, words)
            return column.sql, column.name, False
        return "", "", entity
    return "", "", aggregate == "rows"


def _part(part: str, column: Column) -> str:
    form = {"month": "%Y-%m", "year": "%Y", "day": "%Y-%m-%d", "week": "%G week %V"}.get(part)
    return f"strftime({column.sql}, '{form}')" if form else f"year({column.sql}) || ' Q' || quarter({column.sql})"


def _counted(reader: _Reader, asked: TableQuestion) -> TableQuestion:
    """`how many X`: the sum of a column X, the distinct X, or the rows."""
    cue = re.search(r"(?:how many|number of|percentage of|percent of|share of|proportion of)\s+((?:[\w-]+\s?){1,4})", reader.lower)
    words = [word for word in (cue[1].split() if cue else []) if word not in v.STOP]
    words = words[: next((i + 1 for i, w in enumerate(words) if w in reader.entity), len(words))]
    numbers = [column for column in reader.of_kind("number") if not column.money]
    entity = any(word in reader.entity and not word.endswith("ed") for word in words)
    free = [word for word in words if word not in reader.used and word not in reader.entity]
    column = None if asked.aggregate == "share" else named(words[:1] if entity else free[:2], numbers, 0.6)
    if asked.aggregate == "count" and not column and not free and reader.apposed & set(words):
        column = next((c for c in numbers if not c.keys.isdisjoint(_QUANTITY)), None)
    if column:
        reader.use(column, words)
        return replace(asked, aggregate="sum", measure=_amount(column), measured=column.name, unit=column.unit)
    distinct = None if asked.aggregate == "share" else named(free[:2], reader.of_kind("text"), 0.6)
    if distinct and distinct.sql != asked.group and not (entity and distinct.keys & reader.sheet.keys):
        reader.use(distinct, words)
        return replace(asked, measure=f"DISTINCT {distinct.sql}", measured=f"different {distinct.name}")
    reader.used |= reader.entity
    return asked


def _measured(reader: _Reader, asked: TableQuestion, per_row: bool) -> TableQuestion:
    numbers = reader.of_kind("number")
    free = [word for word in reader.free() if word not in v.EXTREMES or named([word], numbers, 0.9)]
    column = named(free, numbers) or _priced(free, numbers)
    if asked.aggregate == "owed":
        asked = replace(asked, aggregate="rows" if column and "pric" in column.keys else "sum")
    product = _product(reader, column)
    most = re.search(r"\b(?:most|fewest|least|more|fewer)\s+((?:[\w-]+\s?){1,3})", reader.lower)
    if asked.group and asked.aggregate == "rows" and most and any(w in reader.entity for w in most[1].split()[:2]):
        reader.used |= reader.entity
        return replace(asked, aggregate="count")
    if asked.aggregate == "rows" and not asked.direction and not asked.group:
        return _listed(reader, asked)
    if not product and column is None and most and (counted := named(most[1].split()[:2], reader.of_kind("text"), 0.6)):
        reader.use(counted, reader.words)
        return replace(asked, aggregate="count", measure=f"DISTINCT {counted.sql}", measured=f"different {counted.name}")
    if not product and column is None:
        column = _default(reader, asked)
    if not product and column is None:
        if asked.aggregate != "rows":
            return asked
        return replace(asked, aggregate="count") if asked.group and most else _listed(reader, asked)
    if product:
        asked = replace(asked, measure=product, measured="value", unit=_price_unit(numbers))
    elif column:
        asked = replace(asked, measure=_amount(column), measured=column.name, unit=column.unit)
        reader.use(column, reader.words)
    if product or (column and column.money):
        reader.used |= {word for word in reader.words if not MONEY.isdisjoint(keys(word))}
    if asked.aggregate == "rows" and (asked.group or not per_row):
        summed = re.search(r"\b(?:most|least|fewest|revenue|sales|turnover|spent|spend|sold)\b", reader.lower)
        asked = replace(asked, aggregate="sum" if summed or not asked.direction else "max" if asked.direction > 0 else "min")
    return replace(asked, shown=_identity(reader)) if asked.aggregate == "rows" else asked


def _priced(words: Sequence[str], numbers: Sequence[Column]) -> Column | None:
    cheap = {"cheapest", "priciest", "expensive", "cheap"} & set(words)
    return next((column for column in numbers if column.money), None) if cheap else None


def _product(reader: _Reader, column: Column | None) -> str:
    """Quantity times unit price, where the question wants a value and the table has no column for it."""
    numbers = reader.of_kind("number")
    price = next((c for c in numbers if "pric" in c.keys), None)
    quantity = next((c for c in numbers if not c.keys.isdisjoint(_QUANTITY) and c != price), None)
    wanted = not stems("value revenue sale turnover total spend worth amount cost").isdisjoint(k for w in reader.words for k in keys(w))
    own = [c for c in numbers if c.money and c is not price]
    said = {"price", "prices"} & set(reader.words)
    if not price or not quantity or own or said or not wanted or (column and column is not price):
        return ""
    reader.used |= {word for word in reader.words if not (price.keys | quantity.keys).isdisjoint(keys(word))}
    return f"{quantity.sql} * {_amount(price)}"


def _price_unit(numbers: Sequence[Column]) -> str:
    return next((column.unit for column in numbers if "pric" in column.keys), "")


def _default(reader: _Reader, asked: TableQuestion) -> Column | None:
    """The column a bare `total` or `most` speaks of: the only money column, or the only number."""
    if not asked.cued:
        return None
    numbers = reader.of_kind("number")
    money = [column for column in numbers if column.money]
    chosen = money or numbers
    return chosen[0] if len(chosen) == 1 or money else None


def _amount(column: Column) -> str:
    return column.sql if column.exact else f"CAST({column.sql} AS DECIMAL(28, 8))"


def _identity(reader: _Reader) -> tuple[Column, ...]:
    """The columns that name a row: its id or first text, and a name."""
    texts = reader.of_kind("text")
    called = [c for c in texts if c.name in ("name", "title") or c.name.endswith("_name")]
    return tuple(dict.fromkeys([*texts[:1], *called[:1]]))


def _listed(reader: _Reader, asked: TableQuestion) -> TableQuestion:
    """Rows as they are: the columns the question names, or what identifies them."""
    asked_for = []
    for word in [word for word in reader.free() if word not in reader.entity]:
        if column := named([word], reader.sheet.columns, 0.5):
            asked_for.append(column)
            reader.use(column, [word])
    shown = tuple(dict.fromkeys([*(_identity(reader)), *asked_for]))
    reader.used |= reader.entity
    return replace(asked, aggregate="rows", shown=shown, cued=bool(asked_for) or asked.direction != 0)


def _explain(reader: _Reader, asked: TableQuestion) -> TableQuestion:
    reader.used |= reader.entity
    if asked.sheet.joined:
        reader.used |= {word for word in reader.words if not stems(asked.sheet.joined).isdisjoint(keys(word))}
    left = [w for w in reader.free() if not all(k in _ROWS or k in _WEAK for k in keys(w))]
    explained = len([w for w in reader.words if w in reader.used])
    return replace(asked, explained=explained, exact=reader.exact, unexplained=tuple(dict.fromkeys(left)))


_QUANTITY: Final = frozenset(stem(word) for word in "quantity qty units stock pieces".split())
_WEAK: Final = frozenset(stem(word) for word in v.WEAK) | frozenset(stem(word) for word in (*v.EXTREMES, *v.COMPARATIVES))


def _same(word: str, key: str, value: str) -> bool:
    own = keys(word)
    if word.startswith("un") and stem(word[2:]) == key:
        return True
    return key in own and (" " in value or value.lower() == word or abs(len(word) - len(value)) <= 2)


def _one_of(column: Column, values: Sequence[str], negated: bool) -> Filter:
    listed = ", ".join("'" + value.lower().replace("'", "''") + "'" for value in dict.fromkeys(values))
    sql = f"lower(CAST({column.sql} AS VARCHAR)) {'NOT ' if negated else ''}IN ({listed})"
    return Filter(sql, f"{column.name.replace('_', ' ')} {'not ' if negated else ''}{' or '.join(dict.fromkeys(values))}", column.sql)
