"""A question read against one table: which rows it means, what they are grouped and ordered by, what is left over."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from graph.ports import TableInfo
from serving.documents.words import words
from serving.models.offline.columns import ASKING, CASH, MONEY, Column, column_of, meanings_in
from serving.models.offline.english import LIGHT, MONTHS, STOP, degree, meanings, number_of, stems

_COMPUTES: Final = {
    "avg": r"\b(?:average|mean)\b",
    "count": r"\bhow many\b|\bnumber of\b",
    "sum": r"\b(?:sum|totals?|altogether|overall|add up|spen[dt]|revenue|turnover|takings)\b"
    r"|\bwhat did\b.*\b(?:earn|take|make|cost|bring)\b"
    r"|\bhow much (?!may|can|must|is|(?:do|does|will|would)\b.*\bcosts?\b)",
    "": "",
}
FURTHEST: Final = {1: "max", -1: "min"}
_EACH: Final = ("by", "per", "each", "every")
# The oldest has the lowest year.
_AGE, _SINCE = r"\b(?:old|young)(?:er|est)\b", stems("year built born founded")
_TOP: Final = r"\b(?:top|the) (\d+|two|three|four|five|ten)\b"
# What this model doesn't filter by must not be left out in silence.
_BOUND: Final = r"\b(?:since|after|before|until|between|above|over|below|under|than|at (?:least|most))\b"
_SIGNS: Final = {
    ">": "(?:more|higher|longer|larger|bigger|older|greater) than|over|above|after",
    "<": "(?:less|fewer|lower|shorter|smaller|younger|cheaper) than|under|below|before",
    ">=": "at least|since",
    "<=": "at most|up to",
}
_LIMIT: Final = re.compile(
    rf"\b(?:{'|'.join(f'({cue})' for cue in _SIGNS.values())}) ([€$£]?)\s?(\d[\d.,]*)(?![-/:\w])"
)
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


class Reading:
    """Words that are `left` must stand in the row; `sign` is 1 for the most, -1 for the least; `fit` orders tables."""

    def __init__(self, text: str, table: TableInfo) -> None:
        text = re.sub(r"n['’]t\b", " not", " ".join(text.lower().split()))
        text = re.sub(r"\bun(paid|\w+ed)\b", r"not \1", text)
        text = _RANGE.sub(lambda both: " ".join(MONTHS[MONTHS.index(both[1]) : MONTHS.index(both[2]) + 1]), text)
        limits, self.text = list(_LIMIT.finditer(text)), _LIMIT.sub(" ", text)
        self.table, self.said, rows = table, words(self.text), stems(re.sub(r"[\d_]+", " ", table.name))
        types = enumerate(table.columns)
        self.columns = [column_of(*c, table.samples.get(c[0], ()), rows, not at) for at, c in types]
        if not CASH.isdisjoint(self.said) and all(column.kind != "money" for column in self.columns):
            # `energy` may be money where a table has no other; with cents it is.
            cents = {name for name, type_ in table.columns if type_.endswith(",2)") and stems(name) & {*self.said}}
            self.columns = [c._replace(kind="money") if c.name in cents else c for c in self.columns]
        self.means = meanings_in(self.said, self.columns, rows)
        self.named = [meaning.column for meaning in self.means.values() if meaning.column and not meaning.value]
        self.placed = {self.said[at] for at in self.means}
        self.compute = next(how for how, cue in _COMPUTES.items() if re.search(cue, self.text))
        degrees, top = [word for word in self.text.split() if degree(word)], re.findall(_TOP, self.text)[:1]
        self.sign, self.limit = next(map(degree, degrees), 0), next((int(number_of(n) or 1) for n in top), 1)
        since = any(each.kind in ("number", "year") and not _SINCE.isdisjoint(each.forms) for each in self.columns)
        self.sign *= -1 if since and re.search(_AGE, self.text) else 1
        money = any(column.kind == "money" for column in self.columns)
        self.taken = self.placed | stems(" ".join([*degrees, *top])) | ASKING | STOP
        self.taken |= LIGHT | MONEY if money else LIGHT - CASH
        if self.compute == "avg":  # per performance: per row
            self.taken |= {key for before, key in pairwise(self.said) if before == "per"}
        # `Which team took the most copies`: no table calls its rows, or what they do, as a question does.
        named = any(column.kind in ("number", "money", "year") for column in self.named)
        spare = rf"^(?:which|what) (\w+)|(\w+) the (?:{'|'.join(degrees)})" if named and degrees else "$^"
        self.taken |= stems(" ".join(map("".join, re.findall(spare, self.text))))
        self.group = self._grouped()
        bounds = [self._bounded(limit) for limit in limits]
        self.where = [*self._filters(), *self._periods(), *(bound for bound in bounds if bound)]
        self.left = [key for key in dict.fromkeys(self.said) if key not in self.taken]
        own = rows.union(*(column.forms | stems(" ".join(column.values)) for column in self.columns))
        self.fit = (-len(self.left), len(own & self.placed), len(self.placed))
        # Too much is left over, or something that no word of a row can stand for.
        odd = len(self.left) > min(3, len(self.means)) or any(re.fullmatch(r"\d\d?", key) for key in self.left)
        self.odd = odd or None in bounds or bool(re.search(_BOUND, self.text))

    def stands(self, key: str) -> Term:
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
            named = any(meanings(part) & column.forms for column in self.columns)
            if not named and re.search(rf"\b(?:{'|'.join(_EACH)}) {part}\b", self.text):
                self.group, self.taken = group, self.taken | {part}
            if found := [said for said in re.findall(cue, self.text) if not stems(said) <= self.placed]:
                numbers = [months.index(n[:3]) + 1 if n[:3] in months else int(n.strip("q")) for n in found]
                self.taken |= stems(" ".join(found))
                self._set_against(group, len({*numbers}))
                listed = ", ".join(map(str, dict.fromkeys(numbers)))
                yield Term(f"{part}({dates[0]}) IN ({listed})", f"{dates[0]} in {' or '.join(found)}")

    def _bounded(self, limit: re.Match[str]) -> Term | None:
        """`over 25 mg/l`: of the number that the question names, of the money, of a date's year; else not known."""
        sign = next(sign for sign, said in zip(_SIGNS, limit.groups(), strict=False) if said)
        number, year = number_of(limit[6].rstrip(".,")), re.fullmatch(r"(?:19|20)\d\d", limit[6])
        dates = [f"year({each.name})" for each in self.columns if each.kind == "date" and year]
        named = [each.name for each in self.named if each.kind in ("number", "money", "year")]
        money = [each.name for each in self.columns if each.kind == "money" and limit[5]]
        return next((Term(f"{of} {sign} {number}", f"{of} {sign} {number}") for of in (*dates, *named, *money)), None)

    def _set_against(self, group: Term, values: int) -> None:
        """Several values of one kind are what to group by when the question sets them against each other."""
        if values > 1 and re.search(r"\b(?:which|compare|versus|vs|difference|or)\b", self.text):
            self.group, self.sign = group, 0

    def _grouped(self) -> Term | None:
        """`by country`, `each team`, `which customer ... the most`."""
        asks = (*_EACH, "which", "what") if self.sign else _EACH
        for at, (column, value) in self.means.items():
            before = next((key for key in self.said[:at][::-1] if key in asks or key not in STOP), "")
            if column and column.kind == "text" and not value and before in asks:
                if self.sign and before in _EACH and self.compute not in ("sum", "avg"):
                    self.compute, self.sign = FURTHEST[self.sign], 0
                return Term(column.name, column.name)
        return None

    def numeric(self) -> list[Column]:
        """The columns to compute over: money first, of each kind the named ones ahead; years have no sum."""
        columns = dict.fromkeys([*self.named, *self.columns])
        kinds = ("money", "number", "year")[: 2 if self.compute == "sum" else 3]
        return [column for kind in kinds for column in columns if column.kind == kind]
