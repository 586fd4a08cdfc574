"""A question as one SELECT over the table that knows most of its words.

A word that finds no place in the table must stand in the row: a question that it can't answer finds no rows.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from graph.ports import Overview
from serving.documents.words import words
from serving.models.offline.columns import CASH, MONEY, PIECES, Meaning
from serving.models.offline.english import LIGHT, STOP, measured, stems
from serving.models.offline.reading import FURTHEST, Reading, Term

_MOST_GROUPS, _MOST_ROWS = 20, 50
_PER: Final = r"\bper (?:hour|day|night|week|month|quarter|year|person)\b"
_MOST_OF: Final = r"\b(?:most|fewest)\b(?! \w+(?:ive|[ai]ble)\b)"
_SAID: Final = {"avg": "Average", "sum": "Total", "max": "Highest", "min": "Lowest", "": ""}


class Query(NamedTuple):
    """`most` rows make an answer; without `strict` a zero is one."""

    path: str
    sql: str
    title: str
    most: int
    strict: bool


def table_query(text: str, overview: Overview) -> Query | None:
    """None when no table places enough of the words."""
    text, _, about = text.partition(" (about: ")
    subject = frozenset(words(about)) - LIGHT - STOP
    # `they` are the rows of the question before, not what it asked of them.
    rows = re.sub(r"(?i)^(?:which|what|how (?:many|much)|list|show)\b", "", about.rstrip(")"))
    readings = [Reading(f"{text} {rows}", table) for table in overview.tables]
    read = [(_query(reading), reading.fit) for reading in readings if subject <= reading.placed]
    return max((pair for pair in read if pair[0]), key=lambda pair: pair[1], default=(None, ()))[0]


def sentence(asked: Query, result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing, or go on and on where one value is asked for."""
    rows = [row for row in result.get("rows", []) if row[-1] is not None]
    if not rows or (asked.strict and rows == [[0]]) or len(rows) > asked.most:
        return ""
    cells = [[f"{Decimal(f'{v}').normalize():f}" if type(v) in (int, float) else f"{v}" for v in row] for row in rows]
    lines = [(": " if len(row) == 2 else ", ").join(row) for row in cells]
    return f"{asked.title}: {lines[0]}." if len(lines) == 1 else f"{asked.title}:\n- " + "\n- ".join(lines)


def _query(read: Reading) -> Query | None:
    value = _counted(read) if read.compute == "count" else _measure(read)
    computed, listing = bool(read.group or read.compute), bool(value or re.match("which|list|show|name", read.text))
    heads = [term for term in (read.group, value) if term] if computed else _shown(read, value, listing)
    where = [*read.where, *map(read.stands, read.left)]
    if read.odd or not heads or not (where or value) or (computed and not value):
        return None
    title = " by ".join(term.said for term in heads[::-1]) if read.group else ", ".join(term.said for term in heads)
    title += f" in {PurePath(read.table.path).stem}"
    title += f" where {' and '.join(term.said for term in where)}" if where else ""
    ranked = value if read.sign and (read.group or not read.compute) else None
    order = f"{ranked.sql} {'DESC' if read.sign > 0 else 'ASC'} NULLS LAST, 1" if ranked else "1"
    sql = f"SELECT {', '.join(head.sql for head in heads)} FROM {read.table.name}"  # noqa: S608
    sql += f" WHERE {' AND '.join(term.sql for term in where)}" if where else ""
    sql += f"{' GROUP BY 1' * bool(read.group)} ORDER BY {order} LIMIT {read.limit if ranked else _MOST_ROWS}"
    most = _MOST_GROUPS if computed else _MOST_ROWS if listing else 1
    return Query(read.table.path, sql, title, most, strict=bool(read.left))


def _counted(read: Reading) -> Term | None:
    """`how many X`: the rows, the sum of a column X, its distinct values, or the pieces of a value X."""
    start = next((at for at, key in enumerate(read.said) if key in ("many", "number")), 0) + 1
    near = [at for at in range(start, len(read.said)) if read.said[at] not in STOP][:3]
    first = next((at for at in near if at in read.means), len(read.said))
    column, value = read.means.get(first, Meaning())
    pieces = [column for column in read.numeric() if column.kind == "number" and column.forms & PIECES]
    if value and pieces and Meaning() not in read.means.values():
        column, value = (pieces[0], "") if len(pieces) == 1 else (None, "")
        first = first if column else len(read.said)
    # In `keg orders` it is the orders.
    rows = read.means.get(first + 1) == Meaning() and not re.search(r"\b(?:different|distinct)\b", read.text)
    # What a table has of each is not how many there are: something else must be said about its rows.
    if first == len(read.said) or (column and not value and column.kind == "text" and len(read.means) == 1):
        return None
    if not column or value or rows or column.kind not in ("number", "text"):
        return Term("count(*)", "Number of entries")
    if column.kind == "number":
        return Term(f"sum({column.name})", f"Total {column.name}")
    return Term(f"count(DISTINCT {column.name})", f"Number of different {column.name}")


def _measure(read: Reading) -> Term | None:
    """The column to compute over or to order by: one that is named, else the money, else the only number."""
    sums, said, sized_by = read.numeric(), {*read.said}, measured(read.text)
    money = [column for column in sums if column.kind == "money"]
    found = [column for column in sums if column in read.named and (column in money or CASH.isdisjoint(said))]
    if read.group and not (read.compute or found or MONEY & said or sized_by) and re.search(_MOST_OF, read.text):
        return Term("count(*)", "Number of entries")
    if read.compute or MONEY & said or Meaning() in read.means.values():
        found += money or sums[: len(sums) == 1]
    per = re.search(_PER, read.text)
    fits = [column for column in [*found, *sums] if not sized_by.isdisjoint(column.forms)] if sized_by else found
    found = fits or [column for column in found if column in read.named and not (per and column.forms & stems(per[0]))]
    found = found or (money if read.sign and sized_by & CASH else [])
    if not found or not (read.compute or read.sign or read.group):
        return None
    name, sized = found[0].name, re.search(r"\b(?:most|least|larg\w+|bigg\w+|small\w+)\b", read.text)
    whole = (sized or not read.sign) and not sized_by
    compute = read.compute or ("sum" if whole else FURTHEST[read.sign or 1]) * bool(read.group)
    about = f"{_SAID[compute]} {name}".strip()
    if sized_by and per and found[0].forms.isdisjoint(words(per[0])):
        return None
    if compute == "avg" and read.group and per:
        # The months share the sum.
        share, read.group = f"sum({name}) / count(DISTINCT {read.group.sql})", None
        return Term(f"round({share}, 2)", f"{about} {per[0]}")
    return Term(f"round(avg({name}), 2)" if compute == "avg" else f"{compute}({name})" if compute else name, about)


def _shown(read: Reading, value: Term | None, listing: bool) -> Sequence[Term]:
    """The columns that a look-up of rows names, beside the first; the first four for `which` and `list`."""
    shown = [column.name for column in read.named or read.columns[1 : 4 * listing]]
    # A running number says little about a row.
    first = [column.name for column in read.columns[: 1 + bool(value and "INT" in read.table.columns[0][1])]]
    names = dict.fromkeys([*first, *shown, *([value.sql] if value else [])])
    return [Term(name, name) for name in names] if shown else []
