"""A question as one SELECT: its words are linked to a table's columns, values and periods, and to what to compute.

A word that finds no such place must stand in the row: a question that the table can't answer finds no rows.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from graph.ports import Overview, TableInfo
from serving.documents.words import words
from serving.models.offline.english import LIGHT, MONTHS, STOP, degree, number_of, stems
from serving.models.offline.linking import ASKING, CASH, MONEY, Column, links, read_column

_MOST_GROUPS: Final = 20
_COMPUTES: Final = {
    "avg": r"\b(?:average|mean)\b",
    "count": r"\bhow many\b|\bnumber of\b",
    "sum": r"\b(?:sum|totals?|altogether|overall|add up|spen[dt]|revenue|turnover)\b|\bhow much (?!do|may|can|must|is)",
    "": "",
}
_SAID: Final = {"avg": "Average", "sum": "Total", "max": "Highest", "min": "Lowest", "": ""}
_SIGNS: Final = {"above": ">", "over": ">", "more": ">", "least": ">=", "below": "<", "under": "<", "most": "<="}
_BOUND: Final = re.compile(
    rf"\b({'|'.join(_SIGNS)}|less|fewer)(?: than)? (?:[€$£]|[a-z]{{3}} )?(\d[\d.,]*)(?: ?(\w+))?"
)
_EDGES: Final = {"since": ">=", "from": ">=", "after": ">", "before": "<", "until": "<="}
_MONTH: Final = "|".join(f"{m}|{m[:3]}" for m in MONTHS if m != "may") + r"|(?<=in )may|(?<=or )may|may(?= 20)"
# A part of a date: how questions say it, and what it is called as a group.
_PERIODS: Final = {
    "month": (rf"(?:{_MONTH})\b", "strftime({}, '%Y-%m')"),
    "quarter": (r"q[1-4]\b", "year({0}) || ' Q' || quarter({0})"),
    "year": (r"(?:19|20)\d\d\b(?!-)", "year({})"),
}
_PIECES: Final = stems("quantity qty units stock pieces")


class Term(NamedTuple):
    sql: str
    said: str


def table_query(text: str, overview: Overview) -> "Query | None":
    """The question as a query over the table that places most of its words; None when none places enough of them."""
    text, _, about = text.partition(" (about: ")
    subject = stems(about) - LIGHT - STOP
    # `they` are the rows of the question before, not what it asked of them.
    rows = re.sub(r"(?i)^(?:which|what|how (?:many|much)|list|show)\b", "", about.rstrip(")"))
    read = [Query(f"{text} {rows}".strip(), table) for table in overview.tables]
    fitting = [query for query in read if query.sql and subject <= query.vocabulary]
    return max(fitting, key=lambda query: query.fit, default=None)


def sentence(asked: "Query", result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing, or go on and on where one value is asked for."""
    rows = [row for row in result.get("rows", []) if row[-1] is not None]
    if not rows or (asked.left and rows == [[0]]) or (asked.group and len(rows) > _MOST_GROUPS):
        return ""
    lines = [(": " if len(row) == 2 else ", ").join(map(_cell, row)) for row in rows]
    return f"{asked.title}: {lines[0]}." if len(lines) == 1 else f"{asked.title}:\n- " + "\n- ".join(lines)


def _cell(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}" if type(value) in (int, float) else str(value)


