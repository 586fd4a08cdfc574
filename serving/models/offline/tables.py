"""A question as one SELECT: its words are linked to a table's columns, values and periods, and to what to compute.

A word that finds no such place must stand in the row: a question that the table can't answer finds no rows.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from graph.ports import Overview, TableInfo
from serving.documents.words import words
from serving.models.offline.english import LIGHT, MONTHS, STOP, UNITS, degree, likeness, number_of, stems

_COMPUTES: Final = {
    "avg": r"\b(?:average|mean)\b",
    "count": r"\bhow many\b|\bnumber of\b",
    "sum": r"\b(?:sum|totals?|altogether|overall|add up|spen[dt]|revenue|turnover)\b|\bhow much (?!do|may|can|must|is)",
    "": "",
}
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
_MONEY: Final = stems("amount total value revenue cost fee sale net gross spend spent salary budget turnover worth")
_PIECES: Final = stems("quantity qty units stock pieces")
_ASKING: Final = stems("average mean sum total different distinct list show name which what how many number often most")


class Column(NamedTuple):
    """`keys` are the stems of its name; `values` are samples, or for a flag the value that means yes."""

    name: str
    kind: str
    keys: tuple[str, ...]
    values: tuple[str, ...]


def table_query(text: str, overview: Overview) -> "Query | None":
    """The question as a query over the table that places most of its words; None when none places enough of them."""
    read = [Query(text.partition(" (about: ")[0], table) for table in overview.tables]
    return max((query for query in read if query.sql), key=lambda query: query.fit, default=None)


def sentence(asked: "Query", result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing."""
    rows = [row for row in result.get("rows", []) if row[-1] is not None]
    if not rows or (asked.left and rows == [[0]]):
        return ""
    lines = [(": " if len(row) == 2 else ", ").join(map(_cell, row)) for row in rows]
    return f"{asked.title}: {lines[0]}." if len(lines) == 1 else f"{asked.title}:\n- " + "\n- ".join(lines)


def _cell(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}" if type(value) in (int, float) else str(value)


def _column(name: str, type_: str, values: tuple[str, ...]) -> Column:
    keys = tuple(words(name))
    if type_ == "BOOLEAN" or (values and {value.lower() for value in values} <= {"yes", "no"}):
        return Column(name, "flag", keys, tuple(value for value in values if value.lower() == "yes") or ("true",))
    if type_.startswith(("DATE", "TIMESTAMP")):
        return Column(name, "date", keys, ())
    if not re.match("DECIMAL|DOUBLE|BIGINT|INTEGER", type_) or re.search(
        r"(?:^|_)(?:id|no|nr|number|code|year|ref)$", name
    ):
        return Column(name, "text", keys, values)
    units = [UNITS[part][0] for part in name.split("_") if part in UNITS]
    money = ("money" in units or (not units and _MONEY & {*keys})) and "pric" not in keys
    return Column(name, "money" if money else "number", keys, ())


