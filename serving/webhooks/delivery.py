"""Deliveries as people see them: what was told to whom, how it went, and telling it again."""

from datetime import datetime
from typing import Any, Final, Literal, LiteralString

from pydantic import BaseModel

from serving.database import Pool, Row, fetch_all
from serving.errors import BadRequest, NotFound
from serving.runs.requests.limits import parse_id

DeliveryStatus = Literal["pending", "delivered", "failed"]
_PAGE: LiteralString = """
select * from webhook_deliveries
where tenant = %(tenant)s and (%(status)s::text is null or status = %(status)s)
    and (%(run_id)s::uuid is null or run_id = %(run_id)s)
    and (%(after)s::uuid is null or (created_at, delivery_id) < (select created_at, delivery_id
        from webhook_deliveries where delivery_id = %(after)s and tenant = %(tenant)s))
order by created_at desc, delivery_id desc limit %(limit)s
"""
_REPLAY: LiteralString = """
update webhook_deliveries set status = 'pending', due_at = now(), most_attempts = attempts + %(more)s, ended_at = null
where tenant = %(tenant)s and delivery_id = %(id)s
returning *
"""
MOST_ATTEMPTS: Final = 9  # as the table's default says


class DeliveryView(BaseModel):
    """`answer`: the HTTP status of the last attempt; `error`: why that one failed; `due_at`: when the next begins."""

    delivery_id: str
    run_id: str
    url: str
    status: DeliveryStatus
    attempts: int
    answer: int | None
    error: str
    due_at: datetime | None
    created_at: datetime
    tried_at: datetime | None
    ended_at: datetime | None


class DeliveryPage(BaseModel):
    """Newest first. `next` is given back as `after` for the page behind this one; None when there is none."""

    deliveries: list[DeliveryView]
    next: str | None


class Deliveries:
    """Of one tenant."""

    def __init__(self, pool: Pool, tenant: str = "default") -> None:
        self._pool, self._tenant = pool, tenant

    def of(self, tenant: str) -> "Deliveries":
        return Deliveries(self._pool, tenant)

    async def page(self, status: DeliveryStatus | None, run_id: str | None, limit: int, after: str) -> DeliveryPage:
        """Raises BadRequest for an `after` that no page gave, NotFound for what is no run's id."""
        try:
            place = parse_id(after, "delivery") if after else None
        except NotFound:
            raise BadRequest("`after` is no page's end", "send the `next` of the page before", "bad_cursor") from None
        run = parse_id(run_id, "run") if run_id else None
        rows = await self._rows(_PAGE, {"status": status, "run_id": run, "after": place, "limit": limit + 1})
        shown = [_shown(row) for row in rows[:limit]]
        return DeliveryPage(deliveries=shown, next=shown[-1].delivery_id if len(rows) > limit else None)

    async def replay(self, delivery: str) -> DeliveryView:
        """Sends the same message again, under the same id. Raises NotFound."""
        rows = await self._rows(_REPLAY, {"id": parse_id(delivery, "delivery"), "more": MOST_ATTEMPTS})
        if not rows:
            raise NotFound(f"no delivery {delivery}", "trireme webhooks list shows them", "delivery_not_found")
        return _shown(rows[0])

    async def _rows(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        return await fetch_all(self._pool, query, {**values, "tenant": self._tenant})


def _shown(row: Row) -> DeliveryView:
    ids = {"delivery_id": str(row["delivery_id"]), "run_id": str(row["run_id"])}
    return DeliveryView(**{**row, **ids, "due_at": row["due_at"] if row["status"] == "pending" else None})