class Query:
    """One question read against one table. `taken` grows as its words find their place; `left` are those without one.

    `sql` is empty when the table can't answer; `fit` orders the queries of several tables.
    """

    def __init__(self, text: str, table: TableInfo) -> None:
        text = re.sub(r"n['’]t\b", " not", " ".join(text.lower().split()))
        self.text = re.sub(r"\bun(paid|\w+ed)\b", r"not \1", text)
        self.said, self.rows = words(self.text), words(re.sub(r"[\d_]+", " ", table.name))
        self.table, self.path = table, table.path
        self.columns = [read_column(name, type_, table.samples.get(name, ())) for name, type_ in table.columns]
        names = " ".join(f"{column.name} {' '.join(column.values)}" for column in self.columns)
        self.vocabulary = {*self.rows} | stems(names)
        self.links = list(links(self.said, self.rows, self.columns))
        named = [link.column for link in self.links if link.column and not link.value]
        self.named = sorted(named, key=lambda column: -len({*column.keys} & {*self.said}))
        self.compute = next(name for name, cue in _COMPUTES.items() if re.search(cue, self.text))
        degrees = [word for word in re.sub(r"\bat (?:least|most)\b|\w+ than", "", self.text).split() if degree(word)]
        self.direction, self.ranks = degree(degrees[0]) if degrees else 0, True
        self.group: Term | None = None
        self.taken = {key for link in self.links for key in self.said[link.at : link.end]} | stems(" ".join(degrees))
        self.left, self.title = list[str](), ""
        self.sql = self._select()
        self.fit = (-len(self.left), len(self.vocabulary & {*self.said}), len(self.links))

    def of(self, *kinds: str) -> list[Column]:
        """The columns of these kinds, those that the question names first."""
        return [column for column in dict.fromkeys([*self.named, *self.columns]) if column.kind in kinds]

    def _select(self) -> str:
        where = [*self._values(), *self._bounds(), *self._periods()]
        top = re.search(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b", self.text)
        self.group = self._grouped() or self.group
        value = self._each_period(self._counted() if self.compute == "count" else self._measure())
        self.taken |= LIGHT | STOP | ASKING | (stems(top[1]) if top else set())
        self.left = [key for key in dict.fromkeys(self.said) if key not in self.taken]
        where += map(self._stands, self.left)
        heads = [term for term in (self.group, value) if term] if self.group or self.compute else self._shown(value)
        stray = len(self.left) > min(3, len(self.links)) or any(re.fullmatch(r"\d\d?", key) for key in self.left)
        if stray or not heads or not (where or value) or (not value and (self.compute or self.group)):
            return ""
        said = " by ".join(head.said for head in heads[::-1]) if self.group else ", ".join(head.said for head in heads)
        asked = f" where {' and '.join(term.said for term in where)}" if where else ""
        self.title = f"{said} in {PurePath(self.path).stem}{asked}"
        filters = f" WHERE {' AND '.join(term.sql for term in where)}" if where else ""
        way, order = ("DESC" if self.direction > 0 else "ASC"), "1 LIMIT 50"
        if self.direction and value and (self.group or not self.compute):
            limit = (number_of(top[1]) if top else 1) if self.ranks else 50
            order = f"{value.sql} {way} NULLS LAST, 1 LIMIT {limit}"
        grouped = " GROUP BY 1" if self.group else ""
        columns = ", ".join(head.sql for head in heads)
        return f"SELECT {columns} FROM {self.table.name}{filters}{grouped} ORDER BY {order}"  # noqa: S608

    def _stands(self, key: str) -> Term:
        """A word of the row: numbers and codes to the letter, other words by their stem."""
        texts = ", ".join(name for name, type_ in self.table.columns if type_ in ("VARCHAR", "DATE", "BIGINT"))
        pattern = rf"\b{re.escape(key)}" + r"\b" * key[-1].isdigit()
        row = f"regexp_replace(lower(concat_ws(' ', {texts})), '[-_/]', '', 'g')"
        return Term(f"regexp_matches({row}, '{pattern}')", f"the row says {key}")

    def _gather(self, group: Term, many: bool) -> None:
        """Several values of one kind are what to group by when the question sets them against each other."""
        if many and re.search(r"\b(?:which|compare|versus|vs|difference|or)\b", self.text):
            self.group, self.ranks = group, False

    def _values(self) -> Iterator[Term]:
        for column in self.columns:
            if found := [link for link in self.links if link.value and link.column == column]:
                near = {key for link in found for key in self.said[max(0, link.at - 3) : link.at]}
                no = bool({"not", "non", "without"} & near)
                self._gather(Term(column.name, column.name), len(found) > 1)
                values = ", ".join("'" + link.value.replace("'", "''") + "'" for link in found)
                said = f"{column.name} is {'not ' * no}{' or '.join(link.value for link in found)}"
                yield Term(f"{column.name} IN ({values}){' IS NOT TRUE' * no}", said)

    def _bounds(self) -> Iterator[Term]:
        for cue, number, unit in _BOUND.findall(self.text):
            own = [column for column in self.of("money", "number") if stems(unit) & {*column.keys}]
            amount = number_of(number.rstrip(".,"))
            for column in [*own, *self.of("money"), *self.of("number")][: amount is not None]:
                self.taken |= stems(f"{cue} {number} {unit}")
                bound = f"{column.name} {_SIGNS.get(cue, '<')} {amount}"
                yield Term(bound, bound)

    def _periods(self) -> Iterator[Term]:
        for name, (part, (cue, way)) in [(c.name, entry) for c in self.of("date")[:1] for entry in _PERIODS.items()]:
            group = Term(way.format(name), part)
            if re.search(rf"\b(?:by|per|each|every) {part}\b", self.text):
                self.group, self.taken = group, self.taken | {part}
            matches = re.finditer(rf"(?:\b({'|'.join(_EDGES)}) )?\b({cue})", self.text)
            if found := [match for match in matches if not stems(match[2]) <= self.taken]:
                months = [month[:3] for month in MONTHS]
                said = [match[2].lstrip("q") for match in found]
                numbers = dict.fromkeys(str(months.index(n[:3]) + 1) if n[:3] in months else n for n in said)
                self.taken |= stems(" ".join(match.group() for match in found))
                self._gather(group, len(numbers) > 1)
                edge = found[0][1] or "in"
                period = f"{part}({name}) {_EDGES.get(edge, 'IN')} ({', '.join(numbers)})"
                yield Term(period, f"{name} {edge} {' or '.join(said)}")

    def _grouped(self) -> Term | None:
        """`by country`, `each team`, `which customer ... the most`."""
        cues = ("by", "per", "each", "every", *(("which", "what") if self.direction else ()))
        for link in self.links:
            before = [key for key in self.said[: link.at] if key not in ("the", "is", "are", "of", "was", "were")]
            if link.column and link.column.kind == "text" and not link.value and before and before[-1] in cues:
                if self.direction and before[-1] in cues[:4] and not re.search(r"\b(?:sum|total|average)", self.text):
                    self.compute, self.direction = ("max" if self.direction > 0 else "min"), 0
                return Term(link.column.name, link.column.name)
        return None

    def _counted(self) -> Term | None:
        """`how many X`: the rows, the sum of a column X, the distinct X, or the pieces of a value X."""
        start = next((at for at, key in enumerate(self.said) if key in ("many", "number")), 0)
        after = [link for link in self.links if start < link.at <= start + 4]
        if not after:
            return None
        first, whole = after[0], all(link.column or link.at > after[0].end for link in after)
        pieces = [column for column in self.of("number") if _PIECES & {*column.keys}] if first.value and whole else []
        counted = pieces[0] if pieces else None if first.value else first.column
        if not counted or counted.kind not in ("number", "text"):
            return Term("count(*)", "Number of entries")
        if counted.kind == "number":
            return Term(f"sum({counted.name})", f"Total {counted.name}")
        # What a table has of each is not how many there are: something else must be said about its rows.
        alone = len(self.taken) == 1
        return None if alone else Term(f"count(DISTINCT {counted.name})", f"Number of different {counted.name}")

    def _measure(self) -> Term | None:
        """The column to compute over or to order by: one that is named, else the money, else the only number."""
        money, numbers, cash = self.of("money"), self.of("number"), CASH & {*self.said}
        found = [column for column in [*money, *numbers] if column in self.named and (column in money or not cash)]
        if self.group and not (self.compute or found or cash) and re.search(r"\b(?:most|fewest)\b", self.text):
            return Term("count(*)", "Number of entries")
        if self.compute or MONEY & {*self.said} or any(not link.column for link in self.links):
            found += money or numbers[: len(numbers) == 1]
        if not found or not (self.compute or self.direction or self.group):
            return None
        self.taken |= MONEY if found[0].kind == "money" else set()
        sized = re.search(r"\b(?:most|least|larg\w+|bigg\w+|small\w+)\b", self.text) or not self.direction
        compute = self.compute or ("sum" if sized else "max" if self.direction > 0 else "min") * bool(self.group)
        value = f"{compute}({found[0].name})" if compute else found[0].name
        return Term(f"round({value}, 2)" if compute == "avg" else value, f"{_SAID[compute]} {found[0].name}".strip())

    def _each_period(self, value: Term | None) -> Term | None:
        """`average sales per month`: the months share the sum."""
        group, period = self.group, re.search(r"\bper (?:day|week|month|quarter|year)\b", self.text)
        if self.compute != "avg" or not value or not period or not group:
            return value
        whole, self.group = re.sub(r"^round\(avg(.*), 2\)$", r"sum\1", value.sql), None
        return Term(f"round({whole} / count(DISTINCT {group.sql}), 2)", f"{value.said} per {group.said}")

    def _shown(self, value: Term | None) -> list[Term]:
        """The columns that a look-up of rows names, beside the first; the first four for `which` and `list`."""
        listing = value or re.match(r"(?:which|list|show|name)\b", self.text)
        shown = [column.name for column in self.named or (self.columns[1:4] if listing else [])]
        names = dict.fromkeys([self.columns[0].name, *shown, *([value.sql] if value else [])])
        return [Term(name, name) for name in names] if shown else []
