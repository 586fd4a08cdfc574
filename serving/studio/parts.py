"""What Studio's runs share: database, documents, memory, models and the command line's vault."""

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from graph.bounds import Bounds, Budget
from graph.ports import Deps, Models
from graph.profile import Profile
from graph.tools.builtin import builtin_tools
from graph.tools.registry import Registry
from graph.tools.runner import ToolRunner
from memory.long_term import LongTermMemory
from memory.store import MemoryStore
from privacy.redact import Redacted, from_record
from serving.cli.private import Private, open_private
from serving.cli.run import read_docs
from serving.database import open_row_pool
from serving.documents.embed import HashingEmbedder
from serving.documents.search import CollectionDocuments
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases
from serving.mail import OutboxMailer
from serving.migrate import migrate
from serving.processes.postgres import EmbeddedPostgres
from serving.processes.stack import Stack
from serving.profiles.store import ProfileStore
from serving.runs.artifacts import MemoryArtifacts
from serving.runs.attempts.deps import RunMemory
from serving.settings import Settings, load_settings
from serving.studio.approvals import StudioApprovals, StudioLedger
from serving.studio.log import MemoryLog
from serving.vault import vault_key
from serving.wiring import memory_store, open_models

log = logging.getLogger(__name__)


class ThreadRedactor:
    """Port `Redactor`, which is sync. The scan runs in a thread: `langgraph dev` refuses SQLite on its event loop."""

    def __init__(self, private: Private) -> None:
        self._private = private
        self._thread = ThreadPoolExecutor(1, "redactor")

    def redact(self, text: str) -> Redacted:
        return from_record(self._thread.submit(self._private.redact, text).result())


class Database:
    """The one that the settings name, else the embedded one of this home, which may run already."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._embedded = None if settings.database_url else EmbeddedPostgres(settings.home)
        self._owned = False

    @property
    def dsn(self) -> str:
        return self._embedded.dsn if self._embedded else self._settings.database_url

    def start(self) -> bool:
        """Whether it had to be started: the command that ran it may have ended since."""
        started = self._embedded is not None and self._embedded.start()
        self._owned = self._owned or started
        return started

    def stop(self) -> None:
        """Stops what this process started, unless another stack of this home has come to use it."""
        if self._embedded and self._owned and Stack(self._settings).running() is None:
            self._embedded.stop()


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    database: Database
    private: Private
    redactor: ThreadRedactor
    models: Models
    documents: DocumentStore
    databases: Databases
    memory: MemoryStore
    profiles: ProfileStore

    async def awake(self) -> None:
        """Before a run: the embedded database may have gone with the command that had started it."""
        if await asyncio.to_thread(self.database.start):
            await self.documents.pool.check()

    async def folder(self, root: Path) -> str:
        """Stores a folder as `trireme run --docs` would; returns its collection's name. Raises FolderError."""
        folder = await asyncio.to_thread(read_docs, root, self.private)
        assert folder is not None
        paths = {self.private.redact(each.path): each for each in folder.documents}
        digests = {path: self.private.digest(each) for path, each in paths.items()}
        missing = await self.documents.missing(folder.collection, digests)
        new = [replace(paths[path], digest=digests[path]) for path in sorted(missing)]
        stored = await asyncio.to_thread(lambda: [each.redacted(self._scanned) for each in new])
        await self.documents.put(folder.collection, stored)
        await self.documents.prune(folder.collection, paths)
        log.info("action=ingest documents=%d new=%d skipped=%d", len(paths), len(new), len(folder.skipped))
        return folder.collection

    def deps(self, run_id: str, thread_id: str, collection: str, profile: Profile, events: MemoryLog) -> Deps:
        """One run's parts; `collection` may be empty."""
        documents = CollectionDocuments(self.documents, collection or None)
        tables = CollectionTables(self.documents, collection or None, self.databases)
        mailer = OutboxMailer(self.settings.home / "outbox", self.settings.smtp_from, self._reveal)
        tools = builtin_tools(documents, tables, MemoryArtifacts(), mailer)
        approvals = StudioApprovals(self.private.redact_json)
        ttl_s = self.settings.approval_ttl_s
        return Deps(
            run_id=run_id,
            thread_id=thread_id,
            models=self.models,
            tools=ToolRunner(
                Registry(tools), StudioLedger(self.private.redact_json), approvals, run_id, approval_ttl_s=ttl_s
            ),
            events=events,
            approvals=approvals,
            documents=documents,
            memory=RunMemory(LongTermMemory(self.memory), run_id),
            redactor=self.redactor,
            budget=Budget(Bounds(), events.history),
            profile=profile,
            approval_ttl_s=ttl_s,
        )

    def _scanned(self, text: str) -> Redacted:
        return from_record(self.private.redact(text))

    async def _reveal(self, placeholder: str) -> str:
        """Whoever approves an e-mail in Studio is the vault's owner."""
        return await asyncio.to_thread(self.private.restore, placeholder)


@asynccontextmanager
async def open_parts() -> AsyncIterator[Parts]:
    """Raises SettingsError, StartFailed, Unreachable, VaultError; each says how to mend it."""
    settings = await asyncio.to_thread(_settings)
    database = Database(settings)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, database.stop)
        await asyncio.to_thread(database.start)
        await asyncio.to_thread(migrate, database.dsn)
        private = await asyncio.to_thread(stack.enter_context, open_private(settings))
        pool = await stack.enter_async_context(open_row_pool(database.dsn))
        memory = memory_store(database.dsn, settings.home)
        stack.push_async_callback(memory.close)
        yield Parts(
            settings=settings,
            database=database,
            private=private,
            redactor=ThreadRedactor(private),
            models=await stack.enter_async_context(open_models(settings)),
            documents=DocumentStore(pool, HashingEmbedder()),
            databases=Databases(),
            memory=memory,
            profiles=ProfileStore(pool),
        )


def _settings() -> Settings:
    """With the server's key read already, so that nothing reads files on the event loop later."""
    settings = load_settings()
    given = settings.vault_key.get_secret_value() if settings.vault_key else ""
    key = b64encode(vault_key(given, settings.home)).decode()
    return settings.model_copy(update={"vault_key": SecretStr(key)})
