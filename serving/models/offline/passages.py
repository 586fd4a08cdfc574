"""Search hits as passages that can answer: sentences, list items, table rows and cells, each with what stands above."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple

from serving.documents.words import sentences

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])\s+")
_NAMED: Final = re.compile(r"((?:\S+ ){0,4}\S+): \S")
_RULE: Final = re.compile(r"[\s|:=-]*|\[page \d+\]|\d{1,2}[.)]")
_MARKS: Final = re.compile(r"\*\*|__|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)|`|^>\s*|^#+ ")
# What leaders or a wide gap set apart: a name and its value, on a line of its own.
_SET_APART: Final = re.compile(r"(?m)^(.*?\S)(?: *\.{4,} *| {3,}|\t+)(?=\S)")
_TITLE: Final = re.compile(r"(?!.*(?:[.!;,)]$|\d|: )).{1,60}")
_POINTS_BACK: Final = re.compile(r"(?i)(?:it|its|they|their|this|these|he|she|both)\b")
# A row of a table, a line that ends a sentence or comes before `Name: value`, or what wraps around.
_LINE: Final = re.compile(r"\n?(?=.*\|)[^\n]+|(?s:.+?)(?:(?=\n[A-Z][\w ()/-]{1,40}: )|(?<=[.!?:])(?=\n)|\Z)")


class Passage(NamedTuple):
    """`value` is where the answer must stand; `place`: path, heading and title; `around`: its whole section.

    `name` is what an item or a row is about, `column` a cell's title, `before` what was said right before it.
    """

    ref: str
    place: str
    text: str = ""
    value: str = ""
    kind: str = "sentence"
    name: str = ""
    column: str = ""
    around: str = ""
    before: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        """The document, and in it the list, column or section that it is one of."""
        return self.ref.partition("#")[0], self.place, self.column


def passages(hits: Sequence[Mapping[str, Any]]) -> list[Passage]:
    """Of the hits of `search_documents`; those that follow each other in one section are read as one."""
    chunks: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for hit in hits:
        section = chunks.setdefault((hit["path"], hit.get("heading") or ""), [])
        section.append((int(hit["ref"].rpartition("#")[2]), hit["text"]))
    found: dict[tuple[object, ...], Passage] = {}
    for (path, heading), section in chunks.items():
        for _, run in groupby(enumerate(sorted(section)), key=lambda pair: pair[1][0] - pair[0]):
            for passage in _read(path, heading, tuple(chunk for _, chunk in run)):
                found.setdefault((passage.group, passage.text), passage)
    return list(found.values())


@lru_cache(maxsize=1_000)
def _read(path: str, heading: str, chunks: tuple[tuple[int, str], ...]) -> tuple[Passage, ...]:
    lines = [(f"{path}#{ordinal}", line) for ordinal, text in chunks for line in _lines(text)]
    read = tuple(_passages(f"{path} > {heading}", lines))
    around = {passage.place: "" for passage in read}
    for passage in read:
        around[passage.place] += f" {passage.value}" * (passage.kind != "row")
    return tuple(passage._replace(around=around[passage.place]) for passage in read)


def _lines(text: str) -> list[str]:
    """Headings, sentences, rows, and items, with which stays what goes on behind their first sentence."""
    text = _SET_APART.sub(r"\n\1: ", text)
    lines: list[str] = []
    end = 0
    for start, stop in sentences(text):
        item = lines and (_BULLET.match(lines[-1]) or _NAMED.match(lines[-1])) and "|" not in lines[-1]
        begins = re.search(r"\n(?!  )", text[end:start]) or _NAMED.match(text[start:stop])
        if item and not begins and not _BULLET.match(text[start:stop]):
            lines[-1] += f" {text[start:stop]}"
        else:
            lines += [line.strip() for line in _LINE.findall(text[start:stop])]
        end = stop
    return [_MARKS.sub("", line) for line in lines if not _RULE.fullmatch(line)]


def _passages(above: str, lines: Sequence[tuple[str, str]]) -> Iterator[Passage]:
    """Walks the lines and keeps the title, the table's header and the sentences that stand above each."""
    title, lead, before = "", "", ("", "")
    header: list[str] = []
    for ref, line in lines:
        here = Passage(ref, " > ".join(filter(None, (above, title))))
        said = " ".join(_BULLET.sub("", line).split())
        if "|" in line:
            closed = line[0] == line[-1] == "|"
            cells = [cell.strip() for cell in (line[1:-1] if closed else line).split("|")]
            yield from _row(here._replace(before=lead), header, cells) if header else ()
            header = header or cells
            continue
        header = []
        if above.endswith("> ") and len(said) < 80 and said[-1] not in ".!?":
            above = f"{above}{said}"
        elif said == line and title != (lead or None) and _TITLE.fullmatch(said):
            title, lead, before = said, said, ("", "")
        else:
            item = bool(_BULLET.match(line))
            named = _NAMED.match(said) or (item and re.match(r"(.*?): \S", said))
            kind, name = ("item" if named or item else "sentence"), named[1] if named else ""
            context = lead if item else " ".join(dict.fromkeys((lead, *before)))
            both = f"{before[1]} {said}" if before[1] and not item and _POINTS_BACK.match(said) else said
            yield here._replace(text=both, value=said, kind=kind, name=name, before=context)
            before = (before[1], said)
            lead = lead if kind == "item" else said


def _row(here: Passage, header: Sequence[str], cells: Sequence[str]) -> Iterator[Passage]:
    """The row as a whole, and each cell with the row's first one and the column's title."""
    here = here._replace(place=f"{here.place} > {header[0]}", name=cells[0])
    pairs = [(name, cell) for name, cell in zip(header, cells, strict=False) if cell]
    whole = "; ".join(f"{name}: {cell}".removeprefix(": ") for name, cell in pairs)
    yield here._replace(text=whole, value=whole, kind="row")
    for name, cell in pairs[1:]:
        yield here._replace(text=f"{cells[0]} – {name}: {cell}", value=cell, kind="cell", column=name)
