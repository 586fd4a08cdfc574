"""mem0 as we run it: on our Postgres, with our embedder, without a model, without history, telemetry or network."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import ConnectionPool

from memory.errors import MemoryUnavailable

Embed = Callable[[Sequence[str]], Iterable[Iterable[float]]]
"""Texts to one vector each, all of the same length (lists or an array); called in threads."""

TABLE: Final = "memories"
_SETUP_LOCK: Final = 0x6D65_6D6F_7269_6573  # "memories"
_ANSWER_S: Final = 5


class _Transactional:
    """What mem0 takes for its pool. Inside `transaction` all that this thread asks of it is one transaction."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool, self._mine = pool, threading.local()

    @contextmanager
    def connection(self) -> Iterator[Any]:
        if (current := getattr(self._mine, "connection", None)) is not None:
            yield current
            return
        with self._own() as connection:
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        with self._own() as connection, connection.transaction():
            self._mine.connection = _Held(connection)
            try:
                yield connection
            finally:
                self._mine.connection = None

    @contextmanager
    def _own(self) -> Iterator[psycopg.Connection]:
        """A session that began while the database was read-only, or on a standby, stays as it is: none is kept."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except ReadOnlySqlTransaction:
            self._pool.drain()
            raise

    def close(self) -> None:
        self._pool.close()


class _Held:
    """A connection whose transaction somebody else ends: mem0 commits after each of its writes."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.cursor = connection.cursor

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """mem0's `Memory` and the connections that it and we use. Both are thread-safe."""

    memory: Any  # mem0 ships no types
    pool: _Transactional

    def close(self) -> None:
        self.memory.close()
        self.pool.close()


def open_engine(dsn: str, embed: Embed, dimensions: int, home: Path) -> Engine:
    """Imports mem0 and connects: some 0.6 s of CPU, so run it in a thread.

    Raises MemoryUnavailable when mem0 can't be loaded quietly, psycopg.Error when Postgres does not answer.
    """
    _import_mem0(home / "mem0")
    # A pool waits for its time-out and names no reason; one plain connection fails at once and says why.
    psycopg.connect(dsn, connect_timeout=_ANSWER_S).close()
    options = {
        "autocommit": True,  # what it only reads is one round trip
        "connect_timeout": _ANSWER_S,
        "application_name": "trireme-memory",
        "prepare_threshold": None,
    }
    pool = ConnectionPool(
        dsn,
        min_size=0,
        max_size=4,
        timeout=_ANSWER_S,
        reconnect_timeout=_ANSWER_S,
        max_idle=60,
        num_workers=1,
        check=ConnectionPool.check_connection,
        configure=_configured,
        kwargs=options,
        open=True,
    )
    ours = _Transactional(pool)
    try:
        engine = Engine(_build(ours, embed, dimensions), ours)
        _set_up_table(engine)
    except BaseException:
        pool.close()
        raise
    return engine


def _configured(connection: psycopg.Connection) -> None:
    """A process that stands still in the middle of a write must not hold what it has locked."""
    connection.execute("set idle_in_transaction_session_timeout = '5s'")


class _OurEmbedder:
    """What mem0 asks of an embedder; mem0 makes it with a config whose `model` is our callable."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        try:
            (vector,) = self.config.model([text])
        except Exception as error:
            raise MemoryUnavailable(f"the embedder of memory failed: {error}") from error
        return [float(number) for number in vector]


class _NoModel:
    """mem0 must be given a language model. We write with `infer=False`, so that none is ever called."""

    def __init__(self, config: Any) -> None:
        self.config = config


class _NoHistory:
    """mem0 keeps changed and deleted texts in an SQLite history; we keep none, so that deleted means gone."""

    def add_history(self, *_: Any, **__: Any) -> None: ...

    def close(self) -> None: ...


def _build(pool: _Transactional, embed: Embed, dimensions: int) -> Any:
    factories = import_module("mem0.utils.factory")
    factories.EmbedderFactory.provider_to_class["trireme"] = f"{__name__}.{_OurEmbedder.__name__}"
    factories.LlmFactory.register_provider("trireme", f"{__name__}.{_NoModel.__name__}")
    # Exact search on purpose: an HNSW index picks the nearest of all owners first and drops strangers' rows after that.
    store = {"connection_pool": pool, "collection_name": TABLE, "embedding_model_dims": dimensions, "hnsw": False}
    vectors = import_module("mem0.vector_stores.configs").VectorStoreConfig(provider="pgvector", config=store)
    # Without validation: mem0 checks these names against a fixed list before it asks its factories.
    embedder = import_module("mem0.embeddings.configs").EmbedderConfig.model_construct
    model = import_module("mem0.llms.configs").LlmConfig.model_construct
    config = import_module("mem0.configs.base").MemoryConfig(
        vector_store=vectors,
        embedder=embedder(provider="trireme", config={"model": embed}),
        llm=model(provider="trireme", config={}),
        history_db_path=":memory:",
    )
    memory = import_module("mem0").Memory(config)
    memory.db.close()
    memory.db = _NoHistory()
    return memory


def _import_mem0(folder: Path) -> None:
    """Sets what mem0 reads at import, then imports it; beside settings the one place that touches the environment."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["MEM0_TELEMETRY"] = "False"
        os.environ["MEM0_DIR"] = str(folder)
        with _stand_in("qdrant_client", "QdrantClient"), _stand_in("posthog", "Posthog"):
            import_module("mem0")
    except (ImportError, OSError) as error:
        raise MemoryUnavailable(f"mem0 can't be loaded with {folder} as its folder: {error}") from error
    if import_module("mem0.memory.telemetry").MEM0_TELEMETRY:
        raise MemoryUnavailable("mem0 was imported before with telemetry on: set MEM0_TELEMETRY=False and start again")
    # Otherwise it tries to download a spaCy model on the first call.
    models = import_module("mem0.utils.spacy_models")
    vars(models).update(_load_failed_full=True, _load_failed_lemma=True)
    # Its log lines quote what is remembered; failures reach us as exceptions.
    logging.getLogger("mem0").setLevel(logging.CRITICAL + 1)


@contextmanager
def _stand_in(module: str, name: str) -> Iterator[None]:
    """An empty `module` while mem0 is imported: it loads Qdrant's client (1.2 s CPU, 53 MB) and PostHog's unused."""
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
    index = sql.SQL("create index if not exists {} on {} ((payload->>'tenant'), (payload->>'user_id'))")
    with engine.pool.connection() as connection, connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
        engine.memory.vector_store.list(filters={"user_id": ""}, top_k=1)
        connection.execute(index.format(sql.Identifier(f"{TABLE}_owner"), sql.Identifier(TABLE)))
