"""A read table question as one SELECT, and its rows as a sentence or a list. Names come from the overview's tables."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from graph.ports import TableInfo
from serving.models.offline.columns import columns
from serving.models.offline.language import plain
from serving.models.offline.tables import TableQuestion

_NAMES: Final = {"sum": "Total", "avg": "Average", "max": "Highest", "min": "Lowest"}
_MOST_ROWS: Final = 50


def select(asked: TableQuestion) -> str:
    """DuckDB SQL. Groups come in the order asked for, or by name; equal rows always in the same order."""
    where = " AND ".join(f.sql for f in asked.filters) or "TRUE"
    way = "DESC" if asked.direction > 0 else "ASC"
    if asked.aggregate == "rows":
        shown = ", ".join(f'{c.sql} AS "{c.name}"' for c in asked.shown)
        head = f"{shown}, {asked.measure} AS value" if asked.measure else shown
        order = f" ORDER BY value {way} NULLS LAST, 1" if asked.measure and asked.direction else " ORDER BY 1"
    elif asked.group:
        head = f"{asked.group} AS grouped, {_value(asked, where)} AS value"
        order = f" GROUP BY 1 ORDER BY {f'2 {way} NULLS LAST, 1' if asked.direction else '1'}"
    else:
        head, order = f"{_value(asked, where)} AS value, count(*) AS n", ""
    condition = f" WHERE {where}" if asked.aggregate != "share" else ""
    limit = f" LIMIT {asked.top + 4 if asked.direction else _MOST_ROWS}" if order else ""
    return f'SELECT {head} FROM "{asked.table.name}" AS t{condition}{order}{limit}'  # noqa: S608


def probe(table: TableInfo, words: Sequence[str]) -> str:
    """Which values of a table's text columns hold one of the words."""
    pattern = "|".join(re.escape(word).replace("'", "''") for word in words[:6])
    parts = [
        f'SELECT DISTINCT \'{column.name}\' AS "column", CAST({column.sql} AS VARCHAR) AS "value" '  # noqa: S608
        f'FROM "{table.name}" AS t '
        f"WHERE regexp_matches(lower(CAST({column.sql} AS VARCHAR)), '(^|[^a-z0-9])({pattern})([^a-z0-9]|$)')"
        for column in columns(table)
        if column.kind == "text"
    ]
    nothing = "SELECT '' AS \"column\", '' AS \"value\" WHERE FALSE"
    return f"{' UNION ALL '.join(parts or [nothing])} ORDER BY 1, 2 LIMIT 40"


def _value(asked: TableQuestion, where: str) -> str:
    if asked.aggregate == "share":
        return f"round(100.0 * count(*) FILTER (WHERE {where}) / count(*), 2)"
    if asked.aggregate == "count":
        return f"count({asked.measure or '*'})"
    return f"round(avg({asked.measure}), 2)" if asked.aggregate == "avg" else f"{asked.aggregate}({asked.measure})"


def sentence(asked: TableQuestion, result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing."""
    rows = [row for row in result.get("rows", []) if row[-1 if asked.group else 0] is not None]
    title = _title(asked)
    unit = f" {asked.unit}" if asked.unit and asked.aggregate != "count" else ""
    if not rows:
        return ""
    if asked.direction and (asked.group or asked.measure):
        # Those that are just as far ahead as the last one asked for belong to it.
        last = rows[min(asked.top, len(rows)) - 1][-1]
        rows = [row for at, row in enumerate(rows) if at < asked.top or row[-1] == last]
    if asked.aggregate == "rows":
        return _listing(title, [_row(asked, row) for row in rows])
    if not asked.group:
        return f"{title}: {amount(rows[0][0])}{unit}."
    lines = [f"{amount(row[0])}: {amount(row[1])}{unit}" for row in rows]
    if asked.direction:
        return f"{'Highest' if asked.direction > 0 else 'Lowest'} {title[0].lower()}{title[1:]}: {'; '.join(lines)}."
    return f"{title}:\n" + "\n".join(f"- {line}" for line in lines)


def _listing(title: str, lines: Sequence[str]) -> str:
    return f"{title}: {lines[0]}." if len(lines) == 1 else f"{title}:\n" + "\n".join(f"- {line}" for line in lines)


def _row(asked: TableQuestion, row: Sequence[Any]) -> str:
    names = [(c.title, c.unit) for c in asked.shown] + ([(asked.measured, asked.unit)] if asked.measure else [])
    cells = [f"{n} {amount(c)} {u}".strip() for (n, u), c in zip(names, row, strict=False) if c is not None]
    return ", ".join(cells) if len(names) > 1 else amount(row[0])


def _title(asked: TableQuestion) -> str:
    table = asked.table.name.replace("_", " ")
    said = "; ".join(f.said for f in asked.filters)
    about = f" ({said})" if said else ""
    about += f" by {asked.grouped}" if asked.group else ""
    if asked.aggregate == "rows":
        return f"{table.capitalize()}{about}"
    if asked.aggregate == "share":
        return f"Share of {table}{about}"
    if asked.aggregate == "count":
        return f"Number of {asked.measured} in {table}{about}" if asked.measured else f"Number of {table}{about}"
    name = "" if asked.direction and asked.aggregate in ("max", "min") else f"{_NAMES[asked.aggregate]} "
    return f"{name}{asked.measured} in {table}{about}"


def amount(cell: Any) -> str:
    """A cell as text: numbers in their shortest exact form."""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return plain(Decimal(str(cell))) if isinstance(cell, int | float | Decimal) else str(cell)
