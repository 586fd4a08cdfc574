"""What one attempt at one run gets to work with."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from graph.bounds import Budget
from graph.errors import MemoryUnavailable
from graph.ports import Deps, MemoryItem, Models
from graph.profile import Profile
from graph.tools.builtin import builtin_tools
from graph.tools.registry import Registry, Tool
from graph.tools.runner import ToolRunner
from memory.errors import MemoryFailure
from memory.item import Item, Owner
from memory.long_term import LongTermMemory
from memory.store import Guard, MemoryStore
from privacy.redact import Redactor, from_record
from serving.database import Pool, storage
from serving.documents.search import CollectionDocuments
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases
from serving.mail import OutboxMailer, SmtpMailer
from serving.runs.artifacts import PostgresArtifacts
from serving.runs.attempts.in_flight import InFlight
from serving.runs.attempts.terms import Terms
from serving.runs.decisions.approvals import PostgresApprovals
from serving.runs.fence import guard
from serving.runs.ledger import PostgresLedger
from serving.runs.log import AttemptLog
from serving.runs.queue import Claim
from serving.runs.requests.request import RunRequest
from serving.settings import Settings
from serving.vault import PostgresVault


@dataclass(frozen=True, slots=True)
class AttemptDeps:
    """Holds the process's parts; called once an attempt. `models_of`: those that a tenant's runs ask."""

    pool: Pool
    calls: InFlight
    models_of: Callable[[str], Models]
    documents: DocumentStore
    databases: Databases
    memory: MemoryStore
    vault: PostgresVault
    redactor: Redactor
    settings: Settings

    async def __call__(self, claim: Claim, request: RunRequest, events: AttemptLog, terms: Terms) -> Deps:
        mine = self.of(claim.tenant)
        return mine._deps(claim, request, events, terms)

    def of(self, tenant: str) -> "AttemptDeps":
        """The same for another tenant: its documents, memory and vault, and no other's."""
        vault = self.vault.of(tenant)
        return replace(
            self,
            documents=self.documents.of(tenant),
            memory=self.memory.of(Owner(tenant)),
            vault=vault,
            redactor=self.redactor.against(vault),
        )

    def _deps(self, claim: Claim, request: RunRequest, events: AttemptLog, terms: Terms) -> Deps:
        run_id, fence = claim.run_id, claim.fence
        installed = self.tools(run_id, fence, request.collection)
        tools = Registry(tool for tool in installed if tool.name in terms.tools)
        approvals = PostgresApprovals(self.pool, run_id, fence)
        ledger = PostgresLedger(self.pool, self.calls, run_id, fence, claim.lease.lasts)
        ttl_s = self.settings.approval_ttl_s
        return Deps(
            run_id=run_id,
            thread_id=claim.thread_id,
            models=self.models_of(claim.tenant),
            tools=ToolRunner(tools, ledger, approvals, run_id, approval_ttl_s=ttl_s),
            events=events,
            check_lease=ledger.check_lease,
            approvals=approvals,
            documents=CollectionDocuments(self.documents, request.collection or None),
            memory=RunMemory(LongTermMemory(self.memory), run_id, guard(run_id, fence)),
            redactor=self.redactor,
            budget=Budget(request.bounds, events.own),
            prompts=terms.prompts,
            profile=Profile.model_validate(claim.profile or {}),
            form=request.form,
            model=request.model,
            approval_ttl_s=ttl_s,
        )

    def tools(self, run_id: str = "", fence: int = 0, collection: str = "") -> tuple[Tool, ...]:
        """Those of one attempt; without one, what is installed here."""
        documents = CollectionDocuments(self.documents, collection or None)
        tables = CollectionTables(self.documents, collection or None, self.databases)
        artifacts, mailer = PostgresArtifacts(self.pool, run_id, fence), self._mailer(run_id)
        return builtin_tools(documents, tables, artifacts, mailer)

    def _mailer(self, run_id: str) -> OutboxMailer | SmtpMailer:
        """SMTP when a server is set, else the outbox folder; either sees only what a person revealed to this run."""

        async def reveal(placeholder: str) -> str:
            with storage():
                return await asyncio.to_thread(self.vault.revealed, run_id, placeholder) or placeholder

        sender, url = self.settings.smtp_from, self.settings.smtp_url
        if url:
            return SmtpMailer(url.get_secret_value(), sender, reveal)
        return OutboxMailer(self.settings.home / "outbox", sender, reveal)


class RunMemory:
    """Port `Memory` over long-term memory: what it raises becomes the graph's error."""

    def __init__(self, memory: LongTermMemory, run_id: str, guard: Guard | None = None) -> None:
        self._memory, self._run_id, self._guard = memory, run_id, guard

    async def recall(self, goal: str) -> tuple[MemoryItem, ...]:
        try:
            return _items(await self._memory.recall(from_record(goal)))
        except MemoryFailure as error:
            raise MemoryUnavailable(str(error)) from None

    async def propose(self, goal: str) -> tuple[MemoryItem, ...]:
        try:
            return _items(await self._memory.propose(from_record(goal), f"run {self._run_id}", self._guard))
        except MemoryFailure as error:
            raise MemoryUnavailable(str(error)) from None


def _items(items: tuple[Item, ...]) -> tuple[MemoryItem, ...]:
    return tuple(MemoryItem(id=item.id, text=item.text, source=item.source) for item in items)
