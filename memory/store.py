"""The memories of one owner in mem0. Every query names the owner, so that the database filters before it retrieves."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TypeAlias, TypeVar
from uuid import UUID

import psycopg

from memory.engine import Embed, Engine, open_engine
from memory.errors import MemoryFull, MemoryRefused, MemoryUnavailable
from memory.item import Item, Kind, Owner, require_redacted
from memory.merge import says_the_same, superseded
from memory.proposals import Proposal, is_storable
from privacy.redact import Redacted, from_record

MAX_ITEMS: Final = 1_000
"""Memories one owner may have."""

_NEVER: Final = 253_402_300_799  # the end of the year 9999, in seconds: rows without an expiry compare like the others
_QUERY_LENGTH: Final = 2_000

T = TypeVar("T")
Guard: TypeAlias = Callable[[psycopg.Connection], None]
"""Looks, in the transaction that is about to write, whether the writer still may; raises when it may not."""


class _Connection:
    """The engine, opened once by whichever thread needs it first, and shared by all owners of a process."""

    def __init__(self, dsn: str, embed: Embed, dimensions: int, home: Path) -> None:
        self._open: Callable[[], Engine] = lambda: open_engine(dsn, embed, dimensions, home)
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._writing = threading.Lock()

    def engine(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

    @contextmanager
    def exclusive(self, owner: Owner, guard: Guard | None = None) -> Iterator[Engine]:
        """One writer an owner, over all processes; one a process, since each holds a connection while it waits.

        All that it writes is one transaction, and `guard` is called in it first.
        """
        engine = self.engine()
        with self._writing, engine.pool.transaction() as connection:
            key = f"{owner.tenant} {owner.user}"
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
            if guard:
                guard(connection)
            yield engine

    def close(self) -> None:
        with self._opening:
            if self._engine is not None:
                self._engine.close()
                self._engine = None


class MemoryStore:
    """Memories of `owner`. Nothing is imported or connected before the first call.

    Every method raises MemoryUnavailable when Postgres or mem0 does not answer within seconds.
    """

    def __init__(self, dsn: str, embed: Embed, dimensions: int, home: Path, owner: Owner | None = None) -> None:
        self._owner = owner or Owner()
        self._shared = _Connection(dsn, embed, dimensions, home)

    def of(self, owner: Owner) -> Self:
        """The same store seen by another owner; they share connections."""
        other = object.__new__(type(self))
        other._owner, other._shared = owner, self._shared
        return other

    async def list(self) -> tuple[Item, ...]:
        """Everything that has not expired, oldest first."""
        return await self._call(lambda: self._list(self._shared.engine()))

    async def add(
        self,
        text: Redacted,
        source: str,
        confidence: float = 1.0,
        expires_at: datetime | None = None,
        kind: Kind = "note",
    ) -> Item:
        """Stores `text` as it is. `expires_at` needs a time zone. Raises MemoryRefused, MemoryFull."""
        if expires_at is not None and expires_at.tzinfo is None:
            raise MemoryRefused("expires_at needs a time zone")
        stated = Proposal(text, kind, "", confidence, source)
        return await self._call(lambda: self._add_one(stated, expires_at))

    async def remember(self, proposals: Iterable[Proposal], guard: Guard | None = None) -> tuple[Item, ...]:
        """Stores what is new in `proposals` and replaces what they contradict, in one transaction; returns the items
        that changed. Raises what `guard` raises."""
        given = tuple(proposals)
        return await self._call(lambda: self._remember(given, guard)) if given else ()

    async def delete(self, item_id: str) -> bool:
        """False when the owner has no such memory."""
        return await self._call(lambda: self._delete(item_id))

    async def delete_all(self) -> int:
        """Deletes every memory of the owner, expired ones too; returns how many there were."""
        return await self._call(lambda: self._delete_where({}))

    async def delete_expired(self) -> int:
        """Returns how many there were; reading never shows them, deleted or not."""
        return await self._call(lambda: self._delete_expired({"expires_at": {"lte": _now()}}))

    async def search(self, query: Redacted, limit: int) -> tuple[Item, ...]:
        """The memories nearest in meaning to the first 2,000 characters of `query`, best first."""
        require_redacted(query)
        words = "".join(character if character.isprintable() else " " for character in query[:_QUERY_LENGTH]).strip()
        return await self._call(lambda: self._search(words, limit)) if words else ()

    async def close(self) -> None:
        """Gives the connections back. The store opens again when it is used again."""
        await asyncio.to_thread(self._shared.close)

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MemoryUnavailable(f"the memory table can't be used: {reason}; check DATABASE_URL") from error

    # ------------------------------------------------------------ in a thread

    def _scope(self) -> dict[str, Any]:
        return {"tenant": self._owner.tenant, "user_id": self._owner.user}

    def _alive(self) -> dict[str, Any]:
        return {**self._scope(), "expires_at": {"gt": _now()}}

    def _list(self, engine: Engine) -> tuple[Item, ...]:
        rows = engine.memory.get_all(filters=self._alive(), top_k=MAX_ITEMS)["results"]
        return tuple(sorted(map(_item, rows), key=lambda item: (item.created_at, item.id)))

    def _search(self, query: str, limit: int) -> tuple[Item, ...]:
        found = self._shared.engine().memory.search(query, filters=self._alive(), top_k=limit, threshold=0.0)
        return tuple(map(_item, found["results"]))

    def _add_one(self, stated: Proposal, expires_at: datetime | None) -> Item:
        with self._shared.exclusive(self._owner) as engine:
            return self._write(engine, stated, None, len(self._list(engine)), expires_at)

    def _remember(self, proposals: tuple[Proposal, ...], guard: Guard | None) -> tuple[Item, ...]:
        with self._shared.exclusive(self._owner, guard) as engine:
            known = {item.id: item for item in self._list(engine)}
            changed: dict[str, Item] = {}
            for proposal in proposals:
                if not any(says_the_same(proposal, item) for item in known.values()):
                    item = self._write(engine, proposal, superseded(proposal, known.values()), len(known))
                    known[item.id] = changed[item.id] = item
            return tuple(changed.values())

    def _write(
        self, engine: Engine, stated: Proposal, old: Item | None, stored: int, expires_at: datetime | None = None
    ) -> Item:
        payload = {"tenant": self._owner.tenant, **_payload(stated, expires_at)}
        if old is not None:
            engine.memory.update(old.id, text=str(stated.text), metadata=payload)
            return _item(engine.memory.get(old.id))
        if stored >= MAX_ITEMS:
            raise MemoryFull(f"{MAX_ITEMS} memories are stored, the most there may be: delete some of them first")
        added = engine.memory.add(str(stated.text), user_id=self._owner.user, metadata=payload, infer=False)
        return _item(engine.memory.get(added["results"][0]["id"]))

    def _delete(self, item_id: str) -> bool:
        with self._shared.exclusive(self._owner) as engine:
            row = engine.memory.get(item_id) if _is_uuid(item_id) else None
            if row is None or Owner(row["metadata"]["tenant"], row["user_id"]) != self._owner:
                return False
            engine.memory.delete(item_id)
            return True

    def _delete_expired(self, condition: dict[str, Any]) -> int:
        """Mostly there is nothing, and then nobody has to wait for it."""
        return self._delete_where(condition) if self._where(self._shared.engine(), condition, 1) else 0

    def _where(self, engine: Engine, condition: dict[str, Any], limit: int) -> Sequence[Any]:
        rows: Sequence[Any] = engine.memory.vector_store.list({**self._scope(), **condition}, limit)[0]
        return rows

    def _delete_where(self, condition: dict[str, Any]) -> int:
        deleted = 0
        with self._shared.exclusive(self._owner) as engine:
            # mem0's own delete_all knows the user but not the tenant.
            while rows := self._where(engine, condition, MAX_ITEMS):
                for row in rows:
                    engine.memory.delete(row.id)
                deleted += len(rows)
        return deleted


def _payload(stated: Proposal, expires_at: datetime | None) -> dict[str, Any]:
    require_redacted(stated.text)
    if not is_storable(stated.text):
        raise MemoryRefused("a memory is one printable line of 3 to 300 characters without a secret in it")
    return {
        "kind": stated.kind,
        "slot": stated.slot,
        "source": stated.source,
        "confidence": stated.confidence,
        "expires_at": expires_at.timestamp() if expires_at else _NEVER,
    }


def _item(row: dict[str, Any]) -> Item:
    """From mem0's shape: its own fields are on top, ours under `metadata`."""
    ours = row["metadata"]
    return Item(
        id=row["id"],
        text=from_record(row["memory"]),
        source=ours["source"],
        kind=ours["kind"],
        slot=ours["slot"],
        confidence=ours["confidence"],
        created_at=datetime.fromisoformat(row["created_at"]),
        expires_at=None if ours["expires_at"] == _NEVER else datetime.fromtimestamp(ours["expires_at"], UTC),
    )


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
