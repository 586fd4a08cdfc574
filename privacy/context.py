"""What the words around a number say about it: the words before it in its line, and its column's header."""

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

REACH: Final = 5
"""How many words before a value may name it."""

FILLERS: Final = frozenset(
    {
        "no",
        "nr",
        "num",
        "number",
        "numbers",
        "nummer",
        "numero",
        "is",
        "are",
        "was",
        "the",
        "a",
        "an",
        "my",
        "our",
        "your",
        "his",
        "her",
        "their",
        "its",
        "of",
        "at",
        "on",
        "to",
        "for",
        "and",
        "or",
        "de",
        "la",
        "ist",
        "lautet",
        "der",
        "die",
        "das",
        "mein",
        "meine",
        "unser",
        "unsere",
    }
)
# A number right after one of these is no personal number, whatever its shape.
CONTRARY: Final = frozenset(
    {
        "order",
        "orders",
        "invoice",
        "invoices",
        "article",
        "item",
        "items",
        "part",
        "sku",
        "serial",
        "product",
        "model",
        "ref",
        "reference",
        "isbn",
        "issn",
        "ean",
        "gtin",
        "upc",
        "po",
        "lot",
        "batch",
        "ticket",
        "case",
        "contract",
        "tracking",
        "shipment",
        "id",
        "uuid",
        "run",
        "job",
        "commit",
        "version",
        "ver",
        "release",
        "firmware",
        "build",
        "section",
        "chapter",
        "clause",
        "page",
        "amount",
        "total",
        "price",
        "sum",
        "net",
        "gross",
        "balance",
        "quantity",
        "qty",
        "date",
        "year",
        "bestellung",
        "bestellnummer",
        "auftrag",
        "auftragsnummer",
        "rechnung",
        "rechnungsnummer",
        "artikel",
        "artikelnummer",
        "betrag",
        "summe",
        "eur",
        "usd",
        "gbp",
        "chf",
        "euro",
        "euros",
    }
)

_WORD: Final = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")
_DELIMITERS: Final = ("\t", "|", ";", ",")
_LONGEST_HEADER_CELL: Final = 32


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text, lower-cased, with where each starts. `accountNumber` and `account_number` are two words."""

    lemmas: list[str]
    starts: list[int]

    @classmethod
    def of(cls, text: str) -> "Words":
        matches = list(_WORD.finditer(text))
        return cls([match[0].lower() for match in matches], [match.start() for match in matches])

    def before(self, position: int, floor: int) -> list[str]:
        """Up to `REACH` telling words in [floor, position), the nearest first."""
        found: list[str] = []
        index = bisect_left(self.starts, position) - 1
        while index >= 0 and self.starts[index] >= floor and len(found) < REACH:
            if self.lemmas[index] not in FILLERS:
                found.append(self.lemmas[index])
            index -= 1
        return found


@dataclass(frozen=True, slots=True)
class Label:
    """The words that may name a value. `nearest` is the one right before it or its column's header."""

    nearest: str
    words: frozenset[str]

    @property
    def contrary(self) -> bool:
        return self.nearest in CONTRARY


def label(text: str, words: Words, position: int) -> Label:
    """What names the value that starts at `position`."""
    line_start = text.rfind("\n", 0, position) + 1
    cell_start, header = _column(text, line_start, position)
    own = words.before(position, cell_start) + _telling(header)
    return Label(own[0] if own else "", frozenset(own + words.before(position, line_start)))


def _telling(header: str) -> list[str]:
    return [lemma for lemma in reversed(Words.of(header).lemmas) if lemma not in FILLERS]


def _column(text: str, line_start: int, position: int) -> tuple[int, str]:
    """Where the value's cell starts and its column's header; the line's start and "" outside of a table."""
    block = text.rfind("\n\n", 0, line_start)
    header = _line(text, block + 2 if block >= 0 else 0)
    line = _line(text, line_start)
    for delimiter in _DELIMITERS:
        cells = header.split(delimiter)
        if 1 < len(cells) == line.count(delimiter) + 1 and max(map(len, cells)) <= _LONGEST_HEADER_CELL:
            before = text[line_start:position]
            return line_start + before.rfind(delimiter) + 1, cells[before.count(delimiter)]
    return line_start, ""


def _line(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start : end if end >= 0 else len(text)]
