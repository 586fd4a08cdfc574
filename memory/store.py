"""The memories of one owner in mem0. Every query names the owner, so that the database filters before it retrieves."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from uuid import UUID

import psycopg

from memory.engine import Embed, Engine, open_engine
from memory.errors import MemoryFull, MemoryRefused, MemoryUnavailable
from memory.item import Item, Kind, Owner
from memory.merge import says_the_same, superseded
from memory.proposals import Proposal, is_storable
from privacy.redact import Redacted, from_record

MAX_ITEMS: Final = 1_000
"""Memories one owner may have."""

_NEVER: Final = 253_402_300_799  # the end of the year 9999, in seconds: rows without an expiry compare like the others
_QUERY_LENGTH: Final = 2_000

T = TypeVar("T")


class _Connection:
    """The engine, opened once by whichever thread needs it first, and shared by all owners of a process."""

    def __init__(self, dsn: str, embed: Embed, dimensions: int, home: Path) -> None:
        self._open: Callable[[], Engine] = lambda: open_engine(dsn, embed, dimensions, home)
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self.writing = threading.Lock()

    def engine(self) -> Engine:
        with self._opening:
            if self._engine is None:
                self._engine = self._open()
            return self._engine

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
        return await self._call(self._list)

    async def add(
        self,
        text: Redacted,
        source: str,
        confidence: float = 1.0,
        expires_at: datetime | None = None,
        kind: Kind = "note",
        slot: str = "",
    ) -> Item:
        """Stores `text` as it is. `expires_at` needs a time zone. Raises MemoryRefused, MemoryFull."""
        payload = self._payload(text, source, confidence, expires_at, kind, slot)
        return await self._call(lambda engine: self._add(engine, text, payload))

    async def remember(self, proposals: Iterable[Proposal]) -> tuple[Item, ...]:
        """Stores what is new in `proposals` and replaces what they contradict; returns the items that changed."""
        given = tuple(proposals)
        return await self._call(lambda engine: self._remember(engine, given)) if given else ()

    async def delete(self, item_id: str) -> bool:
        """False when the owner has no such memory."""
        return await self._call(lambda engine: self._delete(engine, item_id))

    async def delete_all(self) -> int:
        """Deletes every memory of the owner, expired ones too; returns how many there were."""
        return await self._call(lambda engine: self._delete_where(engine, {}))

    async def delete_expired(self) -> int:
        return await self._call(lambda engine: self._delete_where(engine, {"expires_at": {"lte": _now()}}))

    async def search(self, query: Redacted, limit: int) -> tuple[Item, ...]:
        """The memories nearest in meaning to `query`, best first."""
        _require_redacted(query)
        return await self._call(lambda engine: self._search(engine, query[:_QUERY_LENGTH], limit)) if query.strip() else ()

    async def close(self) -> None:
        """Gives the connections back. The store opens again when it is used again."""
        await asyncio.to_thread(self._shared.close)

    async def _call(self, work: Callable[[Engine], T]) -> T:
        try:
            return await asyncio.to_thread(lambda: work(self._shared.engine()))
        except psycopg.Error as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise MemoryUnavailable(f"the memory table can't be used: {reason}; check DATABASE_URL") from error

    # ------------------------------------------------------------ in a thread

    def _scope(self) -> dict[str, Any]:
        return {"tenant": self._owner.tenant, "user_id": self._owner.user}

    def _list(self, engine: Engine) -> tuple[Item, ...]:
        alive = {**self._scope(), "expires_at": {"gt": _now()}}
        rows = engine.memory.get_all(filters=alive, top_k=MAX_ITEMS)["results"]
        return tuple(sorted(map(_item, rows), key=lambda item: (item.created_at, item.id)))

    def _search(self, engine: Engine, query: str, limit: int) -> tuple[Item, ...]:
        alive = {**self._scope(), "expires_at": {"gt": _now()}}
        return tuple(map(_item, engine.memory.search(query, filters=alive, top_k=limit)["results"]))

    def _add(self, engine: Engine, text: Redacted, payload: dict[str, Any]) -> Item:
        if len(self._list(engine)) >= MAX_ITEMS:
            raise MemoryFull(f"{MAX_ITEMS} memories are stored, which is the limit: delete some (trireme memory delete)")
        added = engine.memory.add(str(text), user_id=self._owner.user, metadata=payload, infer=False)
        return self._get(engine, added["results"][0]["id"])

    def _remember(self, engine: Engine, proposals: tuple[Proposal, ...]) -> tuple[Item, ...]:
        # One writer a process, then one an owner: a lock waits in the database with a connection in hand.
        with self._shared.writing, engine.pool.connection() as connection:
            key = f"{self._owner.tenant} {self._owner.user}"
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (key,))
            known = {item.id: item for item in self._list(engine)}
            changed: dict[str, Item] = {}
            for proposal in proposals:
                if not any(says_the_same(proposal, item) for item in known.values()):
                    item = self._write(engine, proposal, superseded(proposal, known.values()))
                    known[item.id] = changed[item.id] = item
            return tuple(changed.values())

    def _write(self, engine: Engine, proposal: Proposal, old: Item | None) -> Item:
        text, sure = proposal.text, proposal.confidence
        payload = self._payload(text, proposal.source, sure, None, proposal.kind, proposal.slot)
        if old is None:
            return self._add(engine, text, payload)
        engine.memory.update(old.id, text=str(text), metadata=payload)
        return self._get(engine, old.id)

    def _get(self, engine: Engine, item_id: str) -> Item:
        return _item(engine.memory.get(item_id))

    def _delete(self, engine: Engine, item_id: str) -> bool:
        row = engine.memory.get(item_id) if _is_uuid(item_id) else None
        if row is None or _owner(row) != self._owner:
            return False
        engine.memory.vector_store.delete(item_id)
        return True

    def _delete_where(self, engine: Engine, condition: dict[str, Any]) -> int:
        deleted = 0
        while rows := engine.memory.vector_store.list(filters={**self._scope(), **condition}, top_k=MAX_ITEMS)[0]:
            for row in rows:
                engine.memory.vector_store.delete(row.id)
            deleted += len(rows)
        return deleted

    def _payload(
        self, text: Redacted, source: str, confidence: float, expires_at: datetime | None, kind: Kind, slot: str
    ) -> dict[str, Any]:
        _require_redacted(text)
        if not is_storable(text):
            raise MemoryRefused("a memory is one printable line of 3 to 300 characters without a secret in it")
        if expires_at is not None and expires_at.tzinfo is None:
            raise MemoryRefused("expires_at needs a time zone")
        return {
            "tenant": self._owner.tenant,
            "kind": kind,
            "slot": slot,
            "source": source,
            "confidence": confidence,
            "expires_at": expires_at.timestamp() if expires_at else _NEVER,
        }


def _item(row: dict[str, Any]) -> Item:
    """From mem0's own shape: what it knows is on top, what we gave it is under `metadata`."""
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


def _owner(row: dict[str, Any]) -> Owner:
    return Owner(tenant=row["metadata"]["tenant"], user=row["user_id"])


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _require_redacted(text: object) -> None:
    if not isinstance(text, Redacted):
        raise TypeError("memory takes Redacted text only: pass it through the redactor first")
