"""The process's store, opened when somebody first needs it: LangGraph's own over our pool."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from serving.database import Pool
from serving.hosting.config import Hosting, Index
from serving.hosting.errors import GraphFailed

if TYPE_CHECKING:
    from langgraph.store.base import BaseStore

    from serving.items.scoped import ScopedStore

OURS: Final = "trireme:hashing-words-1"


class Stores:
    def __init__(self, pool: Pool, hosting: Hosting | None = None) -> None:
        self._pool, self._hosting = pool, hosting
        self._opening = asyncio.Lock()
        self._whole: BaseStore | None = None
        self._scoped: dict[str, ScopedStore] = {}

    async def of(self, tenant: str) -> "ScopedStore":
        """Raises GraphFailed when the embedding of langgraph.json can't be had."""
        async with self._opening:
            if self._whole is None:
                index = await asyncio.to_thread(self._index)
                self._whole = _opened(self._pool, index, self._ttl())
            if tenant not in self._scoped:
                from serving.items.scoped import ScopedStore

                self._scoped[tenant] = ScopedStore(self._whole, tenant)
        return self._scoped[tenant]

    def _ttl(self) -> Any:
        life = self._hosting.store.ttl if self._hosting else None
        given = life.model_dump(exclude_none=True) if life else {}
        return {**given, "omit_expired": True}

    def _index(self) -> Any:
        """Imports LangGraph's store and the user's embedding: in a thread."""

        import serving.items.scoped  # noqa: F401

        index = self._hosting.store.index if self._hosting else None
        if index is None or self._hosting is None:
            return None
        return {"dims": index.dims, "embed": _embedding(index, self._hosting), "fields": list(index.fields or ("$",))}


def _opened(pool: Any, index: Any, ttl: Any) -> "BaseStore":
    from serving.items.fenced import FencedStore

    return FencedStore(pool, index=index, ttl=ttl)


def _embedding(index: Index, hosting: Hosting) -> Any:
    if index.embed == OURS:
        from serving.documents.embed import HashingEmbedder

        embedder = HashingEmbedder()
        return lambda texts: embedder.embed(list(texts)).tolist()
    if ".py:" in index.embed:
        from serving.hosting.load import load_object

        return load_object(index.embed, hosting.folder, hosting.roots)
    from langgraph.store.base import ensure_embeddings

    try:
        return ensure_embeddings(index.embed)
    except Exception as error:
        raise GraphFailed(
            f"store.index.embed: {index.embed} can't be had: {error}", f"name FILE.py:NAME, or {OURS}"
        ) from error
