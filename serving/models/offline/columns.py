"""The columns that a table question can speak of, and how well its words name them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from graph.ports import TableInfo
from serving.models.offline import vocabulary as v
from serving.models.offline.language import actor, keys, stem, stems, synonyms

Kind = Literal["number", "date", "flag", "text"]
_ID: Final = re.compile(r"(?:^|_)(?:id|no|nr|number|code|key|zip|postcode|phone|year|ref)$")
_NUMERIC: Final = ("DECIMAL", "DOUBLE", "FLOAT", "BIGINT", "INTEGER", "HUGEINT", "SMALLINT", "NUMERIC")
MONEY: Final = stems("amount total value price revenue cost fee sale net gross sum freight salary budget turnover")
# `customers.name` and `customers.id` are the customer.
_GENERIC: Final = v.words("name title id no nr number code key ref")


@dataclass(frozen=True, slots=True)
class Column:
    """`values` are samples; `unit` comes from the name (`weight_kg`)."""

    table: str
    name: str
    kind: Kind
    values: tuple[str, ...]

    @property
    def sql(self) -> str:
        return f't."{self.name}"'

    @property
    def amount(self) -> str:
        """SQL that adds up without the noise of binary fractions."""
        return f"CAST({self.sql} AS DECIMAL(28, 8))"

    @property
    def title(self) -> str:
        """The name without the unit, which is shown behind the figure."""
        return (self.name.rpartition("_")[0] if self.unit else self.name).replace("_", " ")

    @property
    def keys(self) -> frozenset[str]:
        parts = [part for part in self.title.lower().split() if part not in v.STOP and part not in _GENERIC]
        return stems(" ".join(parts) or self.table)

    @property
    def dimension(self) -> str:
        last = self.name.rpartition("_")[2]
        return v.UNITS.get(last, v.UNITS.get(last.removesuffix("s"), ("", 0)))[0]

    @property
    def unit(self) -> str:
        first, _, last = self.name.rpartition("_")
        return (last.upper() if self.dimension == "money" else last) if first and self.dimension else ""

    @property
    def nouns(self) -> frozenset[str]:
        """All that may speak of the column: its name, and what its unit measures (a column in kWh: electricity)."""
        return self.keys | stems(f"{self.name.rpartition('_')[2]} {v.MEASURED.get(self.dimension, '')}")

    @property
    def money(self) -> bool:
        return self.kind == "number" and (self.dimension == "money" or not self.keys.isdisjoint(MONEY))

    @property
    def identifies(self) -> bool:
        return bool(_ID.search(self.name))

    @property
    def yes(self) -> str:
        """The value that means yes, for columns that say only yes or no."""
        if self.kind == "flag":
            return "TRUE"
        plain = {value.lower() for value in self.values} <= {"yes", "no", "y", "n", "true", "false"}
        return next((f"'{value}'" for value in self.values if plain and value.lower() in ("yes", "y", "true")), "")


def columns(table: TableInfo) -> tuple[Column, ...]:
    return tuple(
        Column(table.name, name, _kind(table.name, name, sql.upper()), table.samples.get(name, ()))
        for name, sql in table.columns
    )


def _kind(table: str, name: str, sql: str) -> Kind:
    """A number that bears the table's own name (`sailings.sailing`) says which row it is: nothing to add up."""
    if sql.startswith(("DATE", "TIMESTAMP")):
        return "date"
    if sql.startswith("BOOL"):
        return "flag"
    identifies = _ID.search(name) or stems(name) == stems(table)
    return "number" if sql.startswith(_NUMERIC) and not identifies else "text"


def named(words: Sequence[str], among: Iterable[Column], at_least: float = 0.6) -> Column | None:
    """The column whose name the words say best; a descriptive one before its mere id."""
    found = frozenset(key for word in words for key in keys(word))
    scored = [(_share(column, found), not column.identifies, column) for column in among]
    fitting = [entry for entry in scored if entry[0] >= at_least]
    return max(fitting, key=lambda entry: entry[:2])[2] if fitting else None


def _share(column: Column, found: frozenset[str]) -> float:
    own = column.keys - stems(column.table) or column.keys
    said = [1.0 if {key, actor(key)} & found else 0.8 * (not synonyms(key).isdisjoint(found)) for key in own]
    return round(sum(said) / len(own) + 0.01 * sum(said), 3)


def is_quantity(column: Column) -> bool:
    return not column.keys.isdisjoint({stem(word) for word in ("quantity", "qty", "units", "stock", "pieces")})
