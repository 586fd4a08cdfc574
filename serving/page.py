"""A page of a search, as LangGraph's clients turn it: what is on it, and where the next one begins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SortOrder = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the offset of the next page; None on the last one."""

    rows: Sequence[Any]
    offset: int
    next: int | None

    @classmethod
    def of(cls, rows: Sequence[Any], offset: int, limit: int) -> "Page":
        """`rows` are at most limit + 1: the one too many says that there is more."""
        return cls(rows[:limit], offset, offset + limit if len(rows) > limit else None)

    @property
    def headers(self) -> Mapping[str, str]:
        """`X-Pagination-Total` is how far anybody has looked: no row behind this page but the next is counted."""
        if self.next is None:
            return {"X-Pagination-Total": str(self.offset + len(self.rows))}
        return {"X-Pagination-Total": str(self.next + 1), "X-Pagination-Next": str(self.next)}
