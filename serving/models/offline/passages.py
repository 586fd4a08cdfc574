"""Search hits as units that can answer: sentences, list items, table rows and single cells, each in its context."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from serving.documents.words import sentences
from serving.models.offline.language import stems

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])(?:\s+|$)")
_RULE: Final = re.compile(r"^[\s|:=-]+$")
_MARKS: Final = re.compile(r"\*\*|__|`|^>\s*|^A:\s*")
_PRONOUN: Final = re.compile(
    r"^(?:it|its|they|their|this|these|that|those|he|she|both|after that|then)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A quotable piece. `value` is the part that may hold the answer; `label` is the heading that it stands under."""

    ref: str
    text: str
    value: str
    kind: str
    label: str
    around: str
    before: str = ""
    column: str = ""

    @property
    def own(self) -> frozenset[str]:
        return stems(self.text)

    @property
    def path(self) -> str:
        return self.ref.rpartition("#")[0] or self.ref

    @property
    def section(self) -> tuple[str, str]:
        return self.path, self.label


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
    fresh: bool = True
    titled: bool = False
    header: list[str] = field(default_factory=list)

    def around(self) -> str:
        return " · ".join(part for part in (self.title, self.heading, self.part, self.question, self.lead) if part)

    def label(self) -> str:
        return self.part or self.heading.rpartition(" > ")[2]

    def unit(self, text: str, kind: str, value: str = "", around: str = "", before: str = "", column: str = "") -> Unit:
        context = f"{self.around()} · {around}" if around else self.around()
        return Unit(self.ref, text, value or text, kind, self.label(), context, before, column)


def units(hit: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[Unit, ...]:
    """The units of a hit of `search_documents`; `titles` maps a path to its first heading."""
    path = str(hit.get("path", ""))
    title = f"{re.sub(r'[/._-]', ' ', path)} · {titles.get(path, '')}"
    reader = _Reader(str(hit.get("ref") or path), title, str(hit.get("heading") or ""))
    return tuple(_read(str(hit.get("text", "")), reader))


def _read(text: str, reader: _Reader) -> Iterator[Unit]:
    spans = [part for span in sentences(text) for part in _pieces(text, *span)]
    numbered, end = False, 0
    for start, stop in spans:
        line, gap = text[start:stop].strip(), text[end:start]
        end = stop
        if "\n\n" in gap.replace("\n \n", "\n\n"):
            reader.previous = ""
        if re.fullmatch(r"\d{1,2}[.)]", line):
            numbered = True
            continue
        if not line:
            continue
        bullet = numbered or bool(_BULLET.match(line))
        clean = " ".join(_MARKS.sub("", _BULLET.sub("", line)).split())
        numbered = False
        if _RULE.match(line) or re.fullmatch(r"\[page \d+\]", line):
            continue
        if "|" in line:
            yield from _row(line, reader)
            continue
        reader.header = []
        yield from _line(clean, bullet, text[stop : stop + 1] in ("\n", ""), reader)


def _pieces(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Rows without outer bars, and sentences that end with their line, come joined like wrapped prose."""
    pattern = r"[^\n]+" if "|" in text[start:stop] else r"(?s:.+?)(?:(?<=[.!?])(?=\n)|\Z)"
    for line in re.finditer(pattern, text[start:stop]):
        yield start + line.start(), start + line.end()


def _line(clean: str, bullet: bool, alone: bool, reader: _Reader) -> Iterator[Unit]:
    if clean.startswith("#"):
        reader.part, reader.lead, reader.question = clean.lstrip("# "), "", ""
        reader.previous = ""
        return
    if clean.endswith("?"):
        reader.question, reader.lead = clean, ""
        return
    # What stands under a title on a line of its own is no title but its text, as in a list of definitions.
    if not bullet and alone and not reader.titled and _is_title(clean, reader.fresh):
        reader.title += f" · {clean}" if reader.fresh else ""
        reader.part, reader.lead, reader.question, reader.previous = clean, "", "", ""
        reader.fresh, reader.titled = False, True
        return
    reader.fresh = reader.titled = False
    kind = "item" if bullet else "sentence"
    before = reader.previous if not bullet else ""
    yield reader.unit(clean, kind, before=before)
    if before and _PRONOUN.match(clean):
        yield reader.unit(f"{before} {clean}", "pair")
    if not bullet:
        reader.lead = clean if clean.endswith(":") else ""
        reader.previous = clean


def _is_title(line: str, first: bool) -> bool:
    plain = first or not re.search(r"\d|:\s", line)
    return plain and len(line) <= 60 and line[-1] not in ".!?;:,)" and len(line.split()) <= 8


def _row(line: str, reader: _Reader) -> Iterator[Unit]:
    # Markdown closes its rows on both sides; without that a leading bar is an empty first cell.
    inner = line[1:-1] if line.startswith("|") and line.endswith("|") else line
    cells = [_MARKS.sub("", cell).strip() for cell in inner.split("|")]
    if not reader.header:
        reader.header = cells
        return
    names = [*reader.header, *[""] * len(cells)]
    pairs = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
    yield reader.unit(
        "; ".join(f"{n}: {c}" if n else c for n, c in pairs), "row", value=" | ".join(c for _, c in pairs)
    )
    for name, cell in zip(names[1:], cells[1:], strict=False):
        if cell and cells[0]:
            shown = f"{cells[0]} – {name}: {cell}" if name else f"{cells[0]}: {cell}"
            yield reader.unit(shown, "cell", value=cell, around=names[0], column=name)


def unique(found: Sequence[Unit]) -> tuple[Unit, ...]:
    """Overlapping chunks repeat lines: the first of each stays."""
    kept: dict[tuple[str, str, str], Unit] = {}
    for unit in found:
        kept.setdefault((unit.section[0], unit.text, unit.label), unit)
    return tuple(kept.values())
