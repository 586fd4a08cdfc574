"""A question as one SELECT over the table that knows most of its words.

A word that finds no place in the table must stand in the row: a question that it can't answer finds no rows.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from graph.ports import Overview, TableInfo
from serving.documents.words import words
from serving.models.offline.columns import CASH, MONEY, PIECES, Meaning, columns_of, rows_of, understand
from serving.models.offline.english import LIGHT, MONTHS, STOP, degree, number_of, stems

_MOST_ROWS: Final = 50
_COMPUTES: Final = {
    "avg": r"\b(?:average|mean)\b",
    "count": r"\bhow many\b|\bnumber of\b",
    "sum": r"\b(?:sum|totals?|altogether|overall|add up|spen[dt]|revenue|turnover|takings)\b"
    r"|\bwhat did\b.*\b(?:earn|take|make|cost|bring)\b"
    r"|\bhow much (?!may|can|must|is|(?:do|does|will|would)\b.*\bcosts?\b)",
    "": "",
}
_SAID: Final = {"avg": "Average ", "sum": "Total ", "max": "Highest ", "min": "Lowest ", "": ""}
# What says how to compute, and what every table may be asked by.
_ASKING: Final = LIGHT | stems(
    "average mean sum total different distinct list show name number often sign live csv table row entry"
)
_EACH: Final = ("by", "per", "each", "every")
_AGAINST: Final = re.compile(r"\b(?:which|compare|versus|vs|difference|or)\b")
_PRICED: Final = re.compile(r"\b(?:costs?|prices?|expensive|dearer|cheaper)\b")
_TOP: Final = re.compile(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b")
_SIGNS: Final = {
    ">": r"(?:more|higher|longer|larger|older) than|over|above|after",
    ">=": "at least|since",
    "<": r"(?:less|fewer|lower|shorter|smaller|cheaper) than|under|below|before",
    "<=": "at most|up to|until",
}
_BOUND: Final = re.compile(
    rf"\b(?!up to [^€$£\d])({'|'.join(_SIGNS.values())}|than|between|or (?:later|earlier|more|less|newer|older))\b"
    r"(?: ([€$£]?)\s?(\d[\d.,]*)(?![-/:\w]))?"
)
_RANGE: Final = re.compile("(?:from |between )?({0}) (?:to|until|through|and) ({0})".format("|".join(MONTHS)))
# In May something is, or may be.
_MONTH: Final = "|".join(f"{m[:3]}|{m}" for m in MONTHS if m != "may") + "|(?<=in )may|(?<=or )may|may(?= 20)"
# A part of a date: how questions say it, and what it is called as a group.
_PERIODS: Final = {
    "month": (_MONTH, "strftime({}, '%Y-%m')"),
    "quarter": ("q[1-4]", "year({0}) || ' Q' || quarter({0})"),
    "year": (r"(?:19|20)\d\d", "year({})"),
}


class Term(NamedTuple):
    sql: str
    said: str


class Query(NamedTuple):
    """`most` rows make an answer; without `strict` a zero is one. `fit` orders the tables that could be asked.

    `prices` tells that it sums what was paid for several things where the question may be about what they cost.
    """

    path: str
    sql: str
    title: str
    most: int
    strict: bool
    prices: bool
    fit: tuple[int, ...]


def table_query(text: str, overview: Overview) -> Query | None:
    """None when no table places enough of the words."""
    text, _, about = text.partition(" (about: ")
    subject = frozenset(words(about)) - LIGHT - STOP
    # `they` are the rows of the question before, not what it asked of them.
    rows = re.sub(r"(?i)^(?:which|what|how (?:many|much)|list|show)\b", "", about.rstrip(")"))
    readings = [Reading(f"{text} {rows}", table) for table in overview.tables]
    queries = [reading.query() for reading in readings if subject <= reading.placed]
    return max(filter(None, queries), key=lambda query: query.fit, default=None)


def sentence(asked: Query, result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing, or go on and on where one value is asked for."""
    rows = [row for row in result.get("rows", []) if row[-1] is not None]
    if not rows or (asked.strict and rows == [[0]]) or len(rows) > asked.most:
        return ""
    cells = [[f"{Decimal(f'{v}').normalize():f}" if type(v) in (int, float) else f"{v}" for v in row] for row in rows]
    lines = [(": " if len(row) == 2 else ", ").join(row) for row in cells]
    return f"{asked.title}: {lines[0]}." if len(lines) == 1 else f"{asked.title}:\n- " + "\n- ".join(lines)


