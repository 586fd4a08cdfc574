"""What the HTTP surface works with; composed in serving/wiring.py, opened when the server starts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from memory.item import Owner
from memory.store import MemoryStore
from privacy.redact import Redacted, Redactor
from privacy.vault import MemoryVault
from serving.api.stream import Tails
from serving.api.thread_tails import ThreadTails
from serving.assistants.store import AssistantStore
from serving.auth.filters import EVERYTHING, Held
from serving.auth.user import User, with_configurable
from serving.crons.store import CronStore
from serving.database import Pool
from serving.hosting.graphs import Graphs
from serving.idempotency import Idempotency
from serving.items.stores import Stores
from serving.keys.identity import OPERATOR, Identity
from serving.keys.lookup import Keys
from serving.profiles.store import ProfileStore
from serving.runs.control import RunControls
from serving.runs.decisions.store import Decisions
from serving.runs.fork import Forks
from serving.runs.launches import Launches
from serving.runs.requests.launch import NewRun
from serving.runs.requests.request import RunRequest, redacted
from serving.runs.store import RunStore
from serving.runs.view import RunView
from serving.threads.places import Places
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.vault import PostgresVault
from serving.webhooks.address import check_url
from serving.webhooks.delivery import Deliveries

if TYPE_CHECKING:
    from serving.documents.store import DocumentStore


@dataclass(frozen=True, slots=True)
class ApiServices:
    """Of one tenant; what is nobody's (pool, tails, keys) is shared. A part that holds a tenant is named in `of`."""

    pool: Pool
    runs: RunStore
    controls: RunControls
    decisions: Decisions
    forks: Forks
    tails: Tails
    thread_tails: ThreadTails
    redactor: Redactor
    vault: PostgresVault
    documents: "DocumentStore"
    memory: MemoryStore
    assistants: AssistantStore
    threads: ThreadStore
    places: Places
    states: States
    stores: Stores
    graphs: Graphs
    launches: Launches
    crons: CronStore
    profiles: ProfileStore
    keys: Keys
    idempotency: Idempotency
    deliveries: Deliveries
    asker: str = "local"  # who a run's log says it was, where a request doesn't: its API key, by the prefix
    headers: Mapping[str, str] = field(default_factory=dict)  # of the request, as langgraph.json lets graphs see them
    user: User | None = None  # whom its `auth` let in
    held: Held = field(default_factory=dict)  # by a row that is there already, where it may be the user's

    def asked_by(self, identity: Identity, headers: Mapping[str, str], held: Held = EVERYTHING) -> "ApiServices":
        """Those of its tenant."""
        hosting = self.graphs.hosting
        patterns = hosting.http.configurable_headers if hosting else None
        seen = dict(patterns.chosen(headers)) if patterns else {}
        asker = "local" if identity is OPERATOR else identity.name
        mine = replace(self.of(identity.tenant), asker=asker, headers=seen, user=identity.user, held=held)
        if identity.user:  # one of many, for none of whom the tenant's vault is opened
            redactor = mine.redactor.against(MemoryVault())
            mine = replace(mine, redactor=redactor, states=mine.states.of(identity.tenant, redactor))
        return replace(mine, states=mine.states.told(mine.told)) if mine.told else mine

    @property
    def told(self) -> dict[str, Any]:
        """What graphs find in `configurable` of who asks."""
        return {**self.headers, **(self.user.configurable if self.user else {})}

    @property
    def sees_the_agent(self) -> bool:
        """What planner, worker and critic keep is a whole tenant's, and no user's."""
        return self.user is None

    def configured(self, new: NewRun) -> NewRun:
        """With what graphs are told of who asks: who sends it stands nearer to the server than who wrote the body, so
        that nobody takes their place."""
        told = self.told
        return new.model_copy(update={"config": with_configurable(new.config, told)}) if told else new

    def check_webhook(self, url: str | None) -> None:
        """Raises BadRequest for what is no address, or none that langgraph.json allows."""
        if url is None:
            return
        check_url(url)
        if self.graphs.hosting:
            self.graphs.hosting.webhooks.url.check(url)

    def named(self, said: str) -> str:
        """Who it was in a log, where a client said something of that."""
        return f"{said} ({self.asker})" if said else self.asker

    def of(self, tenant: str) -> "ApiServices":
        """The same for another tenant: nothing that it reads or writes is anybody else's."""
        if tenant == self.runs.tenant:
            return self
        runs, vault = self.runs.of(tenant), self.vault.of(tenant)
        redactor = self.redactor.against(vault)
        return replace(
            self,
            runs=runs,
            controls=self.controls.of(runs),
            decisions=self.decisions.of(runs),
            forks=self.forks.of(runs),
            redactor=redactor,
            vault=vault,
            documents=self.documents.of(tenant),
            memory=self.memory.of(Owner(tenant)),
            assistants=self.assistants.of(tenant),
            threads=self.threads.of(tenant),
            places=self.places.of(tenant),
            states=self.states.of(tenant, redactor),
            launches=self.launches.of(tenant),
            crons=self.crons.of(tenant),
            profiles=self.profiles.of(tenant),
            idempotency=self.idempotency.of(tenant),
            deliveries=self.deliveries.of(tenant),
        )

    async def redact(self, text: str) -> Redacted:
        """Server mode: whatever comes in raw is redacted here, before anything is stored."""
        return await asyncio.to_thread(self.redactor.redact, text)

    async def redacted(self, request: RunRequest) -> RunRequest:
        """The request as it may be stored."""
        return await asyncio.to_thread(redacted, self.redactor, request)

    async def restore(self, value: Any) -> Any:
        """Puts back what this server's own vault holds; a client's placeholders stay for the client."""
        return await asyncio.to_thread(self.redactor.restore_json, value)

    async def line(self, kind: str, body: str) -> dict[str, Any]:
        """A line of a log, given as JSON text. Most hold nothing to put back; what a hosted graph said is as it was."""
        value: dict[str, Any] = orjson.loads(body)
        if kind != "stream_part" and self.redactor.owns_any(body):
            value = await asyncio.to_thread(self.redactor.restore_line, value)
        return value

    async def restored_lines(self, lines: Sequence[Any]) -> list[Any]:
        return await asyncio.to_thread(lambda: [self.redactor.restore_line(line) for line in lines])

    async def restored_answer(self, text: str) -> str:
        return await asyncio.to_thread(self.redactor.restore_answer, text)

    async def shown(self, run: RunView) -> Any:
        view = await self.restore(run.model_dump(mode="json"))
        return view if run.answer is None else {**view, "answer": await self.restored_answer(run.answer)}

    async def warm(self) -> None:
        """Loads the detector before the first request needs it."""
        await asyncio.to_thread(self.redactor.redact, "warm-up")


async def restored_line(redactor: Redactor, vault: PostgresVault, tenant: str, body: str) -> str:
    """A line of a tenant's log, as JSON text, with its own values put back. Most lines hold none, and cost a scan."""
    if not redactor.owns_any(body):
        return body
    mine = redactor.against(vault.of(tenant))
    return orjson.dumps(await asyncio.to_thread(mine.restore_line, orjson.loads(body))).decode()
