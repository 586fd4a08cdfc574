"""The columns that a table question can speak of, and how well its words name them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from graph.ports import Overview, TableInfo
from serving.models.offline import vocabulary as v
from serving.models.offline.language import actor, keys, stem, stems, synonyms

Kind = Literal["number", "date", "flag", "text"]
_ID: Final = re.compile(r"(?:^|_)(?:id|no|nr|number|code|key|zip|postcode|phone|year|ref)$")
_UNITS: Final = frozenset(v.UNITS) | {"pct", "mins", "hours", "days", "minutes", "weeks", "months", "years"}
MONEY: Final = frozenset(
    stem(word)
    for word in v.words(
        "amount total value price revenue cost fee sale net gross sum freight salary budget turnover payment"
    )
)


# `customers.name` and `customers.id` are the customer.
_GENERIC: Final = frozenset({"name", "title", "id", "no", "nr", "number", "code", "key", "ref"})


@dataclass(frozen=True, slots=True)
class Column:
    """`alias` is the table's in the query, `values` are samples; `unit` comes from the name (`weight_kg`)."""

    table: str
    alias: str
    name: str
    kind: Kind
    exact: bool
    values: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f'{self.alias}."{self.name}"'

    @property
    def title(self) -> str:
        """The name without the unit, which is shown behind the figure."""
        named = self.name.rpartition("_")[0] if self.unit else self.name
        return named.replace("_", " ")

    @property
    def amount(self) -> str:
        """SQL that adds up without the noise of binary fractions."""
        return self.sql if self.exact else f"CAST({self.sql} AS DECIMAL(28, 8))"

    @property
    def keys(self) -> frozenset[str]:
        every = [part for part in self.name.split("_") if part]
        parts = [part for part in every if part not in v.STOP and not part.isdigit()] or every
        named = [part for part in parts if part not in _UNITS or len(parts) == 1] or parts
        if set(named) <= _GENERIC:
            return stems(self.table.replace("_", " "))
        return frozenset(stem(part) for part in named if part not in _GENERIC)

    @property
    def unit(self) -> str:
        last = self.name.rpartition("_")[2]
        dimension = v.UNITS.get(last, ("", 0))[0]
        return last.upper() if dimension == "money" else last if last in _UNITS and "_" in self.name else ""

    @property
    def unit_keys(self) -> frozenset[str]:
        """What the unit in the name stands for: a column in kWh holds electricity."""
        last = self.name.rpartition("_")[2]
        dimension = v.UNITS.get(last, v.UNITS.get(last.removesuffix("s"), ("", 0)))[0]
        called = (last, *v.MEASURED.get(dimension, "").split()) if last in _UNITS else ()
        return frozenset(stem(word) for word in called)

    @property
    def money(self) -> bool:
        return self.kind == "number" and (bool(self.unit.isupper()) or not self.keys.isdisjoint(MONEY))

    @property
    def identifies(self) -> bool:
        return bool(_ID.search(self.name))

    @property
    def yes(self) -> str:
        """The value that means yes, for columns that say only yes or no."""
        if self.kind == "flag":
            return "TRUE"
        if not {value.lower() for value in self.values} <= {"yes", "no", "y", "n", "true", "false"}:
            return ""
        return next((f"'{value}'" for value in sorted(self.values) if value.lower() in ("yes", "y", "true")), "")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table to ask, alone or joined to one other through a shared key."""

    table: TableInfo
    columns: tuple[Column, ...]
    source: str
    paths: tuple[str, ...]
    joined: str = ""

    @property
    def keys(self) -> frozenset[str]:
        return stems(self.table.name.replace("_", " "))


def sheets(overview: Overview) -> tuple[Sheet, ...]:
    """Every table alone, then each pair that shares a key column."""
    alone = tuple(Sheet(t, tuple(_columns(t, "t")), f'"{t.name}" AS t', (t.path,)) for t in overview.tables)
    pairs = (_joined(left, right) for left in overview.tables for right in overview.tables if left is not right)
    return alone + tuple(pair for pair in pairs if pair)


def _columns(table: TableInfo, alias: str) -> Iterable[Column]:
    for name, kind in table.columns:
        yield Column(
            table.name,
            alias,
            name,
            _kind(name, kind.upper()),
            "DOUBLE" not in kind.upper(),
            table.samples.get(name, ()),
        )


def _kind(name: str, sql: str) -> Kind:
    if sql.startswith(("DATE", "TIMESTAMP")):
        return "date"
    if sql.startswith("BOOL"):
        return "flag"
    numeric = sql.startswith(("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "HUGEINT", "SMALLINT", "NUMERIC"))
    return "number" if numeric and not _ID.search(name) else "text"


def _joined(left: TableInfo, right: TableInfo) -> Sheet | None:
    """`right` describes what a key column of `left` names: orders.customer_id = customers.customer_id or .id."""
    names, others = [name for name, _ in left.columns], [name for name, _ in right.columns]
    first = others[0]
    single = right.name.removesuffix("s")
    wanted = (first, f"{single}_{first}", single) if first in ("id", "name", "code") else (first,)
    key = next((name for name in wanted if name in names[1:]), None)
    if key is None:
        return None
    columns = [*_columns(left, "t"), *(column for column in _columns(right, "u") if column.name != first)]
    source = f'"{left.name}" AS t JOIN "{right.name}" AS u ON t."{key}" = u."{first}"'
    return Sheet(left, tuple(columns), source, (left.path, right.path), right.name)


def named(words: Sequence[str], columns: Iterable[Column], at_least: float = 0.5) -> Column | None:
    """The column whose name the words say best; a descriptive one before its mere id."""
    found = frozenset(key for word in words for key in keys(word))
    scored = [(round(_share(column, found), 3), column) for column in columns]
    fitting = [(share, column) for share, column in scored if share >= at_least]
    return max(fitting, key=lambda pair: (pair[0], not pair[1].identifies), default=(0.0, None))[1]


def _share(column: Column, found: frozenset[str]) -> float:
    own = column.keys - stems(column.table.replace("_", " ")) or column.keys
    said = sum(
        1.0 if key in found or actor(key) in found else 0.8 if not synonyms(key).isdisjoint(found) else 0.0
        for key in own
    )
    return said / len(own) + 0.01 * said
