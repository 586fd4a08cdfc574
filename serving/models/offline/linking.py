"""What the words of a question mean in one table: its rows, a column, or a value in a column."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from serving.documents.words import words
from serving.models.offline.english import MONTHS, STOP, UNITS, likeness, stems

CASH: Final = stems("money revenue cost fee spend spent turnover worth earn")
MONEY: Final = CASH | stems("amount total value sale net gross salary budget")
ASKING: Final = stems(
    """average mean sum total different distinct list show name which what how many number often most sign enrol
    register live"""
)
_LABEL: Final = re.compile(r"(?:^|_)(?:id|no|nr|number|code|year|ref)$")


class Column(NamedTuple):
    """`keys` are the stems of its name; `values` are samples, or for a flag the value that means yes."""

    name: str
    kind: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


class Link(NamedTuple):
    """The words from `at` to `end` of a question mean a column, a value in it or, without a column, the rows."""

    at: int
    end: int
    column: Column | None = None
    value: str = ""


Lexicon = dict[tuple[str, ...], tuple[Column | None, str]]


def _month(value: str) -> str:
    """`2025-10` as questions say it; empty for anything else."""
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", value)
    return f"{MONTHS[int(found[2]) - 1]} {found[1]}" if found else ""


def read_column(name: str, type_: str, values: tuple[str, ...]) -> Column:
    keys = tuple(words(name))
    if type_ == "BOOLEAN" or (values and {value.lower() for value in values} <= {"yes", "no"}):
        return Column(name, "flag", keys, tuple(value for value in values if value.lower() == "yes") or ("true",))
    if type_.startswith(("DATE", "TIMESTAMP")):
        return Column(name, "date", keys, ())
    if not re.match("DECIMAL|DOUBLE|BIGINT|INTEGER", type_) or _LABEL.search(name):
        return Column(name, "text", keys, values)
    units = [UNITS[part][0] for part in name.split("_") if part in UNITS]
    money = ("money" in units or (not units and MONEY & {*keys})) and "pric" not in keys
    return Column(name, "money" if money else "number", keys, ())


def _lexicon(said: Sequence[str], rows: Sequence[str], columns: Sequence[Column]) -> Lexicon:
    """What words can mean: values before names of columns, whole names before single words of them."""
    lexicon: Lexicon = {(key,): (None, "") for key in rows}
    for column in sorted(columns, key=lambda column: -len({*column.keys} & {*said})):
        target = column, column.values[0] if column.kind == "flag" else ""
        lexicon = {(key,): target for key in {*column.keys} - {*rows} - ASKING - STOP} | lexicon
        values = {tuple(words(value)): (column, value) for value in column.values if column.kind == "text"}
        months = {tuple(words(_month(value))): (column, value) for value in column.values if _month(value)}
        lexicon |= {column.keys: target} | values | months
    return {tuple(rows): (None, "")} | lexicon


def links(said: Sequence[str], rows: Sequence[str], columns: Sequence[Column]) -> Iterator[Link]:
    """The longest spans that mean something, then words that may stand for one; `year group 6` is a value."""
    lexicon, at = _lexicon(said, rows, columns), 0
    while at < len(said):
        spans = [tuple(said[at:end]) for end in range(min(len(said), at + 6), at, -1)]
        like = {key: likeness(said[at], frozenset(key)) for key in lexicon if not key[1:]}
        spans += sorted(filter(like.get, like), key=lambda key: -like[key])
        key = next((span for span in spans if span in lexicon), ())
        end, (column, value) = at + len(key), lexicon.get(key, (None, ""))
        if key and column and not value and (number := "".join(said[end : end + 1])).isdigit():
            short = len(number) < 4 or column.kind == "text"
            end, value = (end + 1, number) if short else (end, value)
        if key:
            yield Link(at, end, column, value)
        at = max(end, at + 1)
