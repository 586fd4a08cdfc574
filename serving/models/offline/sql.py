"""A read table question as one SELECT, and its rows as a sentence or a list. Names come from the overview's tables."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from serving.models.offline.columns import Sheet
from serving.models.offline.language import plain
from serving.models.offline.tables import TableQuestion

_NAMES: Final = {"sum": "Total", "avg": "Average", "max": "Highest", "min": "Lowest", "share": "Share"}
_MOST_ROWS: Final = 50


def select(asked: TableQuestion) -> str:
    """DuckDB SQL. Groups come in the order asked for, or by name; equal rows always in the same order."""
    where = [f.sql for f in asked.filters]
    value = _value(asked, where)
    if asked.aggregate == "rows":
        columns = ", ".join(f'{c.sql} AS "{c.name}"' for c in asked.shown)
        head = f"{columns}, {asked.measure} AS value" if asked.measure else columns
        order = f" ORDER BY value {_way(asked)} NULLS LAST, 1" if asked.measure and asked.direction else " ORDER BY 1"
    elif asked.group:
        head = f"{asked.group} AS {_alias(asked.grouped)}, {value} AS value"
        order = f" GROUP BY 1 ORDER BY {f'2 {_way(asked)} NULLS LAST, 1' if asked.direction else '1'}"
    else:
        head, order = f"{value} AS value, count(*) AS n", ""
    condition = f" WHERE {' AND '.join(where)}" if where and asked.aggregate != "share" else ""
    limit = f" LIMIT {asked.top + 4 if asked.direction else _MOST_ROWS}" if order else ""
    return f"SELECT {head} FROM {asked.sheet.source}{condition}{order}{limit}"  # noqa: S608


def probe(sheet: Sheet, words: Sequence[str]) -> str:
    """Which values of a sheet's text columns hold one of the words; columns come as their SQL."""
    pattern = "|".join(re.escape(word).replace("'", "''") for word in words[:6])
    parts = [
        f'SELECT DISTINCT \'{column.sql}\' AS "column", CAST({column.sql} AS VARCHAR) AS "value" FROM {sheet.source} '  # noqa: S608
        f"WHERE regexp_matches(lower(CAST({column.sql} AS VARCHAR)), '(^|[^a-z0-9])({pattern})([^a-z0-9]|$)')"
        for column in sheet.columns
        if column.kind == "text"
    ]
    nothing = "SELECT '' AS \"column\", '' AS \"value\" WHERE FALSE"
    return f"{' UNION ALL '.join(parts or [nothing])} ORDER BY 1, 2 LIMIT 40"


def _way(asked: TableQuestion) -> str:
    return "DESC" if asked.direction > 0 else "ASC"


def _alias(name: str) -> str:
    return '"' + name.replace('"', "") + '"'


def _value(asked: TableQuestion, where: Sequence[str]) -> str:
    if asked.aggregate == "share":
        return f"round(100.0 * count(*) FILTER (WHERE {' AND '.join(where) or 'TRUE'}) / count(*), 2)"
    if asked.aggregate == "count":
        return f"count({asked.measure or '*'})"
    return f"round(avg({asked.measure}), 2)" if asked.aggregate == "avg" else f"{asked.aggregate}({asked.measure})"


def sentence(asked: TableQuestion, result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing."""
    rows = [row for row in result.get("rows", []) if any(cell is not None for cell in row)]
    if not rows or (
        asked.aggregate not in ("rows", "count") and all(row[-1 if asked.group else 0] is None for row in rows)
    ):
        return ""
    title = _title(asked)
    if asked.aggregate == "rows":
        return _listing(asked, title, rows)
    if not asked.group:
        return f"{title}: {amount(rows[0][0])}{_unit(asked)}."
    if asked.direction:
        rows = _leaders(asked, rows)
        found = "; ".join(f"{amount(row[0])}: {amount(row[1])}{_unit(asked)}" for row in rows)
        return f"{'Highest' if asked.direction > 0 else 'Lowest'} {title[0].lower()}{title[1:]}: {found}."
    return f"{title}:\n" + "\n".join(f"- {amount(row[0])}: {amount(row[1])}{_unit(asked)}" for row in rows)


def _leaders(asked: TableQuestion, rows: list[Any]) -> list[Any]:
    """The rows asked for, and those that are just as far ahead."""
    last = rows[min(asked.top, len(rows)) - 1][-1]
    return [row for at, row in enumerate(rows) if at < asked.top or row[-1] == last]


def _listing(asked: TableQuestion, title: str, rows: list[Any]) -> str:
    if asked.direction and asked.measure:
        rows = _leaders(asked, rows)
    names = [c.title for c in asked.shown] + ([asked.measured] if asked.measure else [])
    units = [c.unit for c in asked.shown] + ([asked.unit] if asked.measure else [])
    lines = []
    for row in rows:
        cells = [
            f"{n} {amount(c)}{f' {u}' if u else ''}"
            for n, c, u in zip(names, row, units, strict=False)
            if c is not None
        ]
        lines.append(", ".join(cells) if len(names) > 1 else amount(row[0]))
    return f"{title}: {lines[0]}." if len(lines) == 1 else f"{title}:\n" + "\n".join(f"- {line}" for line in lines)


def _title(asked: TableQuestion) -> str:
    table = asked.sheet.table.name.replace("_", " ")
    what = asked.measured
    said = "; ".join(f.said for f in asked.filters)
    inside = f" ({said})" if said else ""
    if asked.aggregate == "rows":
        return f"{table.capitalize()}{inside}"
    by = f" by {asked.grouped}" if asked.group else ""
    if asked.aggregate == "share":
        return f"Share of {table}{inside}{by}"
    if asked.aggregate == "count":
        return f"Number of {what or table}{inside}{by}" if not what else f"Number of {what} in {table}{inside}{by}"
    name = "" if asked.direction and asked.aggregate in ("max", "min") else f"{_NAMES[asked.aggregate]} "
    return f"{name}{what} in {table}{inside}{by}"


def _unit(asked: TableQuestion) -> str:
    if asked.aggregate == "share":
        return " %"
    return f" {asked.unit}" if asked.unit and asked.aggregate != "count" else ""


def amount(cell: Any) -> str:
    """A cell as text: numbers in their shortest exact form."""
    if isinstance(cell, bool) or cell is None:
        return {True: "yes", False: "no", None: "none"}[cell]
    try:
        return plain(Decimal(str(cell))) if isinstance(cell, int | float | Decimal) else str(cell)
    except InvalidOperation:
        return str(cell)
