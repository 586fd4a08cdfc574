"""Search hits as passages that can answer: sentences, list items, table rows and cells, each with what is around it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import sentences

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])\s+")
_RULE: Final = re.compile(r"[\s|:=-]*|\[page \d+\]|\d{1,2}[.)]")
_MARKS: Final = re.compile(r"\*\*|__|`|^>\s*|^#+ ")
_POINTS_BACK: Final = re.compile(r"(?i)(?:it|its|they|their|this|these|he|she|both)\b")
# A row of a table, a line that ends a sentence or comes before `Name: value`, or what wraps around.
_LINE: Final = re.compile(r"(?=.*\|)[^\n]+|(?s:.+?)(?:(?=\n[A-Z][\w ()/-]{1,40}: )|(?<=[.!?:])(?=\n)|\Z)")


class Passage(NamedTuple):
    """`value` is where the answer must stand, `place` what stands above, `before` the sentence ahead."""

    ref: str
    place: str
    text: str = ""
    value: str = ""
    kind: str = "sentence"
    name: str = ""
    before: str = ""
    column: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        """The document, and in it the list, column or section that it is one of."""
        return self.ref.partition("#")[0], self.place, self.column


def passages(hits: Sequence[Mapping[str, Any]]) -> list[Passage]:
    """Of the hits of `search_documents`, best first; a line that two hits share counts once."""
    found: dict[tuple[object, ...], Passage] = {}
    for hit in hits:
        for passage in _read(hit["ref"], f"{hit['path']} > {hit.get('heading') or ''}", hit["text"]):
            found.setdefault((passage.group, passage.text), passage)
    return list(found.values())


def _read(ref: str, above: str, text: str) -> Iterator[Passage]:
    """Walks the lines of a hit and keeps the title, the lead-in and the table's header that stand above each."""
    top = title = lead = before = ""
    header: list[str] = []
    lines = [line for start, stop in sentences(text) for line in _LINE.findall(text[start:stop])]
    for line in [_MARKS.sub("", line.strip().rstrip(";")) for line in lines if not _RULE.fullmatch(line.strip())]:
        here = Passage(ref, " > ".join(filter(None, (above, top, title, lead))), before=before)
        said = " ".join(_BULLET.sub("", line).split())
        if "|" in line:
            closed = line.startswith("|") and line.endswith("|")
            cells = [cell.strip() for cell in (line[1:-1] if closed else line).split("|")]
            yield from _row(here, header, cells) if header else ()
            header = header or cells
            continue
        header = []
        if above.endswith("> ") and text.startswith(said) and len(said) < 80 and said[-1] not in ".!?":
            top = said
        elif said == line and title != before and len(said) <= 60 and not re.search(r"[.!?;:,)]$|\d|: ", said):
            title, before, lead = said, said, ""
        elif said[-1] in ":?":
            lead, before = said, ""
        else:
            name = said.partition(": ")[0] if re.match(r"(?:\S+ ){0,4}\S+: ", said) else ""
            kind = "item" if name or said != line else "sentence"
            both = f"{before} {said}" if before and said == line and _POINTS_BACK.match(said) else said
            yield here._replace(text=both, value=said, kind=kind, name=name)
            before = said if said == line else ""


def _row(here: Passage, header: Sequence[str], cells: Sequence[str]) -> Iterator[Passage]:
    """The row as a whole, and each cell with the row's first one and the column's title."""
    here = here._replace(place=f"{here.place} > {header[0]}", name=cells[0], before="")
    pairs = [(name, cell) for name, cell in zip(header, cells, strict=False) if cell]
    whole = "; ".join(f"{name}: {cell}".removeprefix(": ") for name, cell in pairs)
    yield here._replace(text=whole, value=whole, kind="row")
    for name, cell in pairs[1:]:
        yield here._replace(text=f"{cells[0]} – {name}: {cell}", value=cell, kind="cell", column=name)
