"""From the key that a request carries to who it is from. An answer is remembered for five seconds a process.

So a key that is revoked, or expires, is refused everywhere five seconds later; and a busy key costs one query in five
seconds, which also notes, once a minute, that it was used.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from secrets import compare_digest
from typing import Any, Final, LiteralString

from serving.database import Pool, fetch_one
from serving.keys.identity import OPERATOR, Identity
from serving.keys.key import digest

REMEMBERED_S: Final = 5.0
_MOST: Final = 10_000
_ANY: Final = b""
_FIND: LiteralString = """
with known as (
    select * from api_keys
    where digest = %s and revoked_at is null and (expires_at is null or expires_at > now())
), used as (
    update api_keys set used_at = now() from known
    where api_keys.key_id = known.key_id and (known.used_at is null or known.used_at < now() - interval '1 minute')
)
select tenant, scopes, prefix from known
"""


@dataclass(frozen=True, slots=True)
class _Answer:
    asked_at: float
    task: "asyncio.Task[Any]"


class Keys:
    """`own`: TRIREME_API_KEY, which needs no row."""

    def __init__(self, pool: Pool, own: str = "") -> None:
        self._pool, self._own = pool, own.encode()
        self._answers: dict[bytes, _Answer] = {}

    async def identity(self, key: str) -> Identity | None:
        """None for a key that is unknown, revoked or expired."""
        if self._own and compare_digest(key.encode(), self._own):
            return OPERATOR
        mark = digest(key)
        found: Identity | None = await self._remembered(mark, lambda: self._find(mark))
        return found

    async def needed(self) -> bool:
        """Whether this deployment has keys. Once one was made nothing is open any more, not even when it is revoked."""
        if self._own:
            return True
        made: bool = await self._remembered(_ANY, self._any)
        return made

    async def _remembered(self, mark: bytes, question: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Those who ask the same at the same time share one query; a failure is remembered by nobody."""
        now, known = asyncio.get_running_loop().time(), self._answers.get(mark)
        if known and now - known.asked_at < REMEMBERED_S:
            return await asyncio.shield(known.task)
        if len(self._answers) >= _MOST:
            self._answers.clear()
        answer = self._answers[mark] = _Answer(now, asyncio.create_task(question()))
        answer.task.add_done_callback(lambda task: self._forget_failure(mark, task))
        return await asyncio.shield(answer.task)

    def _forget_failure(self, mark: bytes, task: "asyncio.Task[Any]") -> None:
        if (task.cancelled() or task.exception()) and (known := self._answers.get(mark)) and known.task is task:
            del self._answers[mark]

    async def _find(self, mark: bytes) -> Identity | None:
        row = await fetch_one(self._pool, _FIND, (mark,))
        return Identity(row["tenant"], frozenset(row["scopes"]), row["prefix"]) if row else None

    async def _any(self) -> bool:
        async with self._pool.connection() as connection:
            return (await connection.execute("select from api_keys limit 1")).rowcount > 0
