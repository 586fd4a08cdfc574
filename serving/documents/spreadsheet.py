"""A CSV text as columns: delimiter, header and types worked out from what is there; nothing is lost."""

import csv
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from itertools import islice
from typing import Literal

_DELIMITERS = ",;\t|"
_PROBE_ROWS = 50
_DECIMAL_DIGITS = 18
_NOTHING = frozenset({"", "-", "na", "n/a", "nan", "none", "null"})
_KEYWORDS = """
all analyse analyze and any array as asc asymmetric both by case cast check collate column columns constraint create
default deferrable desc describe distinct do else end except exclude false fetch for foreign from group having in
initially intersect into is join lambda lateral leading left like limit natural not null offset on only or order outer
pivot pivot_longer pivot_wider placing primary qualify references returning right row_number select semi show some
summarize symmetric table then to trailing true union unique unpivot using variadic when where window with
"""
RESERVED = frozenset(_KEYWORDS.split())


class NotATable(ValueError):
    """The text has no rows and columns that can be read."""


@dataclass(frozen=True, slots=True)
class Column:
    """`name` is what SQL says, `title` what the file says. `values` are as SQL casts them to `type`; None is NULL."""

    name: str
    title: str
    type: str
    values: tuple[str | None, ...]


def read_columns(text: str) -> tuple[Column, ...]:
    """The columns of a CSV text, all of the same length. Raises NotATable.

    Short rows are filled with NULL; what stands beyond the header goes to a column `extra`. Empty is NULL, and so are
    "n/a", "-" and the like in a column that is otherwise numbers or dates. Numbers with leading zeros stay text.
    """
    delimiter, rows = _rows(text)
    if not rows:
        raise NotATable("no rows")
    titles, body = _header(rows)
    names = unique_names([identifier(title, f"column_{at}") for at, title in enumerate([*titles, "extra"], start=1)])
    columns = [
        Column(name, title.strip(), *_typed(_cells(body, at), decimal_comma=delimiter == ";"))
        for at, (name, title) in enumerate(zip(names, titles, strict=False))
    ]
    beyond = tuple(delimiter.join(row[len(titles) :]).strip(f"{delimiter} ") or None for row in body)
    return (*columns, Column(names[-1], "extra", "VARCHAR", beyond)) if any(beyond) else tuple(columns)


def _cells(rows: Sequence[Sequence[str]], at: int) -> list[str]:
    return [row[at].strip() if at < len(row) else "" for row in rows]


def identifier(title: str, instead: str) -> str:
    """A title as an SQL name that needs no quotes: `[a-z_][a-z0-9_]*`; `instead` when nothing is left of it."""
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60] or instead
    name = f"n_{name}" if name[0].isdigit() else name
    return f"{name}_" if name in RESERVED else name


def unique_names(names: Iterable[str]) -> list[str]:
    """The same names in the same order; a second `a` becomes `a_2`."""
    taken: set[str] = set()
    unique: list[str] = []
    for name in names:
        at, candidate = 1, name
        while candidate in taken:
            at += 1
            candidate = f"{name}_{at}"
        taken.add(candidate)
        unique.append(candidate)
    return unique


# ---------------------------------------------------------------- rows


def _rows(text: str) -> tuple[str, list[list[str]]]:
    if (first := text.split("\n", 1)[0]).lower().startswith("sep=") and len(first) == 5:
        delimiter, text = first[4], text[6:]
    else:
        delimiter = max(_DELIMITERS, key=lambda candidate: _fit(text, candidate))
    return delimiter, [row for row in _read(text, delimiter) if any(cell.strip() for cell in row)]


def _read(text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(_records(text, delimiter, strict=True))
    except csv.Error as error:
        # A quote that is never closed would swallow the rest of the file: then quotes are read as letters.
        closed = "unexpected end" not in str(error) and "field larger" not in str(error)
    try:
        return list(_records(text, delimiter, quotes=closed))
    except csv.Error as error:
        raise NotATable(str(error)) from None


def _records(text: str, delimiter: str, quotes: bool = True, strict: bool = False) -> Iterator[list[str]]:
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    return csv.reader(StringIO(text), delimiter=delimiter, quoting=quoting, strict=strict, skipinitialspace=True)


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """How regularly the delimiter cuts the first rows: share of rows as wide as most, then that width."""
    try:
        probe = islice(_records(text[:100_000], delimiter), _PROBE_ROWS)
        widths = Counter(map(len, probe))
    except csv.Error:
        return 0.0, 0
    width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return (times / widths.total(), width) if width > 1 else (0.0, 0)


def _header(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    first = rows[0]
    while len(first) > 1 and not first[-1].strip():
        first = first[:-1]
    if all(_NUMBER.fullmatch(cell.strip()) or not cell.strip() for cell in first):
        return [f"column_{at}" for at in range(1, len(first) + 1)], rows
    return first, rows[1:]


# ---------------------------------------------------------------- types

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")
_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)?(?:\.\d+)?")
_SCIENTIFIC = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ENGLISH = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|0|[1-9]\d*)(?:\.\d+)?")
_CONTINENTAL = re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+|0|[1-9]\d*)(?:,\d+)?")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?Z?")
_OTHER_DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")