class Query:
    """One question read against one table. `taken` grows as its words find their place; `left` are those without one.

    `sql` is empty when the table can't answer; `fit` orders the queries of several tables.
    """

    def __init__(self, text: str, table: TableInfo) -> None:
        self.text = re.sub(r"\bun(paid|\w+ed)\b", r"not \1", " ".join(text.lower().split()))
        self.said, self.table, self.rows = words(self.text), table, stems(table.name)
        self.columns = [_column(name, type_, table.samples.get(name, ())) for name, type_ in table.columns]
        # (first word, word behind the last, column or None for the rows, value or nothing for the column itself)
        self.mentions = list(self._mentions())
        self.named = [column for _, _, column, value in self.mentions if column and not value]
        self.compute = next(name for name, cue in _COMPUTES.items() if re.search(cue, self.text))
        degrees = [word for word in re.sub(r"\bat (?:least|most)\b|\w+ than", "", self.text).split() if degree(word)]
        self.direction, self.group = degree(degrees[0]) if degrees else 0, ""
        self.taken = {key for at, end, *_ in self.mentions for key in self.said[at:end]} | stems(" ".join(degrees))
        self.left, self.title = list[str](), ""
        self.sql, self.path = self._select(), table.path
        exact = sum(key in self.rows or any(key in column.keys for column in self.columns) for key in self.said)
        self.fit = (-len(self.left), exact, len(self.mentions))

    def of(self, *kinds: str) -> list[Column]:
        """The columns of these kinds, those that the question names first."""
        return [column for column in dict.fromkeys([*self.named, *self.columns]) if column.kind in kinds]

    def _mentions(self) -> Iterator[tuple[int, int, Column | None, str]]:
        """Long names and values first; then single words of a column's name, and those that may stand for one."""
        lexicon: dict[tuple[str, ...], tuple[Column | None, str]] = {(key,): (None, "") for key in self.rows}
        for column in self.columns:
            target = column, column.values[0] if column.kind == "flag" else ""
            lexicon = {(key,): target for key in {*column.keys} - self.rows - _ASKING - STOP} | lexicon
            values = {tuple(words(value)): (column, value) for value in column.values if column.kind == "text"}
            lexicon |= {column.keys: target} | values
        at = 0
        while at < len(self.said):
            spans = [tuple(self.said[at:end]) for end in range(min(len(self.said), at + 6), at, -1)]
            spans += [key for key in lexicon if len(key) == 1 and likeness(self.said[at], frozenset(key))]
            if key := next((span for span in spans if span in lexicon), ()):
                yield at, at + len(key), *lexicon[key]
            at += len(key) or 1

    def _select(self) -> str:
        where = [*self._values(), *self._bounds(), *self._periods()]
        top = re.search(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b", self.text)
        self.group = self._grouped() or self.group
        value = self._counted() if self.compute == "count" else self._measure()
        heads = [self.group, value] if self.group else [value] if self.compute else self._shown(value)
        self.taken |= LIGHT | STOP | _ASKING | (stems(top[1]) if top else set())
        self.left = left = [key for key in dict.fromkeys(self.said) if key not in self.taken]
        aimed = self.compute or self.group or where or left or value
        if not heads or not all(heads) or not aimed or len(left) > min(3, len(self.mentions)):
            return ""
        filters = f"{' where ' * bool(where + left)}{' and '.join(where + left)}"
        self.title = f"{' by '.join(heads[::-1]) if self.group else ', '.join(heads)} of {self.table.name}{filters}"
        source = f"{self.table.name}{' WHERE ' * bool(where + left)}{' AND '.join([*where, *map(self._stands, left)])}"
        way = f"{value} {'DESC' if self.direction > 0 else 'ASC'} NULLS LAST, 1 LIMIT {number_of(top[1]) if top else 1}"
        order = way if self.direction and value and (self.group or not self.compute) else "1 LIMIT 50"
        return f"SELECT {', '.join(heads)} FROM {source}{' GROUP BY 1' * bool(self.group)} ORDER BY {order}"  # noqa: S608

    def _stands(self, key: str) -> str:
        """A word of the row: numbers and codes to the letter, other words by their stem."""
        texts = ", ".join(name for name, type_ in self.table.columns if type_ in ("VARCHAR", "DATE", "BIGINT"))
        pattern = rf"\b{re.escape(key)}" + r"\b" * key[-1].isdigit()
        return f"regexp_matches(regexp_replace(lower(concat_ws(' ', {texts})), '[-_/]', '', 'g'), '{pattern}')"

    def _gather(self, group: str, many: bool) -> None:
        """Several values of one kind are what to group by when the question sets them against each other."""
        if many and re.search(r"\b(?:which|compare|versus|vs|difference|or)\b", self.text):
            self.group, self.direction = group, 0

    def _values(self) -> Iterator[str]:
        for column in self.columns:
            if found := [(at, value) for at, _, mentioned, value in self.mentions if value and mentioned == column]:
                no = {"not", "non", "without"} & {key for at, _ in found for key in self.said[max(0, at - 3) : at]}
                self._gather(column.name, len(found) > 1)
                values = ", ".join("'" + value.replace("'", "''") + "'" for _, value in found)
                yield f"{column.name} IN ({values}){' IS NOT TRUE' * bool(no)}"

    def _bounds(self) -> Iterator[str]:
        for cue, number, unit in _BOUND.findall(self.text):
            own = [column for column in self.of("money", "number") if stems(unit) & {*column.keys}]
            amount = number_of(number.rstrip(".,"))
            for column in [*own, *self.of("money"), *self.of("number")][: amount is not None]:
                self.taken |= stems(f"{cue} {number} {unit}")
                yield f"{column.name} {_SIGNS.get(cue, '<')} {amount}"

    def _periods(self) -> Iterator[str]:
        for name, (part, (cue, group)) in [(c.name, entry) for c in self.of("date")[:1] for entry in _PERIODS.items()]:
            if re.search(rf"\b(?:by|per|each|every) {part}\b", self.text):
                self.group, self.taken = group.format(name), self.taken | {part}
            matches = re.finditer(rf"(?:\b({'|'.join(_EDGES)}) )?\b({cue})", self.text)
            if found := [match for match in matches if not stems(match[2]) <= self.taken]:
                months = [month[:3] for month in MONTHS]
                said = [match[2].lstrip("q") for match in found]
                numbers = dict.fromkeys(str(months.index(n[:3]) + 1) if n[:3] in months else n for n in said)
                self.taken |= stems(" ".join(match.group() for match in found))
                self._gather(group.format(name), len(numbers) > 1)
                yield f"{part}({name}) {_EDGES.get(found[0][1] or '', 'IN')} ({', '.join(numbers)})"

    def _grouped(self) -> str:
        """`by country`, `each team`, `which customer ... the most`."""
        cues = ("by", "per", "each", "every", *(("which", "what") if self.direction else ()))
        for at, _, column, value in self.mentions:
            before = [key for key in self.said[:at] if key not in ("the", "is", "are", "of", "was", "were")]
            if column and column.kind == "text" and not value and before and before[-1] in cues:
                if self.direction and before[-1] in cues[:4] and not re.search(r"\b(?:sum|total|average)", self.text):
                    self.compute, self.direction = ("max" if self.direction > 0 else "min"), 0
                return column.name
        return ""

    def _counted(self) -> str:
        """`how many X`: the rows, the sum of a column X, the distinct X, or the pieces of a value X."""
        start = next((at for at, key in enumerate(self.said) if key in ("many", "number")), 0)
        after = [mention for mention in self.mentions if start < mention[0] <= start + 4]
        _, end, column, value = after[0] if after else (0, 0, None, "")
        if not after:
            return ""
        if value and all(mentioned or at > end for at, _, mentioned, _ in after):
            return next((f"sum({c.name})" for c in self.of("number") if _PIECES & {*c.keys}), "count(*)")
        names = {"number": "sum({})", "text": "count(DISTINCT {})"}
        return names.get(column.kind, "count(*)").format(column.name) if column and not value else "count(*)"

    def _measure(self) -> str:
        """The column to compute over or to order by; empty for neither."""
        spoken = self.compute or _MONEY & {*self.said} or any(not column for _, _, column, _ in self.mentions)
        found = [column for column in self.of("money", "number") if column in self.named]
        if self.group and not (self.compute or found) and re.search(r"\b(?:most|fewest)\b", self.text):
            return "count(*)"
        found += (self.of("money") or self.of("number")[: len(self.of("number")) == 1]) if spoken else []
        if not found or not (self.compute or self.direction or self.group):
            return ""
        self.taken |= _MONEY if found[0].kind == "money" else set()
        sized = re.search(r"\b(?:most|least|larg\w+|bigg\w+|small\w+)\b", self.text) or not self.direction
        compute = self.compute or ("sum" if sized else "max" if self.direction > 0 else "min") * bool(self.group)
        value = f"{compute}({found[0].name})" if compute else found[0].name
        return f"round({value}, 2)" if compute == "avg" else value

    def _shown(self, value: str) -> list[str]:
        """The columns that a look-up of rows names, beside the first; the first four for `which` and `list`."""
        listing = value or re.match(r"(?:which|list|show|name)\b", self.text)
        shown = [column.name for column in self.named or (self.columns[1:4] if listing else [])]
        return list(dict.fromkeys([self.columns[0].name, *shown, *([value] if value else [])])) if shown else []
