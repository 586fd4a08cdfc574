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
from serving.models.offline.columns import ASKING, CASH, MONEY, PIECES, Meaning, columns_of, meanings_in, rows_of
from serving.models.offline.english import LIGHT, MONTHS, STOP, degree, measured, number_of, stems

_MOST_GROUPS, _MOST_ROWS = 20, 50
_COMPUTES: Final = {
    "avg": r"\b(?:average|mean)\b",
    "count": r"\bhow many\b|\bnumber of\b",
    "sum": r"\b(?:sum|totals?|altogether|overall|add up|spen[dt]|revenue|turnover|takings)\b"
    r"|\bwhat did\b.*\b(?:earn|take|make|cost|bring)\b"
    r"|\bhow much (?!may|can|must|is|(?:do|does|will|would)\b.*\bcosts?\b)",
    "": "",
}
_SAID: Final = {"avg": "Average", "sum": "Total", "max": "Highest", "min": "Lowest", "": ""}
_EACH: Final = ("by", "per", "each", "every")
_AGAINST: Final = re.compile(r"\b(?:which|compare|versus|vs|difference|or)\b")
_TOP: Final = re.compile(r"\b(?:top|the) (\d+|two|three|four|five|ten)\b")
# A price for each hour is another than the sums of a table.
_PER: Final = re.compile(r"\bper (\w+)")
# What is not filtered by must not be left out in silence.
_BOUND: Final = re.compile(r"\b(?:since|after|before|until|between|above|over|below|under|than|at (?:least|most))\b")
_SIGNS: Final = {
    ">": r"(?:more|higher|longer|larger|older) than|over|above|after",
    ">=": "at least|since",
    "<": r"(?:less|fewer|lower|shorter|smaller|cheaper) than|under|below|before",
    "<=": "at most|up to",
}
_LIMIT: Final = re.compile(rf"\b({'|'.join(_SIGNS.values())}) ([€$£]?)\s?(\d[\d.,]*)(?![-/:\w])")
_MONTH: Final = "|".join(f"{m}|{m[:3]}" for m in MONTHS if m != "may") + r"|(?<=in )may|(?<=or )may|may(?= 20)"
_RANGE: Final = re.compile("(?:from |between )?({0}) (?:to|until|through|and) ({0})".format("|".join(MONTHS)))
# A part of a date: how questions say it, and what it is called as a group.
_PERIODS: Final = {
    "month": (rf"\b(?:{_MONTH})\b", "strftime({}, '%Y-%m')"),
    "quarter": (r"\bq[1-4]\b", "year({0}) || ' Q' || quarter({0})"),
    "year": (r"\b(?:19|20)\d\d\b(?!-)", "year({})"),
}


class Term(NamedTuple):
    sql: str
    said: str


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
    read = [(reading.query(), reading.fit) for reading in readings if subject <= reading.placed]
    return max((pair for pair in read if pair[0]), key=lambda pair: pair[1], default=(None, ()))[0]


def sentence(asked: Query, result: Mapping[str, Any]) -> str:
    """What the rows say; empty when they say nothing, or go on and on where one value is asked for."""
    rows = [row for row in result.get("rows", []) if row[-1] is not None]
    if not rows or (asked.strict and rows == [[0]]) or len(rows) > asked.most:
        return ""
    cells = [[f"{Decimal(f'{v}').normalize():f}" if type(v) in (int, float) else f"{v}" for v in row] for row in rows]
    lines = [(": " if len(row) == 2 else ", ").join(row) for row in cells]
    return f"{asked.title}: {lines[0]}." if len(lines) == 1 else f"{asked.title}:\n- " + "\n- ".join(lines)


