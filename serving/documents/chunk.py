"""Documents cut into chunks that search finds and a run cites: whole sentences or rows under one heading."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.documents.document import StoredDocument
from serving.documents.spreadsheet import Column, NotATable, read_columns
from serving.documents.words import sentences

_AIM = 1_000  # characters
_MOST = 1_200
_TABLE_ROWS = 200

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """`ordinal` counts from 0 in the document; `text` is as the document says it."""

    ordinal: int
    heading: str
    page: int | None
    text: str


def chunks(document: StoredDocument) -> tuple[Chunk, ...]:
    """At most 1,200 characters each. Of a table the first 200 rows, each value with its column's title."""
    pieces = _table_pieces(document) if document.table else _section_pieces(document)
    return tuple(Chunk(ordinal, heading, page, text) for ordinal, (heading, page, text) in enumerate(pieces))


def _section_pieces(document: StoredDocument) -> Iterator[tuple[str, int | None, str]]:
    for section in document.sections:
        for text in cut(section.text):
            yield section.heading, section.page, text


def _table_pieces(document: StoredDocument) -> Iterator[tuple[str, int | None, str]]:
    try:
        columns = read_columns(document.body)
    except NotATable:
        yield from _section_pieces(document)
        return
    rows = len(columns[0].values)
    text = "\n".join(_row(columns, at) for at in range(min(rows, _TABLE_ROWS)))
    for piece in cut(text or ", ".join(column.title for column in columns)):
        yield "", None, piece


def _row(columns: Sequence[Column], at: int) -> str:
    cells = (f"{column.title or column.name}: {value}" for column in columns if (value := column.values[at]))
    return "; ".join(cell.replace("\n", " ") for cell in cells)


def cut(text: str) -> Iterator[str]:
    """Runs of whole sentences or rows, about as long as each other; only one that is too long alone is split."""
    spans = [part for span in sentences(text) for part in _fitting(text, span)]
    if not spans:
        return
    length = spans[-1][1] - spans[0][0]
    aim = length / math.ceil(length / _AIM)
    header, start, end = "", *spans[0]
    for first, last in spans[1:]:
        if end - start >= aim or last - start + len(header) > _MOST:
            yield header + text[start:end]
            header, start = _header_above(text, first), first
        end = last
    yield header + text[start:end]


def _fitting(text: str, span: Span) -> Iterator[Span]:
    start, end = span
    while end - start > _MOST:
        space = text.rfind(" ", start + _MOST // 2, start + _MOST)
        stop = space if space > start else start + _MOST
        yield start, stop
        start = stop + 1 if space > start else stop
    if start < end:
        yield start, end


def _header_above(text: str, at: int) -> str:
    """The header of the Markdown table that goes on at `at`, so that a later part of it still names its columns."""
    if not text.startswith("|", at) or not text[:at].endswith("|\n"):
        return ""
    lines = text[:at].rstrip("\n").split("\n")
    first = len(lines)
    while first and lines[first - 1].startswith("|"):
        first -= 1
    head = "\n".join(lines[first : first + 2]) + "\n"
    return head if len(head) <= _MOST // 4 else ""
