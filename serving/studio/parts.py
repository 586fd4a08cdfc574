"""What Studio's runs share: database, documents, memory, models and the command line's vault."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from graph.bounds import Bounds, Budget
from graph.ports import Deps, Models
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
from serving.postgres import EmbeddedPostgres
from serving.runs.artifacts import MemoryArtifacts
from serving.runs.attempts import RunMemory
from serving.runs.ledger import MemoryLedger
from serving.settings import Settings, load_settings
from serving.stack import Stack
from serving.studio.approvals import StudioApprovals
from serving.studio.log import MemoryLog
from serving.wiring import memory_store, models_of

log = logging.getLogger(__name__)


class ThreadRedactor:
    """Port `Redactor`, which is sync. The scan runs in a thread: `langgraph dev` refuses SQLite on its event loop."""

    def __init__(self, private: Private) -> None:
        self._private = private
        self._thread = ThreadPoolExecutor(1, "redactor")

    def redact(self, text: str) -> Redacted:
        return from_record(self._thread.submit(self._private.redact, text).result())


@dataclass(frozen=True, slots=True)
class Parts:
    settings: Settings
    database: "Database"
    private: Private
    models: Models
    documents: DocumentStore
    databases: Databases
    memory: MemoryStore

    def redact(self, text: str) -> Redacted:
        return from_record(self.private.redact(text))

    def deps(self, run_id: str, thread_id: str, collection: str, events: MemoryLog) -> Deps:
        """One run's parts. `collection` may be empty."""
        documents = CollectionDocuments(self.documents, collection or None)
        tables = CollectionTables(self.documents, collection or None, self.databases)
        mailer = OutboxMailer(self.settings.home / "outbox", self.settings.smtp_from, self._reveal)
        tools = builtin_tools(documents, tables, MemoryArtifacts(), mailer, mailer.honours_key)
        approvals = StudioApprovals(self.private.redact_json)
        ttl_s = self.settings.approval_ttl_s
        return Deps(
            run_id=run_id,
            thread_id=thread_id,
            models=self.models,
            tools=ToolRunner(Registry(tools), MemoryLedger(), approvals, run_id, approval_ttl_s=ttl_s),
            events=events,
            approvals=approvals,
            documents=documents,
            memory=RunMemory(LongTermMemory(self.memory), run_id),
            redactor=ThreadRedactor(self.private),
            budget=Budget(Bounds(), events.history),
            approval_ttl_s=ttl_s,
        )