class Reading:
    """Words that are `left` must stand in the row; `sign` is 1 for the most, -1 for the least; `fit` orders tables."""

    def __init__(self, text: str, table: TableInfo) -> None:
        text = re.sub(r"n['’]t\b", " not", " ".join(text.lower().split()))
        text = re.sub(r"\bun(paid|\w+ed)\b", r"not \1", text)
        text = _RANGE.sub(lambda both: " ".join(MONTHS[MONTHS.index(both[1]) : MONTHS.index(both[2]) + 1]), text)
        self.table, self.text, self.columns = table, _LIMIT.sub(" ", text), columns_of(table)
        self.said = words(self.text)
        rows = rows_of(table.name)
        self.means = meanings_in(self.said, self.columns, rows)
        self.named = [meaning.column for meaning in self.means.values() if meaning.column and not meaning.value]
        self.compute = next(how for how, cue in _COMPUTES.items() if re.search(cue, self.text))
        degrees, top = [word for word in self.text.split() if degree(word)], _TOP.findall(self.text)[:1]
        self.sign, self.limit = next(map(degree, degrees), 0), next((int(number_of(n) or 1) for n in top), 1)
        self.furthest = "max" if self.sign > 0 else "min"
        self.placed = {self.said[at] for at in self.means}
        self.group = self._grouped()
        limits = [self._bounded(*limit) for limit in _LIMIT.findall(text)]
        # `Which piece has the most copies`, `per performance`: no table calls its rows as a question does.
        spare = rf"^(?:which|what) (\w+)|(\w+) the (?:{'|'.join(degrees)})"
        spares = list(map("".join, re.findall(spare, self.text))) if degrees and self.named else []
        spares += _PER.findall(self.text) if self.compute == "avg" else []
        money = any(column.kind == "money" for column in self.columns)
        self.taken = STOP | ASKING | (LIGHT | MONEY if money else LIGHT - CASH)
        self.taken |= self.placed | stems(" ".join([*degrees, *top, *spares]))
        self.where = [*self._filters(), *self._periods(), *filter(None, limits)]
        self.left = [key for key in dict.fromkeys(self.said) if key not in self.taken]
        own = rows.union(*(column.forms | stems(" ".join(column.values)) for column in self.columns))
        values = sum(bool(meaning.value) for meaning in self.means.values())
        self.fit = (-len(self.left), values, len(own & self.placed), len(self.placed))
        per = frozenset(words(" ".join(_PER.findall(self.text)))) - self.placed
        self.odd = None in limits or _BOUND.search(self.text) or (degrees and per)

    def query(self) -> Query | None:
        value = self._counted() if self.compute == "count" else self._measure()
        computed = bool(self.group or self.compute)
        listing = bool(value or re.match("which|list|show|name", self.text))
        where = [*self.where, *map(self._stands, self.left)]
        heads = [term for term in (self.group, value) if term] if computed else self._shown(value, listing)
        if self.odd or not heads or not (where or value) or (computed and not value):
            return None
        title = " by ".join(term.said for term in heads[::-1]) if self.group else ", ".join(term.said for term in heads)
        title += f" in {PurePath(self.table.path).stem}"
        title += f" where {' and '.join(term.said for term in where)}" if where else ""
        ranked = value if self.sign and (self.group or not self.compute) else None
        order = f"{ranked.sql} {'DESC' if self.sign > 0 else 'ASC'} NULLS LAST, 1" if ranked else "1"
        sql = f"SELECT {', '.join(head.sql for head in heads)} FROM {self.table.name}"  # noqa: S608
        sql += f" WHERE {' AND '.join(term.sql for term in where)}" if where else ""
        sql += f"{' GROUP BY 1' * bool(self.group)} ORDER BY {order} LIMIT {self.limit if ranked else _MOST_ROWS}"
        most = _MOST_GROUPS if computed else _MOST_ROWS if listing else 1
        return Query(self.table.path, sql, title, most, strict=bool(self.left))

    def _counted(self) -> Term | None:
        """`how many X`: the rows, the sum of a column X, or its distinct values."""
        start = next((at for at, key in enumerate(self.said) if key in ("many", "number")), 0) + 1
        near = [at for at in range(start, len(self.said)) if self.said[at] not in STOP][:3]
        first = next((at for at in near if at in self.means), None)
        if first is None:
            return None
        column, value = self.means[first]
        pieces = [column for column in self.columns if column.kind == "number" and column.forms & PIECES]
        sold = len(pieces) == 1 and (pieces[0] in self.named or (value and Meaning() not in self.means.values()))
        # In `keg orders` it is the orders.
        rows = self.means.get(first + 1) == Meaning() and not re.search(r"\b(?:different|distinct)\b", self.text)
        if sold or (column and column.kind == "number" and not value and not rows):
            name = pieces[0].name if sold or not column else column.name
            return Term(f"sum({name})", f"Total {name}")
        if not column or value or rows or column.kind != "text":
            return Term("count(*)", "Number of entries")
        # What a table has of each is not how many there are: something else must be said about its rows.
        other = len(self.means) > 1
        return Term(f"count(DISTINCT {column.name})", f"Number of different {column.name}") if other else None

    def _measure(self) -> Term | None:
        """The column to compute over or to order by: one that is named, else the money, else the only number."""
        said, of = {*self.said}, measured(self.text)
        kinds = ("money", "number", "rate")[: 2 if self.compute == "sum" else 3]
        columns = dict.fromkeys([*self.named, *self.columns])
        sums = [column for kind in kinds for column in columns if column.kind == kind]
        money = [column for column in sums if column.kind == "money"]
        found = [column for column in sums if column in self.named and (column in money or CASH.isdisjoint(said))]
        if self.group and not (self.compute or found or MONEY & said or of) and re.search("most|fewest", self.text):
            return Term("count(*)", "Number of entries")
        fits = [column for column in sums if column.forms & of] or money * bool(of & CASH)
        found = fits or found or (money or sums[: len(sums) == 1]) * (not of)
        if not found or not (self.compute or self.sign or self.group):
            return None
        name = found[0].name
        # The oldest was built in the lowest year.
        self.sign *= -1 if found[0].kind == "rate" and "age" in of else 1
        compute = self.compute or ((self.furthest if of else "sum") if self.group else "")
        sql = f"round(avg({name}), 2)" if compute == "avg" else f"{compute}({name})" if compute else name
        return Term(sql, f"{_SAID[compute]} {name}".strip())

    def _shown(self, value: Term | None, listing: bool) -> list[Term]:
        """The columns that a look-up of rows names, beside the first; the first four for `which` and `list`."""
        shown = [column.name for column in self.named or self.columns[1 : 4 * listing]]
        # A running number says little about a row.
        first = [column.name for column in self.columns[: 1 + ("INT" in self.table.columns[0][1])]]
        names = dict.fromkeys([*first, *shown, *([value.sql] if value else [])])
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
        dates = [column.name for column in [*self.named, *self.columns] if column.kind == "date"]
        for part, (cue, way) in _PERIODS.items() if dates else ():
            group, months = Term(way.format(dates[0]), part), [month[:3] for month in MONTHS]
            if re.search(rf"\b(?:{'|'.join(_EACH)}) {part}\b", self.text) and part not in self.placed:
                self.group, self.taken = group, self.taken | {part}
            if found := [said for said in re.findall(cue, self.text) if not stems(said) <= self.placed]:
                numbers = [months.index(n[:3]) + 1 if n[:3] in months else int(n.strip("q")) for n in found]
                self.taken |= stems(" ".join(found))
                self._set_against(group, len({*numbers}))
                listed = ", ".join(map(str, dict.fromkeys(numbers)))
                yield Term(f"{part}({dates[0]}) IN ({listed})", f"{dates[0]} in {' or '.join(found)}")

    def _bounded(self, cue: str, money: str, number: str) -> Term | None:
        """`over 25 mg/l`: of the number that the question names, of the money, of a date's year; else not known."""
        year = re.fullmatch(r"(?:19|20)\d\d", number)
        dates = [f"year({each.name})" for each in self.columns if each.kind == "date" and year]
        named = [each.name for each in self.named if each.kind in ("number", "money", "rate")]
        sums = [each.name for each in self.columns if each.kind == "money" and money]
        sign = next(sign for sign, cues in _SIGNS.items() if re.fullmatch(cues, cue))
        bound = f"{sign} {number_of(number.rstrip('.,'))}"
        return next((Term(f"{of} {bound}", f"{of} {bound}") for of in (*dates, *named, *sums)), None)

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
                    self.compute, self.sign = self.furthest, 0
                return Term(column.name, column.name)
        return None
