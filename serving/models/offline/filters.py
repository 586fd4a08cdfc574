"""One question read against one table: its words, which of them found their place, and the conditions on the rows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from graph.ports import TableInfo
from serving.models.offline import vocabulary as v
from serving.models.offline.columns import Column, columns, named
from serving.models.offline.dates import Period, period
from serving.models.offline.language import TOKEN, actor, keys, number_of, plain, stems, synonyms

_OPERATORS: Final = (
    (r"(?:above|over|exceed(?:s|ing)?|(?:more|\w+er) than(?<!less than)(?<!fewer than)(?<!lower than))", ">"),
    (r"at least", ">="),
    (r"(?:below|under|(?:less|fewer|lower|shorter|cheaper) than)", "<"),
    (r"(?:at most|up to)", "<="),
)
_NUMBER: Final = r"\s+(?:of )?(?:[€$£]|eur |usd |gbp )?(\d[\d.,]*\d|\d)\s?([^\W\d_]+)?"
_NOT: Final = re.compile(
    r"(?:\b(?:not|non|excluding|except(?: for)?|without|other than|never)|n't)[\s-]*(?:(?:yet|been|be|the|any) )*$"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """`said` is how the answer names the condition; `many` that it lets several values of one column through."""

    sql: str
    said: str
    column: Column
    many: bool = False


class Reader:
    """`used` collects the words that found their place, `exact` counts those that are a column's own name."""

    def __init__(self, text: str, table: TableInfo, values: Mapping[str, Sequence[str]]) -> None:
        self.columns, self.values, self.when = columns(table), values, Period()
        self.lower = text.lower()
        self.words = [word for word in TOKEN.findall(self.lower) if word not in v.STOP]
        self.entity = {word for word in self.words if not stems(table.name).isdisjoint(keys(word))}
        self.used: set[str] = set()
        self.apposed: set[str] = set()
        self.exact = 0

    def of_kind(self, *kinds: str) -> list[Column]:
        return [column for column in self.columns if column.kind in kinds]

    def free(self) -> list[str]:
        return [word for word in self.words if word not in self.used]

    def use(self, column: Column, words: Sequence[str]) -> None:
        near = {key for own in column.nouns for key in (own, actor(own), *synonyms(own))}
        self.exact += sum(1 for word in words if word in self.free() and not column.keys.isdisjoint(keys(word)))
        self.used |= {word for word in words if not near.isdisjoint(keys(word))}

    def dated(self) -> Column | None:
        """The date column that the question means: the one it names, else the first."""
        dates = self.of_kind("date")
        return named(self.free(), dates, 0.4) or next(iter(dates), None)

    def filters(self) -> tuple[Filter, ...]:
        return (*self._values(), *self._flags(), *self._comparisons(), *self._period())

    def _values(self) -> Iterator[Filter]:
        for column in self.of_kind("text"):
            known = dict.fromkeys((*column.values, *self.values.get(column.name, ())))
            found, negated = [], False
            for value in sorted(known, key=len, reverse=True):
                if not column.yes and (words := self._said(value)):
                    found.append(value)
                    opposite = words[0].startswith("un") and not value.lower().startswith("un")
                    negated |= opposite or self._negated(words[0])
                    self._take(words)
            if found:
                yield _one_of(column, found, negated)

    def _said(self, value: str) -> list[str]:
        """The question's words that say a value, all of it in order."""
        wanted, every = TOKEN.findall(value), TOKEN.findall(self.lower)
        for at in range(len(every) - len(wanted) + 1):
            words = every[at : at + len(wanted)]
            fresh = any(word in self.words and word not in self.used for word in words)
            fresh = fresh and (len(words) > 1 or words[0] not in self.entity)
            if fresh and all(_same(word, part, value) for word, part in zip(words, wanted, strict=True)):
                return words
        return []

    def _negated(self, word: str) -> bool:
        return bool(_NOT.search(self.lower[: self.lower.find(word)]))

    def _take(self, words: list[str]) -> None:
        """`X200 pumps`, `Express service`: the noun behind a value says what the value is."""
        self.used |= set(words)
        after = re.search(rf"\b{re.escape(words[-1])}\s+([a-z]+)", self.lower)
        noun = after[1] if after and after[1] in self.words else ""
        if noun and noun not in self.entity and not named([noun], self.of_kind("number", "text", "flag"), 0.5):
            self.used.add(noun)
            self.apposed.add(noun)

    def _flags(self) -> Iterator[Filter]:
        for column in self.of_kind("flag", "text"):
            near = (w for w in self.free() if not column.keys.isdisjoint({*keys(w), *keys(w.removeprefix("un"))}))
            word = next(near, "")
            if column.yes and word:
                no = column.keys.isdisjoint(keys(word)) or self._negated(word)
                self.used.add(word)
                sql = f"{column.sql} {'IS DISTINCT FROM' if no else '='} {column.yes}"
                yield Filter(sql, f"{'not ' if no else ''}{column.title}", column)

    def _comparisons(self) -> Iterator[Filter]:
        for cue, operator in _OPERATORS:
            for match in re.finditer(rf"\b{cue}{_NUMBER}", self.lower):
                number, unit = number_of(match[1]), match[2] or ""
                column = self._compared(unit)
                if column and number is not None:
                    self.used |= set(TOKEN.findall(match.group())) - ({unit} - set(v.UNITS))
                    yield Filter(f"{column.sql} {operator} {plain(number)}", match.group(), column)

    def _compared(self, unit: str) -> Column | None:
        """`above 5 kg` speaks of weight_kg, `above 5` of the number that is named, or of the money."""
        numbers = self.of_kind("number")
        by_unit = [c for c in numbers if unit and {unit, unit.rstrip("s")} & set(c.name.split("_"))]
        money = [c for c in numbers if c.money and (not unit or v.UNITS.get(unit, ("",))[0] == "money")]
        column = next(iter(by_unit), None) or named(self.free(), numbers, 0.5) or next(iter(money), None)
        if column:
            self.use(column, self.free())
        return column

    def _period(self) -> Iterator[Filter]:
        when, column = period(self.lower), self.dated()
        if column and when.conditions:
            self.use(column, self.free())
            self.used |= set(TOKEN.findall(when.said.lower()))
            self.when = when
            yield Filter(" AND ".join(when.conditions).replace("{}", column.sql), when.said, column)


def _same(word: str, part: str, value: str) -> bool:
    """Whether a word says a value: `refunded orders` and `refunds`, but not `payments` for paid."""
    if word.startswith("un") and keys(word[2:]) == keys(part):
        return True
    return keys(word) == keys(part) and (" " in value or abs(len(word) - len(value)) <= 2)


def _one_of(column: Column, values: Sequence[str], negated: bool) -> Filter:
    distinct = tuple(dict.fromkeys(values))
    listed = ", ".join("'" + value.lower().replace("'", "''") + "'" for value in distinct)
    sql = f"lower(CAST({column.sql} AS VARCHAR)) {'NOT ' if negated else ''}IN ({listed})"
    said = f"{column.title} {'not ' if negated else ''}{' or '.join(distinct)}"
    return Filter(sql, said, column, many=len(distinct) > 1)
