"""Search hits as passages that can answer: sentences, list items, table rows and cells, each with what is around it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from serving.documents.words import sentences

_BULLET: Final = re.compile(r"^(?:[-*+•–]|\d{1,2}[.)])\s+")
_NAMED: Final = re.compile(r"((?:\S+ ){0,4}\S+): \S")
_RULE: Final = re.compile(r"[\s|:=-]*|\[page \d+\]|\d{1,2}[.)]")
_MARKS: Final = re.compile(r"\*\*|__|`|^>\s*|^#+ ")
_POINTS_BACK: Final = re.compile(r"(?i)(?:it|its|they|their|this|these|he|she|both)\b")
# A row of a table, a line that ends a sentence or comes before `Name: value`, or what wraps around.
_LINE: Final = re.compile(r"\n?(?=.*\|)[^\n]+|(?s:.+?)(?:(?=\n[A-Z][\w ()/-]{1,40}: )|(?<=[.!?:])(?=\n)|\Z)")


class Passage(NamedTuple):
    """`value` is where the answer must stand, `place` what stands above, `around` its whole section.

    `before` and `after` are the sentences next to it.
    """

    ref: str
    place: str
    text: str = ""
    value: str = ""
    kind: str = "sentence"
    name: str = ""
    column: str = ""
    before: str = ""
    after: str = ""
    around: str = ""

    @property
    def group(self) -> tuple[str, str, str]:
        """The document, and in it the list, column or section that it is one of."""
        return self.ref.partition("#")[0], self.place, self.column


def passages(hits: Sequence[Mapping[str, Any]]) -> list[Passage]:
    """Of the hits of `search_documents`; a line that two hits share counts once."""
    found: dict[tuple[object, ...], Passage] = {}
    for run in _runs(hits):
        read = list(_read(run))
        for passage, behind in zip(read, [*read[1:], Passage("", "")], strict=False):
            after = behind.value if behind.kind == "sentence" and behind.before == passage.value else ""
            found.setdefault((passage.group, passage.text), passage._replace(after=after))
    sections: dict[tuple[str, str, str], str] = {}
    for passage in found.values():
        sections[passage.group] = f"{sections.get(passage.group, '')} {passage.value}"
    return [passage._replace(around=sections[passage.group]) for passage in found.values()]


def _runs(hits: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Hits that follow each other in one section of a document are read as one."""
    paths = list(dict.fromkeys(hit["path"] for hit in hits))
    placed = sorted((paths.index(hit["path"]), int(hit["ref"].rpartition("#")[2]), n) for n, hit in enumerate(hits))
    runs: list[list[Mapping[str, Any]]] = []
    last = -1, -1
    for path, ordinal, n in placed:
        if last == (path, ordinal - 1) and runs[-1][-1].get("heading") == hits[n].get("heading"):
            runs[-1].append(hits[n])
        else:
            runs.append([hits[n]])
        last = path, ordinal
    return runs


def _lines(text: str) -> list[str]:
    """Headings, sentences, rows, and items, with which stays what goes on behind their first sentence."""
    lines: list[str] = []
    end = 0
    for start, stop in sentences(text):
        item = lines and (_BULLET.match(lines[-1]) or _NAMED.match(lines[-1])) and "|" not in lines[-1]
        if item and not re.search(r"\n(?!  )", text[end:start]) and not _NAMED.match(text[start:stop]):
            lines[-1] += f" {text[start:stop]}"
        else:
            lines += [line.strip() for line in _LINE.findall(text[start:stop])]
        end = stop
    return [_MARKS.sub("", line) for line in lines if not _RULE.fullmatch(line)]


def _read(run: Sequence[Mapping[str, Any]]) -> Iterator[Passage]:
    """Walks the lines of hits and keeps the title, the lead-in and the table's header that stand above each."""
    above, top, title, lead, before = f"{run[0]['path']} > {run[0].get('heading') or ''}", "", "", "", ""
    header: list[str] = []
    for number, (ref, line) in enumerate((hit["ref"], line) for hit in run for line in _lines(hit["text"])):
        here = Passage(ref, " > ".join(filter(None, (above, top, title, lead))), before=before)
        said = " ".join(_BULLET.sub("", line).split())
        if "|" in line:
            closed = line.startswith("|") and line.endswith("|")
            cells = [cell.strip() for cell in (line[1:-1] if closed else line).split("|")]
            yield from _row(here, header, cells) if header else ()
            header = header or cells
            continue
        header = []
        if above.endswith("> ") and not number and len(said) < 80 and said[-1] not in ".!?":
            top = said
        elif said == line and title != before and len(said) <= 60 and not re.search(r"[.!?;:,)]$|\d|: ", said):
            title, before, lead = said, said, ""
        elif said[-1] in ":?":
            lead, before = said, ""
        else:
            named, item = _NAMED.match(said), said != line
            both = f"{before} {said}" if before and not item and _POINTS_BACK.match(said) else said
            kind, name = ("item" if named or item else "sentence"), named[1] if named else ""
            yield here._replace(text=both, value=said, kind=kind, name=name)
            before = "" if item else said


def _row(here: Passage, header: Sequence[str], cells: Sequence[str]) -> Iterator[Passage]:
    """The row as a whole, and each cell with the row's first one and the column's title."""
    here = here._replace(place=f"{here.place} > {header[0]}", name=cells[0], before="")
    pairs = [(name, cell) for name, cell in zip(header, cells, strict=False) if cell]
    whole = "; ".join(f"{name}: {cell}".removeprefix(": ") for name, cell in pairs)
    yield here._replace(text=whole, value=whole, kind="row")
    for name, cell in pairs[1:]:
        yield here._replace(text=f"{cells[0]} – {name}: {cell}", value=cell, kind="cell", column=name)
