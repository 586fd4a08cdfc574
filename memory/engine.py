"""mem0 as we run it: on our Postgres, with our embedder, without a model, without history, telemetry or network."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool

from memory.errors import MemoryUnavailable

Embed = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""Texts to vectors of one fixed length each; called in threads."""

TABLE: Final = "memories"
_SETUP_LOCK: Final = 0x6D65_6D6F_7269_6573  # "memories"
_ANSWER_S: Final = 5


@dataclass(frozen=True, slots=True)
class Engine:
    """mem0's `Memory` and the pool that it and we use. Both are thread-safe."""

    memory: Any  # mem0 ships no types
    pool: ConnectionPool

    def close(self) -> None:
        self.memory.close()
        self.pool.close()


def open_engine(dsn: str, embed: Embed, dimensions: int, home: Path) -> Engine:
    """Blocks for about a second on first use: run it in a thread.

    Raises MemoryUnavailable when mem0 can't be loaded quietly; psycopg.Error when Postgres does not answer.
    """
    mem0 = _import_mem0(home)
    pool = ConnectionPool(
        dsn,
        min_size=0,
        max_size=4,
        timeout=_ANSWER_S,
        max_idle=60,
        num_workers=1,
        check=ConnectionPool.check_connection,
        kwargs={"connect_timeout": _ANSWER_S, "application_name": "trireme-memory", "prepare_threshold": None},
        open=True,
    )
    try:
        engine = Engine(_build(mem0, pool, embed, dimensions), pool)
        _set_up_table(engine)
    except BaseException:
        pool.close()
        raise
    return engine


class _OurEmbedder:
    """What mem0 asks of an embedder; it hands over its config, whose `model` is our callable."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return [float(number) for number in self.config.model([text])[0]]

    def embed_batch(self, texts: list[str], memory_action: str = "add") -> list[list[float]]:
        return [self.embed(text) for text in texts]


class _NoModel:
    """mem0 must be given a language model; ours writes with `infer=False`, so that none is ever called."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def generate_response(self, *_: Any, **__: Any) -> str:
        raise MemoryUnavailable("memory is written without a language model: add with infer=False")


class _NoHistory:
    """mem0 keeps changed and deleted texts in an SQLite history; we keep none, so that deleted means gone."""

    def add_history(self, *_: Any, **__: Any) -> None: ...

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        return []

    def close(self) -> None: ...


def _build(mem0: ModuleType, pool: ConnectionPool, embed: Embed, dimensions: int) -> Any:
    from mem0.configs.base import MemoryConfig
    from mem0.embeddings.configs import EmbedderConfig
    from mem0.llms.configs import LlmConfig
    from mem0.utils.factory import EmbedderFactory, LlmFactory
    from mem0.vector_stores.configs import VectorStoreConfig

    EmbedderFactory.provider_to_class["trireme"] = f"{__name__}.{_OurEmbedder.__name__}"
    LlmFactory.register_provider("trireme", f"{__name__}.{_NoModel.__name__}")
    # The store is exact on purpose: an HNSW index finds its neighbours first and drops other owners' rows after that.
    store = {"connection_pool": pool, "collection_name": TABLE, "embedding_model_dims": dimensions, "hnsw": False}
    memory = mem0.Memory(
        MemoryConfig(
            vector_store=VectorStoreConfig(provider="pgvector", config=store),
            # Built without validation: mem0 checks names against a fixed list before it asks its factories.
            embedder=EmbedderConfig.model_construct(provider="trireme", config={"model": embed}),
            llm=LlmConfig.model_construct(provider="trireme", config={}),
            history_db_path=":memory:",
        )
    )
    memory.db.close()
    memory.db = _NoHistory()
    return memory


def _import_mem0(home: Path) -> ModuleType:
    """Sets what mem0 reads at import, then imports it; the one place outside settings that touches the environment."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(home)
        with _stand_in("qdrant_client", "QdrantClient"), _stand_in("posthog", "Posthog"):
            import mem0
            from mem0.memory import telemetry
            from mem0.utils import spacy_models
    except (ImportError, OSError) as error:
        raise MemoryUnavailable(f"mem0 can't be loaded with {home} as its folder: {error}") from error
    if telemetry.MEM0_TELEMETRY:
        raise MemoryUnavailable("mem0 was imported before with its telemetry on: set MEM0_TELEMETRY=False and start again")
    # Otherwise it tries to download a spaCy model on the first call.
    spacy_models._load_failed_full = spacy_models._load_failed_lemma = True
    # Its log lines quote what is remembered; failures reach us as exceptions.
    logging.getLogger("mem0").setLevel(logging.CRITICAL + 1)
    return mem0


@contextmanager
def _stand_in(module: str, name: str) -> Iterator[None]:
    """mem0 imports clients that we never use: 55 MB and 1.2 s of CPU for qdrant_client, and the sender of its telemetry."""
    if module in sys.modules:
        yield
        return
    empty = ModuleType(module)
    setattr(empty, name, type(name, (), {}))
    sys.modules[module] = empty
    try:
        yield
    finally:
        del sys.modules[module]


def _set_up_table(engine: Engine) -> None:
    """mem0 makes its table at its first query; two processes that start together must not both try."""
    with engine.pool.connection() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
        engine.memory.vector_store.list(filters={"user_id": ""}, top_k=1)
        connection.execute(
            psycopg.sql.SQL(
                "create index if not exists {} on {} ((payload->>'tenant'), (payload->>'user_id'))"
            ).format(psycopg.sql.Identifier(f"{TABLE}_owner"), psycopg.sql.Identifier(TABLE))
        )
