"""What the words of a question mean in one table: a value in a column, a column, or the rows."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from graph.ports import TableInfo
from serving.documents.words import words
from serving.models.offline.english import STOP, UNITS, meanings, stems

# Words for money; those of CASH must be said of a column that holds some.
CASH: Final = stems("money revenue cost price fee spend spent turnover worth earn takings income value")
MONEY: Final = CASH | stems("amount total sale net gross salary budget pay bring brought get")
# A number of these says how many a row stands for.
PIECES: Final = stems("quantity qty unit piece copies count stock sold")
# What says how to compute names no column.
_ASKING: Final = stems("average mean sum total number name show list sign live")
# Numbers that have no sum, and those that only label a row.
_RATE: Final = re.compile(r"(?:^|_)(?:unit|per|rate|year|born|birth|built|founded|since|joined|opened|acquired)(?:_|$)")
_LABEL: Final = re.compile(r"(?:^|_)(?:id|no|nr|number|code|ref)$|^year$")


class Column(NamedTuple):
    """`kind` is text, number, money, rate, date or flag; `values` are samples of a text, or the yes of a flag."""

    name: str
    kind: str
    forms: frozenset[str]
    values: tuple[str, ...] = ()


class Meaning(NamedTuple):
    """A column, a value in it or, without a column, the rows."""

    column: Column | None = None
    value: str = ""


@lru_cache(maxsize=500)
def rows_of(name: str) -> frozenset[str]:
    """What a table calls its rows."""
    return stems(re.sub(r"[\d_]+", " ", name))


def columns_of(table: TableInfo) -> list[Column]:
    rows = rows_of(table.name)
    columns = [_column(*each, table.samples.get(each[0], ()), rows) for each in table.columns]
    # A first column that is called like the rows numbers them.
    if not stems(columns[0].name.replace("_", " ")) - rows:
        columns[0] = columns[0]._replace(kind="text", forms=frozenset())
    return columns


@lru_cache(maxsize=5_000)
def _column(name: str, type_: str, values: tuple[str, ...], rows: frozenset[str]) -> Column:
    keys, units = stems(name.replace("_", " ")), [UNITS[part][0] for part in name.split("_") if part in UNITS]
    forms = keys - _ASKING or keys
    if type_ == "BOOLEAN" or (values and {value.lower() for value in values} <= {"yes", "no"}):
        return Column(name, "flag", forms, tuple(value for value in values if value.lower() == "yes") or ("true",))
    if type_.startswith(("DATE", "TIMESTAMP")):
        return Column(name, "date", forms - rows)
    if not re.match("DECIMAL|DOUBLE|BIGINT|INTEGER", type_) or _LABEL.search(name):
        return Column(name, "text", forms - rows, values)
    money = "money" in units or not (units or MONEY.isdisjoint(keys))
    return Column(name, "rate" if _RATE.search(name) else "money" if money else "number", forms)


def understand(said: Sequence[str], columns: Sequence[Column], rows: frozenset[str]) -> dict[int, Meaning]:
    """By their place the words that mean something: values, the longest first; then columns and rows."""
    means: dict[int, Meaning] = {}
    spoken = stems(" ".join(said))
    texts = [(words(value), c, value) for c in columns if c.kind == "text" for value in c.values]
    for span, column, value in sorted(texts, key=lambda each: (-len(each[0]), -len(each[1].forms & spoken))):
        for at in range(len(said) - len(span) + 1):
            # `a` is the grade A only where it is said to be one.
            clear = not STOP.issuperset(span) or not column.forms.isdisjoint(said[at - 1 : at] if at else ())
            if span == said[at : at + len(span)] and clear and means.keys().isdisjoint(range(at, at + len(span))):
                means |= dict.fromkeys(range(at, at + len(span)), Meaning(column, value))
    for at, key in enumerate(said):
        for near in (stems(key), meanings(key)) if at not in means and key not in STOP else ():
            fits = [column for column in columns if near & column.forms]
            if fits or near & rows:
                best = max(fits, key=lambda column: len(column.forms & spoken), default=None)
                means[at] = Meaning(best, best.values[0] if best and best.kind == "flag" else "")
                break
    return dict(sorted(means.items()))
