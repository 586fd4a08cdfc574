"""Brings what runs left for their webhooks: at least once, under one id, with ever longer pauses; in a worker."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg_pool import PoolTimeout

from privacy.sealer import Sealer
from serving.database import Pool, Row, fetch_all
from serving.errors import ServingError
from serving.webhooks.address import AddressRefused, Networks
from serving.webhooks.delivery import MOST_ATTEMPTS
from serving.webhooks.message import Messages
from serving.webhooks.post import NotDelivered, post
from serving.webhooks.rules import UrlRules
from serving.webhooks.secret import signed, signing_secrets

_POLL_S: Final = 1.0
_AT_ONCE: Final = 16
_GROWS, _LONGEST_PAUSE_S = 6.0, 6 * 3_600.0
_GONE: Final = 410  # the receiver says that it wants no more
_CLAIM: LiteralString = """
with next as (
    select delivery_id from webhook_deliveries where status = 'pending' and due_at <= now()
    order by due_at for update skip locked limit %(limit)s
)
update webhook_deliveries delivery set attempts = attempts + 1, tried_at = now(),
    due_at = now() + %(lease)s * interval '1 second'
from next where delivery.delivery_id = next.delivery_id
returning delivery.*
"""
_KEEP: LiteralString = """
update webhook_deliveries set sealed = %s, left_values = null where delivery_id = %s and sealed is null
"""
# Only of the attempt that is the latest: one that outlived its lease has nothing to say.
_SETTLE: LiteralString = """
update webhook_deliveries set status = %(status)s, answer = %(answer)s, error = %(error)s,
    due_at = now() + %(pause)s * interval '1 second',
    ended_at = case when %(status)s <> 'pending' then now() end
where delivery_id = %(delivery_id)s and attempts = %(attempts)s and status = 'pending'
"""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Carriage:
    """What langgraph.json says: whether messages go out at all, where to, and what they carry."""

    off: bool = False
    rules: UrlRules = field(default_factory=UrlRules)
    headers: Mapping[str, str] = field(default_factory=dict)

    def check(self, url: str) -> None:
        """Raises AddressRefused."""
        if self.off:
            raise AddressRefused("webhooks are switched off", "http.disable_webhooks in langgraph.json")
        self.rules.check(url)


class Courier:
    """`messages_of` makes them for a tenant. An attempt has `timeout_s`, and is another worker's half as long again
    after it began; the pause behind the first is `retry_s`."""

    def __init__(
        self,
        pool: Pool,
        messages_of: Callable[[str], Messages],
        sealer: Sealer,
        networks: Networks,
        timeout_s: float,
        retry_s: float,
        carriage: Carriage,
    ) -> None:
        self._pool, self._messages_of, self._sealer = pool, messages_of, sealer
        self._networks, self._timeout_s, self._retry_s = networks, timeout_s, retry_s
        self._carriage = carriage

    async def serve(self) -> None:
        """For ever. A worker that stops in the middle leaves the attempt to whoever finds its lease over."""
        under_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                found = await self._claim(_AT_ONCE - len(under_way))
                for delivery in found:
                    task = group.create_task(self._attempt(delivery))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                if not found:
                    await asyncio.sleep(_POLL_S)

    async def _claim(self, limit: int) -> list[Row]:
        if limit <= 0:
            return []
        values = {"limit": limit, "lease": self._timeout_s * 1.5 + 1}
        try:
            return await fetch_all(self._pool, _CLAIM, values)
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=claim_webhooks error=%s retry_s=%s", type(error).__name__, _POLL_S)
            return []

    async def _attempt(self, delivery: Row) -> None:
        try:
            outcome = await self._outcome(delivery)
            async with self._pool.connection() as connection:
                await connection.execute(_SETTLE, {**delivery, "pause": 0, **outcome})
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("action=webhook delivery=%s error=%s", delivery["delivery_id"], type(error).__name__)

    async def _outcome(self, delivery: Row) -> dict[str, Any]:
        """The columns that change."""
        answer: int | None = None
        try:
            answer = await self._send(delivery)
            if 200 <= answer < 300:
                return {"status": "delivered", "answer": answer, "error": ""}
            why, final = f"answered {answer}", answer == _GONE
        except NotDelivered as error:
            why, final = str(error), False
        except ServingError as error:
            why, final = error.message, True
        except (psycopg.Error, PoolTimeout):
            raise
        except Exception as error:
            log.exception("action=webhook delivery=%s", delivery["delivery_id"])
            why, final = f"{type(error).__name__} in the worker; its log has the details", False
        log.info("action=webhook delivery=%s attempt=%s", delivery["delivery_id"], delivery["attempts"])
        if final or delivery["attempts"] >= delivery["most_attempts"]:
            return {"status": "failed", "answer": answer, "error": why}
        return {"status": "pending", "answer": answer, "error": why, "pause": self._pause_s(delivery)}

    async def _send(self, delivery: Row) -> int:
        """Raises NotDelivered, and ServingError for what no other attempt would mend."""
        self._carriage.check(delivery["url"])
        body = await self._body(delivery)
        async with self._pool.connection() as connection:
            secrets = await signing_secrets(connection, self._sealer, delivery["tenant"])
        message_id = f"msg_{delivery['delivery_id'].hex}"
        headers = {"content-type": "application/json", "user-agent": "trireme-webhooks/0.1"}
        headers |= {**self._carriage.headers, **signed(secrets, message_id, datetime.now(UTC), body)}
        return await post(delivery["url"], headers, body.encode(), self._networks, self._timeout_s)

    async def _body(self, delivery: Row) -> str:
        """Made once, and kept before it is sent: all attempts bring the same."""
        bound = delivery["delivery_id"].bytes
        if delivery["sealed"] is None:
            body = await self._messages_of(delivery["tenant"]).of_run(str(delivery["run_id"]), delivery["left_values"])
            async with self._pool.connection() as connection:
                await connection.execute(_KEEP, (self._sealer.seal(body, bound), delivery["delivery_id"]))
            return body
        return self._sealer.open(delivery["sealed"], bound)

    def _pause_s(self, delivery: Row) -> float:
        left: int = delivery["most_attempts"] - delivery["attempts"]
        grown: float = self._retry_s * _GROWS ** (MOST_ATTEMPTS - left - 1)
        return min(grown, _LONGEST_PAUSE_S) * random.uniform(0.8, 1.2)
