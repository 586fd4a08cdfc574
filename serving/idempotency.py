"""`Idempotency-Key` on what is created: the same key makes the same thing once, however often it is sent.

The key is claimed before the thing is made, and the claim has the id that it is made with: whoever dies in between is
finished by the next one who sends the key.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString, TypeVar
from uuid import UUID

from pydantic import BaseModel

from serving.database import Pool, fetch_one, new_id
from serving.errors import BadRequest, Conflict, ServingError

Named = TypeVar("Named", bound=BaseModel)

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_CLAIM: LiteralString = """
insert into idempotency_keys as claim (tenant, kind, key, digest, id)
values (%(tenant)s, %(kind)s, %(key)s, %(digest)s, %(id)s)
on conflict (tenant, kind, key) do update set kind = claim.kind
returning id::text, digest, created_at, xmax = 0 as new -- no row stood in the way
"""
_MADE: LiteralString = "select id::text from idempotency_keys where tenant = %s and kind = %s and key = %s"
_FORGET: LiteralString = "delete from idempotency_keys where tenant = %(tenant)s and kind = %(kind)s and key = %(key)s"


@dataclass(frozen=True, slots=True)
class Claim:
    """Make it with this `id`; `again`: it may be there already, for the key first came `at` this time."""

    id: str
    again: bool
    at: datetime

    def ids(self, count: int) -> list[str]:
        """For several things that are made in order."""
        return [str(UUID(int=UUID(self.id).int + number)) for number in range(count)]

    def named(self, asked: Named, noun: str) -> Named:
        """What was asked for, under this id where it names none, and no mistake when an earlier try has made it."""
        own = getattr(asked, f"{noun}_id")
        known = {} if own and not self.again else {"if_exists": "do_nothing"}
        return asked.model_copy(update={f"{noun}_id": own or self.id, **known})


def check_key(key: str) -> None:
    """Raises BadRequest."""
    if not _KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key must be 1 to 255 visible ASCII characters", "use a UUID")


def another_request(noun: str) -> Conflict:
    message = "this Idempotency-Key was used with another request"
    return Conflict(message, f"use a new key for a new {noun}", "idempotency_mismatch")


class Idempotency:
    def __init__(self, pool: Pool, tenant: str = "default") -> None:
        self._pool, self._tenant = pool, tenant

    def of(self, tenant: str) -> "Idempotency":
        return Idempotency(self._pool, tenant)

    async def made(self, kind: str, key: str) -> str | None:
        """The id of what this key has made, or is making at this moment."""
        row = await fetch_one(self._pool, _MADE, (self._tenant, kind, key))
        return str(row["id"]) if row else None

    @asynccontextmanager
    async def once(
        self, kind: str, key: str | None, body: BaseModel, at: str = "", id_: str | None = None
    ) -> AsyncIterator[Claim | None]:
        """Around the making of a `kind` of thing, for which `body` asks, `at` a place; None without a key. `id_`: of
        what is there, and is to be changed once.

        What is refused inside the block was not made, and its key is free again. Raises BadRequest, Conflict.
        """
        if key is None:
            yield None
            return
        check_key(key)
        digest = hashlib.sha256(f"{at}\n{body.model_dump_json(exclude_defaults=True)}".encode()).digest()
        values = {"tenant": self._tenant, "kind": kind, "key": key, "digest": digest, "id": id_ or new_id()}
        row = await fetch_one(self._pool, _CLAIM, values)
        assert row is not None
        if row["digest"] != digest:
            raise another_request(kind)
        try:
            yield Claim(row["id"], not row["new"], row["created_at"])
        except ServingError:
            if row["new"]:
                async with self._pool.connection() as connection:
                    await connection.execute(_FORGET, values)
            raise
