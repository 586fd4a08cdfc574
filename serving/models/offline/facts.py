"""Search hits as facts: sentences, list items and table cells, each with what it stands under."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from serving.documents.words import sentences
from serving.models.offline.english import Quantity, quantities

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])\s+")
_NAMED: Final = re.compile(r"((?:\S+ ){0,4}\S+): \S")
_RULE: Final = re.compile(r"[\s|:=-]*|\[page \d+\]|\d{1,2}[.)]")
_MARKS: Final = re.compile(r"\*\*|__|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)|`|^>\s*|^#+ ")
# What leaders or a wide gap set apart: a name and its value, on a line of its own.
_SET_APART: Final = re.compile(r"(?m)^(.*?\S)(?: *\.{4,} *| {3,}|\t+)(?=\S)")
_TITLE: Final = re.compile(r"(?!.*(?:[.!;,)]$|\d|: )).{1,60}")
# A row of a table, a line that ends a sentence or comes before `Name: value`, or what wraps around.
_LINE: Final = re.compile(r"\n?(?=.*\|)[^\n]+|(?s:.+?)(?:(?=\n[A-Z][\w ()/-]{1,40}: )|(?<=[.!?:])(?=\n)|\Z)")
# What a price was before it changed is not what it is.
_FORMER: Final = re.compile(r"\bfrom [€$£\d.,]+(?= to\b)")
# Where a sentence goes on to its next figure.
_CLAUSE: Final = re.compile(r"[,;] |\b(?:and|but)\b|(?<=\w\w)\. ")


class Fact(NamedTuple):
    """`value` is where the answer must stand, `text` what is quoted; `subject` names an item or a row.

    `column` is a cell's title, `row` its whole row, `place` path and headings, `before` what was said right before it
    or stands beside it, `around` the whole section.
    """

    ref: str
    place: str
    text: str = ""
    value: str = ""
    subject: str = ""
    column: str = ""
    row: str = ""
    before: str = ""
    around: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        """The document, and in it the list, column or section that it is one of."""
        return self.ref.partition("#")[0], self.place, self.column


class Figure(NamedTuple):
    """An amount of a fact; the fact's `value` is the clause or cell that says it."""

    fact: Fact
    amount: Quantity
    name: str


def figures(fact: Fact) -> list[Figure]:
    """Of each clause of a sentence, of a cell: its money, or its numbers where it has none."""
    found = []
    for clause in [fact.value] if fact.column else _CLAUSE.split(_FORMER.sub("", fact.value)):
        numbers = quantities(clause) if fact.row != fact.text else []
        money = [number for number in numbers if number.dimension == "money"]
        found += [Figure(fact._replace(value=clause), n, fact.subject or clause) for n in money or numbers]
    return found


def facts(hits: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """Of the hits of `search_documents`; those of one section are read as one."""
    chunks: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for hit in hits:
        section = chunks.setdefault((hit["path"], hit.get("heading") or ""), [])
        section.append((int(hit["ref"].rpartition("#")[2]), hit["text"]))
    read = (_read(*place, tuple(sorted(section))) for place, section in chunks.items())
    return list({(fact.group, fact.text): fact for section in read for fact in section}.values())


@lru_cache(maxsize=1_000)
def _read(path: str, heading: str, chunks: tuple[tuple[int, str], ...]) -> tuple[Fact, ...]:
    lines = [(f"{path}#{n}", line) for n, text in chunks for line in _lines(text)]
    read = tuple(_facts(f"{path} > {heading}" if heading else path, lines))
    around = {place: " ".join(fact.value for fact in read if fact.place == place) for place in {f.place for f in read}}
    return tuple(fact._replace(around=around[fact.place]) for fact in read)


def _lines(text: str) -> list[str]:
    """Headings, sentences, rows, and items, with which stays what goes on behind their first sentence."""
    text = _SET_APART.sub(r"\n\1: ", text)
    lines: list[str] = []
    end = 0
    for start, stop in sentences(text):
        said, item = text[start:stop], lines and (_BULLET.match(lines[-1]) or _NAMED.match(lines[-1]))
        apart = re.search(r"\n(?!  )", text[end:start]) or _BULLET.match(said) or _NAMED.match(said)
        if item and not apart and "|" not in lines[-1]:
            lines[-1] += f" {said}"
        else:
            lines += [line.strip() for line in _LINE.findall(said)]
        end = stop
    return [_MARKS.sub("", line) for line in lines if not _RULE.fullmatch(line)]


def _facts(above: str, lines: Sequence[tuple[str, str]]) -> Iterator[Fact]:
    """Walks the lines and keeps the title, the table's header and the sentences that stand above each."""
    title = lead = before = ""
    header: list[str] = []
    for ref, line in lines:
        here = Fact(ref, f"{above} > {title}" if title else above)
        said = " ".join(_BULLET.sub("", line).split())
        if "|" in line:
            line = line[1:-1] if line[0] == line[-1] == "|" else line
            cells = [cell.strip() for cell in line.split("|")]
            yield from _row(here, lead, header, cells) if header else ()
            header = header or cells
            continue
        header = []
        if said == line and title != (lead or None) and _TITLE.fullmatch(said):
            title, lead, before = said, said, ""
        else:
            item = bool(_BULLET.match(line))
            named = _NAMED.match(said) or (item and re.match(r"(.*?): \S", said))
            context = lead if item else f"{lead} {before}"
            yield here._replace(text=said, value=said, subject=named[1] if named else "", before=context)
            before = said
            lead = lead if named or item else said


def _row(here: Fact, lead: str, header: Sequence[str], cells: Sequence[str]) -> Iterator[Fact]:
    """Each cell with the row's first one and the column's title; the first one stands for the whole row."""
    pairs = [(name, cell) for name, cell in zip(header, cells, strict=False) if cell]
    row = "; ".join(f"{name}: {cell}".removeprefix(": ") for name, cell in pairs)
    here = here._replace(place=f"{here.place} > {header[0]}", row=row, before=" ".join((lead, *cells)))
    for name, cell in pairs[1:]:
        yield here._replace(text=f"{cells[0]} – {name}: {cell}", value=cell, subject=cells[0], column=name)
    yield here._replace(text=row, value=cells[0], subject=cells[0])
