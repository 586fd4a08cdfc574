"""Documents cut into chunks that search finds and a run cites: whole sentences or rows under one heading."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.documents.document import StoredDocument
from serving.documents.spreadsheet import Column
from serving.documents.words import sentences

_AIM = 1_000  # characters
_MOST = 1_200
_TABLE_ROWS = 200
_LONGEST_HEADING = 1_000

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """`ordinal` counts from 0 in the document; `text` is as the document says it."""

    ordinal: int
    heading: str
    page: int | None
    text: str


def chunks(document: StoredDocument, columns: Sequence[Column] = ()) -> tuple[Chunk, ...]:
    """At most 1,200 characters each. Of a table's `columns` the first 200 rows, each value with its column's title."""
    pieces = _table_pieces(columns) if columns else _section_pieces(document)
    return tuple(
        Chunk(ordinal, heading[:_LONGEST_HEADING], page, text) for ordinal, (heading, page, text) in enumerate(pieces)
    )


def _section_pieces(document: StoredDocument) -> Iterator[tuple[str, int | None, str]]:
    for section in document.sections:
        for text in cut(section.text):
            yield section.heading, section.page, text


def _table_pieces(columns: Sequence[Column]) -> Iterator[tuple[str, int | None, str]]:
    rows = min(len(columns[0].values), _TABLE_ROWS)
    text = "\n".join(_row(columns, at) for at in range(rows))
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
    head, (start, end) = "", spans[0]
    for (first, last), row_head in zip(spans[1:], _table_heads(text, spans)[1:], strict=True):
        if end - start >= aim or last - start + len(head) > _MOST:
            yield head + text[start:end]
            head, start = row_head, first
        end = last
    yield head + text[start:end]


def _fitting(text: str, span: Span) -> Iterator[Span]:
    start, end = span
    while end - start > _MOST:
        space = text.rfind(" ", start + _MOST // 2, start + _MOST)
        stop = space if space > start else start + _MOST
        yield start, stop
        start = stop + 1 if space > start else stop
    if start < end:
        yield start, end


def _table_heads(text: str, spans: Sequence[Span]) -> list[str]:
    """For each row of a Markdown table its first two lines, so that a part cut off still names its columns."""
    heads: list[str] = []
    table: list[Span] = []
    for first, last in spans:
        table = [*table[:2], (first, last)] if text.startswith("|", first) else []
        head = text[table[0][0] : table[1][1]] + "\n" if len(table) == 3 else ""
        heads.append(head if len(head) <= _MOST // 4 else "")
    return heads
