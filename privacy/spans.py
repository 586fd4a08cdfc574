"""Where personal values lie in a text, and which of two overlapping finds wins."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

KIND: Final = re.compile(r"[A-Z][A-Z_]{0,38}")
"""What a kind may be called: it is the first part of its placeholders."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of a text hold a value of `kind`; `score` is in (0, 1]."""

    start: int
    end: int
    kind: str
    score: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise ValueError(f"a span needs 0 <= start < end, got [{self.start}, {self.end})")
        if not KIND.fullmatch(self.kind):
            raise ValueError(f"a kind is capitals and underscores, 39 at most, got {self.kind!r}")


def resolve(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same characters covered by spans that don't overlap, in text order.

    The longest span wins, then the strongest, the first, and the kind by name. What sticks out of a loser keeps the
    loser's kind, so no detected character is ever left in clear.
    """
    return tuple(piece for cluster in _clusters(spans) for piece in _paint(cluster))


def subtract(span: Span, taken: Iterable[Span]) -> tuple[Span, ...]:
    """The parts of `span` that no span in `taken` covers, in text order."""
    pieces: list[Span] = []
    start = span.start
    for other in sorted(taken, key=lambda one: one.start):
        if other.end <= start or other.start >= span.end:
            continue
        if other.start > start:
            pieces.append(replace(span, start=start, end=other.start))
        start = max(start, other.end)
    if start < span.end:
        pieces.append(replace(span, start=start))
    return tuple(pieces)


def _clusters(spans: Iterable[Span]) -> Iterable[Sequence[Span]]:
    """Groups of spans that touch each other directly or through others."""
    cluster: list[Span] = []
    end = 0
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if cluster and span.start >= end:
            yield cluster
            cluster = []
        cluster.append(span)
        end = max(end, span.end) if len(cluster) > 1 else span.end
    if cluster:
        yield cluster


def _paint(cluster: Sequence[Span]) -> Sequence[Span]:
    if len(cluster) == 1:
        return cluster
    taken: list[Span] = []
    for span in sorted(cluster, key=lambda one: (one.start - one.end, -one.score, one.start, one.kind)):
        taken.extend(subtract(span, taken))
    return sorted(taken, key=lambda one: one.start)