Typed = tuple[str, tuple[str | None, ...]]


def _typed(values: Sequence[str], decimal_comma: bool) -> Typed:
    """(SQL type, values as SQL reads them)."""
    given = [value for value in values if value.lower() not in _NOTHING]
    for attempt in (_boolean, _integer, _dates, _numbers):
        if given and (found := attempt(given, decimal_comma)):
            sql_type, convert = found
            return sql_type, tuple(None if v.lower() in _NOTHING else convert(v) for v in values)
    return "VARCHAR", tuple(value or None for value in values)


Reading = tuple[str, Callable[[str], str]] | None


def _boolean(given: Sequence[str], _: bool) -> Reading:
    return ("BOOLEAN", str.lower) if all(value.lower() in ("true", "false") for value in given) else None


def _integer(given: Sequence[str], _: bool) -> Reading:
    return ("BIGINT", str) if all(map(_INTEGER.fullmatch, given)) else None


def _numbers(given: Sequence[str], decimal_comma: bool) -> Reading:
    if all(map(_DECIMAL.fullmatch, given)):
        # In a file with `;` and so a decimal comma, "1.234" alone could be a thousand: it stays text.
        unclear = decimal_comma and not _shows_marks(given, ",", ".")
        return None if unclear else _decimal(given, str)
    if all(map(_SCIENTIFIC.fullmatch, given)):
        return ("DOUBLE", str) if all(math.isfinite(float(value)) for value in given) else None
    if all(map(_ENGLISH.fullmatch, given)) and not decimal_comma and _shows_marks(given, ",", "."):
        return _decimal(given, lambda value: value.replace(",", ""))
    if all(map(_CONTINENTAL.fullmatch, given)) and (decimal_comma or _shows_marks(given, ".", ",")):
        return _decimal(given, lambda value: value.replace(".", "").replace(",", "."))
    return None


def _shows_marks(given: Sequence[str], group: str, point: str) -> bool:
    """Whether a value shows which mark is which: "1,234" could be either; "1,234.5", "1,234,567" and "1.5" can't."""
    for value in given:
        _, marked, fraction = value.partition(point)
        if value.count(group) > 1 or (marked and (group in value or len(fraction) != 3)):
            return True
    return False


def _decimal(given: Sequence[str], convert: Callable[[str], str]) -> Reading:
    parts = [convert(value).lstrip("-").partition(".") for value in given]
    scale = max(len(fraction) for _, _, fraction in parts)
    if scale + max(len(whole) for whole, _, _ in parts) > _DECIMAL_DIGITS:
        # A whole number this long is an account or a card, and a DOUBLE would change it.
        return ("DOUBLE", convert) if scale else None
    return f"DECIMAL({_DECIMAL_DIGITS},{scale})", convert


def _dates(given: Sequence[str], _: bool) -> Reading:
    if all(map(_ISO_DATE.fullmatch, given)):
        return _existing(given, "DATE", str)
    if all(map(_ISO_TIME.fullmatch, given)):
        return _existing(given, "TIMESTAMP", lambda value: value.removesuffix("Z"))
    matches = [match for value in given if (match := _OTHER_DATE.fullmatch(value))]
    if len(matches) < len(given):
        return None
    day_first = any(int(m[1]) > 12 for m in matches) or all(m[2] == "." for m in matches)
    month_first = any(int(m[3]) > 12 for m in matches)
    if day_first == month_first:
        return None
    order = r"\4-\3-\1" if day_first else r"\4-\1-\3"
    return _existing(given, "DATE", lambda value: _padded(_OTHER_DATE.sub(order, value)))


def _existing(given: Sequence[str], sql_type: str, convert: Callable[[str], str]) -> Reading:
    try:
        for value in given:
            datetime.fromisoformat(convert(value))
    except ValueError:
        return None
    return sql_type, convert


def _padded(date: str) -> str:
    year, month, day = date.split("-")
    return f"{year}-{month:0>2}-{day:0>2}"