class Reading:
    """What a question asks of one table, which knows the words `placed`; `sign` is 1 for the most, -1 for the least."""

    def __init__(self, text: str, table: TableInfo) -> None:
        text = re.sub(r"n['’]t\b", " not", " ".join(text.lower().split()))
        text = re.sub(r"\bun(paid|\w+ed)\b", r"not \1", text)
        text = _RANGE.sub(lambda both: " ".join(MONTHS[MONTHS.index(both[1]) : MONTHS.index(both[2]) + 1]), text)
        self.table, self.columns = table, columns_of(table)
        self.bounds, self.text = _BOUND.findall(text), _BOUND.sub(" ", text)
        self.said = words(self.text)
        self.means = understand(self.said, self.columns, rows_of(table.name))
        self.placed = {self.said[at] for at in self.means}
        self.named = [meaning.column for meaning in self.means.values() if meaning.column and not meaning.value]
        self.compute = next(how for how, cue in _COMPUTES.items() if re.search(cue, self.text))
        self.degrees = [word for word in self.text.split() if degree(word).sign]
        self.sign = next((degree(word).sign for word in self.degrees), 0)
        self.group: Term | None = self._grouped()
        # `Which order has the highest revenue` asks for an order, not for a sum.
        self.compute = "" if self.compute == "sum" and self.sign and not self.group else self.compute
        # A price for each hour is another than the sums of a table.
        money = any(column.kind == "money" for column in self.columns)
        per = stems(" ".join(re.findall(r"\bper (\w+)", self.text)))
        self.taken = STOP | ((_ASKING | MONEY if money else _ASKING - CASH) - per) | self.placed
        self.taken |= stems(" ".join([*self.degrees, *_TOP.findall(self.text)]))

    def query(self) -> Query | None:
        bounds = [bound for each in self.bounds for bound in self._bounded(*each)]
        where = [*self._filters(), *self._periods(), *bounds]
        # To look through all rows for words of which the table knows none is to look in the wrong place.
        known = where or self.means
        left = [key for key in dict.fromkeys(self.said) if key not in self.taken]
        where += map(self._stands, left)
        value = self._counted() if self.compute == "count" else self._measure()
        computed = bool(self.group or self.compute)
        listing = bool(value or re.match("which|who|list|show|name", self.text))
        heads = [term for term in (self.group, value) if term] if computed else self._shown(value, listing)
        if not heads or not (value or (known and where)) or (computed and not value) or len(bounds) < len(self.bounds):
            return None
        title = " by ".join(term.said for term in heads[::-1]) if self.group else ", ".join(term.said for term in heads)
        title += f" in {PurePath(self.table.path).stem}"
        sql = f"SELECT {', '.join(head.sql for head in heads)} FROM {self.table.name}"  # noqa: S608
        if where:
            title += f" where {' and '.join(term.said for term in where)}"
            sql += f" WHERE {' AND '.join(term.sql for term in where)}"
        sql += " GROUP BY 1" * bool(self.group)
        if value and self.sign and (self.group or not self.compute):
            limit = next(map(number_of, _TOP.findall(self.text)), 1)
            sql += f" ORDER BY {value.sql} {'DESC' if self.sign > 0 else 'ASC'} NULLS LAST, 1 LIMIT {limit}"
        else:
            sql += f" ORDER BY 1 LIMIT {_MOST_ROWS}"
        most = _MOST_ROWS if computed or listing else 1
        values = [meaning.value for meaning in self.means.values() if meaning.value]
        own = self.placed & rows_of(self.table.name).union(*(column.forms for column in self.columns))
        prices = len({*values}) > 1 and bool(_PRICED.search(self.text))
        return Query(self.table.path, sql, title, most, bool(left), prices, (-len(left), len(values), len(own)))

    def _counted(self) -> Term | None:
        """`how many X`: the rows, the sum of a column X or of the pieces in the rows, or distinct values."""
        start = next((at for at, key in enumerate(self.said) if key in ("many", "number")), 0) + 1
        near = [at for at in range(start, len(self.said)) if self.said[at] not in STOP][:3]
        first = next((at for at in near if at in self.means), None)
        if first is None:
            return None
        column, value = self.means[first]
        # In `keg orders` it is the orders.
        rows = Meaning() in (self.means[first], self.means.get(first + 1)) and "different" not in self.text
        pieces = [each for each in self.columns if each.kind == "number" and each.forms & PIECES]
        sold = len(pieces) == 1 and (pieces[0] in self.named or (value and not rows))
        summed = pieces if sold else [column] if column and column.kind == "number" and not (value or rows) else []
        if summed:
            return Term(f"sum({summed[0].name})", f"Total {summed[0].name}")
        if not column or value or rows or column.kind != "text":
            return Term("count(*)", "Number of entries")
        # What a table has of each is not how many there are: something else must be said about its rows.
        distinct = Term(f"count(DISTINCT {column.name})", f"Number of different {column.name}")
        return distinct if len(self.means) > 1 else None

    def _measure(self) -> Term | None:
        """The column to compute over or to order by: one that is named, else the money, else the only number."""
        of = frozenset[str]().union(*(degree(word).of for word in self.degrees))
        kinds = ("money", "number", "rate")[: 2 if self.compute == "sum" else 3]
        sums = [each for kind in kinds for each in dict.fromkeys([*self.named, *self.columns]) if each.kind == kind]
        money = [column for column in sums if column.kind == "money"]
        named = [column for column in sums if column in self.named and (column in money or not CASH & {*self.said})]
        if of:
            found = [column for column in sums if column.forms & of] or money * bool(of & CASH)
        else:
            found = named or money or sums[: len(sums) == 1]
        counting = self.group and not (self.compute or of or named or MONEY & {*self.said})
        if counting and re.search("most|fewest", self.text):
            return Term("count(*)", "Number of entries")
        if not found or not (self.compute or self.sign or self.group):
            return None
        name = found[0].name
        # The oldest was built in the lowest year.
        self.sign *= -1 if found[0].kind == "rate" and "age" in of else 1
        compute = self.compute or (("max" if self.sign > 0 else "min") if of else "sum") * bool(self.group)
        sql = f"round(avg({name}), 2)" if compute == "avg" else f"{compute}({name})" if compute else name
        return Term(sql, f"{_SAID[compute]}{name}")

    def _shown(self, value: Term | None, listing: bool) -> list[Term]:
        """The columns that a look-up of rows names, beside the first; the first four for `which` and `list`."""
        given = {meaning.column for meaning in self.means.values() if meaning.value}
        asked = [column for column in self.named if column not in given]
        shown = [column.name for column in asked or self.columns[1 : 4 * listing]]
        names = dict.fromkeys([self.columns[0].name, *shown, *([value.sql] if value else [])])
        return [Term(name, name) for name in names] if shown else []

    def _stands(self, key: str) -> Term:
        """A word of the row: numbers and codes to the letter, other words by their stem."""
        texts = ", ".join(column.name for column in self.columns if column.kind in ("text", "date"))
        row = f"regexp_replace(lower(concat_ws(' ', {texts})), '[-_/]', '', 'g')"
        pattern = rf"\b{re.escape(key)}" + r"\b" * key[-1].isdigit()
        return Term(f"regexp_matches({row}, '{pattern}')", f"the row says {key}")

    def _filters(self) -> Iterator[Term]:
        for column in self.columns:
            places = [at for at, meaning in self.means.items() if meaning.column == column and meaning.value]
            values = dict.fromkeys(self.means[at].value for at in places)
            no = any(not {"not", "non", "without"}.isdisjoint(self.said[max(0, at - 3) : at]) for at in places)
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
            self._set_against(Term(column.name, column.name), len(values))
            if values:
                said = f"{column.name} is {'not ' * no}{' or '.join(values)}"
                yield Term(f"{column.name} IN ({listed}){' IS NOT TRUE' * no}", said)

    def _periods(self) -> Iterator[Term]:
        date = next((column.name for column in [*self.named, *self.columns] if column.kind == "date"), "")
        for part, (cue, way) in _PERIODS.items() if date else ():
            each = Term(way.format(date), part)
            if re.search(rf"\b(?:{'|'.join(_EACH)}) {part}\b", self.text) and part not in self.placed:
                self.group, self.taken = each, self.taken | {part}
            if found := [f for f in re.findall(rf"\b(?:{cue})\b(?!-)", self.text) if not stems(f) <= self.placed]:
                self.taken |= stems(" ".join(found))
                self._set_against(each, len({*found}))
                said = f"lower(strftime({date}, '%B %Y q')) || quarter({date})"
                yield Term(f"regexp_matches({said}, '{'|'.join(found)}')", f"{date} in {' or '.join(found)}")

    def _bounded(self, cue: str, money: str, number: str) -> Iterator[Term]:
        """`over 25 mg/l`: of the number that the question names, or of the money; what else is bounded is not known."""
        sign = next((sign for sign, cues in _SIGNS.items() if re.fullmatch(cues, cue)), "")
        known = [each.name for each in self.named if each.kind in ("number", "money", "rate")]
        known += [each.name for each in self.columns if each.kind == "money" and money]
        if sign and known and number:
            said = f"{known[0]} {sign} {number_of(number.rstrip('.,'))}"
            yield Term(said, said)

    def _set_against(self, group: Term, values: int) -> None:
        """Several values of one kind are what to group by when the question sets them against each other."""
        if values > 1 and _AGAINST.search(self.text):
            self.group, self.sign = group, 0

    def _grouped(self) -> Term | None:
        """`by country`, `each team`, `which customer ... the most`."""
        asks = (*_EACH, "which", "what") if self.sign else _EACH
        for at, (column, value) in self.means.items():
            before = next((key for key in self.said[:at][::-1] if key in asks or key not in STOP), "")
            if column and column.kind == "text" and not value and before in asks:
                if before in _EACH and not self.compute and self.sign:
                    self.compute, self.sign = "max" if self.sign > 0 else "min", 0
                return Term(column.name, column.name)
        return None
