"""Search hits as units that can answer: sentences, list items, table rows and single cells, each in its context."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from serving.documents.words import sentences
from serving.models.offline.language import stems

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])(?:\s+|$)")
_NUMBER: Final = re.compile(r"\s*\d{1,2}[.)](?:\s|$)")
_RULE: Final = re.compile(r"^(?:[\s|:=-]+|\[page \d+\])$")
_MARKS: Final = re.compile(r"\*\*|__|`|^>\s*|^A:\s*")
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")
_PRONOUN: Final = re.compile(r"^(?:it|its|they|their|this|these|that|those|he|she|both|then)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable piece. `value` is the part that may hold the answer; `label` is the heading above it.

    `column` and `rows` are what a table calls a cell's column and its rows.
    """

    ref: str
    text: str
    value: str
    kind: str
    label: str
    around: str
    before: str = ""
    column: str = ""
    rows: str = ""

    @property
    def own(self) -> frozenset[str]:
        return stems(f"{self.text} {self.rows}")

    @property
    def section(self) -> tuple[str, str]:
        return self.ref.rpartition("#")[0] or self.ref, self.label


def units(hit: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[Unit, ...]:
    """The units of a hit of `search_documents`; `titles` maps a path to its first heading."""
    path = str(hit.get("path", ""))
    title = f"{re.sub(r'[/._-]', ' ', path)} · {titles.get(path, '')}"
    reader = _Reader(str(hit.get("ref") or path), title, str(hit.get("heading") or ""))
    return tuple(reader.read(str(hit.get("text", ""))))


@dataclass
class _Reader:
    """Walks one hit and keeps what stands above the current line."""

    ref: str
    title: str
    heading: str
    part: str = ""
    lead: str = ""
    question: str = ""
    previous: str = ""
    header: list[str] = field(default_factory=list)
    fresh: bool = True
    titled: bool = False

    def read(self, text: str) -> Iterator[Unit]:
        numbered, end = False, 0
        for start, stop in (piece for span in sentences(text) for piece in _pieces(text, *span)):
            line = text[start:stop].strip()
            if text[end:start].count("\n") > 1:
                self.previous = ""
            end = stop
            if _NUMBER.fullmatch(line):
                numbered = True
            elif line and not _RULE.match(line):
                yield from self._line(line, numbered or bool(_NUMBER.match(line)), text[stop:])
                numbered = False

    def _line(self, line: str, numbered: bool, rest: str) -> Iterator[Unit]:
        if "|" in line:
            yield from self._row(line)
            return
        clean = " ".join(_MARKS.sub("", _BULLET.sub("", line)).split()).removesuffix(";")
        alone, title = not rest or rest.startswith("\n"), _is_title(clean, self.fresh)
        bullet = bool(_BULLET.match(line)) or numbered
        # "2. Turbine" with prose below it is a heading, with "3. ..." below it an item.
        if numbered and alone and title and not _NUMBER.match(rest):
            bullet = False
        self.header = []
        if clean.startswith("#"):
            self._entitle(clean.lstrip("# "))
        elif clean.endswith("?"):
            self.question, self.lead = clean, ""
        # What stands under a title on a line of its own is no title but its text, as in a list of definitions.
        elif not bullet and alone and title and not self.titled:
            self.title += f" · {clean}" if self.fresh else ""
            self._entitle(clean)
            self.titled = True
        else:
            yield from self._text(clean, bullet)
            self.titled = False
        self.fresh = False

    def _entitle(self, title: str) -> None:
        self.part, self.lead, self.question, self.previous = title, "", "", ""

    def _text(self, clean: str, bullet: bool) -> Iterator[Unit]:
        before = "" if bullet else self.previous
        yield self._unit(clean, "item" if bullet else "sentence", before=before)
        if before and _PRONOUN.match(clean):
            yield self._unit(f"{before} {clean}", "pair")
        if not bullet:
            self.lead = clean if clean.endswith(":") else ""
            self.previous = clean

    def _row(self, line: str) -> Iterator[Unit]:
        # Markdown closes its rows on both sides; without that a leading bar is an empty first cell.
        inner = line[1:-1] if line.startswith("|") and line.endswith("|") else line
        cells = [_MARKS.sub("", cell).strip() for cell in inner.split("|")]
        if not self.header:
            self.header = cells
            return
        pairs = [(name, cell) for name, cell in zip([*self.header, *[""] * len(cells)], cells, strict=False)]
        text = "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)
        yield self._unit(text, "row", value=" | ".join(filter(None, cells)))
        for name, cell in pairs[1:]:
            if cell and cells[0]:
                shown = f"{cells[0]} – {name}: {cell}" if name else f"{cells[0]}: {cell}"
                yield self._unit(shown, "cell", value=cell, column=name, rows=self.header[0])

    def _unit(self, text: str, kind: str, value: str = "", before: str = "", column: str = "", rows: str = "") -> Unit:
        around = " · ".join(filter(None, (self.title, self.heading, self.part, self.question, self.lead)))
        label = self.part or self.heading.rpartition(" > ")[2]
        return Unit(self.ref, text, value or text, kind, label, around, before, column, rows)


def _pieces(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Rows without outer bars, and sentences that end with their line, come joined like wrapped prose."""
    pattern = r"[^\n]+" if "|" in text[start:stop] else r"(?s:.+?)(?:(?<=[.!?])(?=\n)|\Z)"
    for line in re.finditer(pattern, text[start:stop]):
        yield start + line.start(), start + line.end()


def _is_title(line: str, first: bool) -> bool:
    plain = first or not re.search(r"\d|:\s", _YEAR.sub("", line))
    return plain and len(line) <= 60 and line[-1:] not in ".!?;:,)" and len(line.split()) <= 8


def unique(found: Sequence[Unit]) -> tuple[Unit, ...]:
    """Overlapping chunks repeat lines: the first of each stays."""
    kept: dict[tuple[tuple[str, str], str], Unit] = {}
    for unit in found:
        kept.setdefault((unit.section, unit.text), unit)
    return tuple(kept.values())
