"""What searches have in common: pages, as LangGraph's clients turn them, and an end in bounded time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString

from psycopg.errors import QueryCanceled
from pydantic import BaseModel, Field

from serving.database import Connection
from serving.errors import Unprocessable

PATIENCE_S: Final = 5.0
_WITHIN: LiteralString = "select set_config('statement_timeout', %s, true)"


@dataclass(frozen=True, slots=True)
class Page:
    """`next` is the offset of the next page; None on the last one."""

    rows: Sequence[Any]
    offset: int
    next: int | None

    @property
    def headers(self) -> Mapping[str, str]:
        """`X-Pagination-Total` is how far anybody has looked: no row behind this page but the next is counted."""
        if self.next is None:
            return {"X-Pagination-Total": str(self.offset + len(self.rows))}
        return {"X-Pagination-Total": str(self.next + 1), "X-Pagination-Next": str(self.next)}


class Paged(BaseModel):
    limit: int = Field(default=10, ge=1, le=1_000)
    offset: int = Field(default=0, ge=0, le=2**31)

    @property
    def one_more(self) -> Mapping[str, int]:
        """What a query asks for: the row too many says that there is more."""
        return {"limit": self.limit + 1, "offset": self.offset}

    def page(self, rows: Sequence[Any]) -> Page:
        """`rows` are at most limit + 1."""
        behind = self.offset + self.limit if len(rows) > self.limit else None
        return Page(rows[: self.limit], self.offset, behind)


class Sorted(Paged):
    sort_order: Literal["asc", "desc"] = "desc"


@asynccontextmanager
async def in_time(connection: Connection, patience_s: float, rows: str, mend: str) -> AsyncIterator[None]:
    """For a query that may have to look at every row; `rows`: what there may be too many of.

    Raises Unprocessable when a statement in the block takes too long.
    """
    try:
        async with connection.transaction():
            await connection.execute(_WITHIN, (f"{patience_s:g}s",))
            yield
    except QueryCanceled:
        raise Unprocessable(f"too many {rows} in {patience_s:g} s", mend, "search_too_wide") from None
