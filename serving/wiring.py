"""The composition root: which part gets which. The only place that knows them all."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graph.ports import Models
from memory.store import MemoryStore
from privacy.detect import Detector
from privacy.redact import Redactor
from serving.api.cors import Origins
from serving.api.stream import Tails
from serving.api.thread_tails import ThreadTails
from serving.assistants.store import AssistantStore
from serving.auth.callers import Callers
from serving.crons.store import CronStore
from serving.database import Pool, open_pool, open_row_pool, worker_name
from serving.deployment import require_same_key
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.hosting.config import read_hosting
from serving.hosting.graphs import Graphs
from serving.idempotency import Idempotency
from serving.items.stores import Stores
from serving.items.vectors import prepare_vectors
from serving.keys.lookup import Keys
from serving.known_names import read_known_names
from serving.migrate import migrate
from serving.models.routes import Routes
from serving.models.select import Credentials, models_for, select_routes
from serving.profiles.store import ProfileStore
from serving.rights import ROLE, runtime_dsn
from serving.runs.control import RunControls
from serving.runs.decisions.store import Decisions
from serving.runs.fork import Forks
from serving.runs.launches import Launches
from serving.runs.notices import LOG_CHANNEL, Notices, listen
from serving.runs.store import RunStore
from serving.services import ApiServices, restored_line
from serving.settings import Settings, add_environment, secret_of
from serving.threads.places import Places
from serving.threads.saved import Saved
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.threads.sweep import Sweeper, thread_ttl
from serving.vault import PostgresVault, vault_key
from serving.webhooks.delivery import Deliveries

if TYPE_CHECKING:
    from serving.crons.firing import Clockwork
    from serving.runs.attempts.worker import Worker
    from serving.runs.checkpoints.branches import Branches
    from serving.webhooks.courier import Courier

log = logging.getLogger(__name__)
_API_CONNECTIONS = 10
# An attempt has a connection for a moment at a time, so many runs share few; Postgres allows 100 to 200 in all.
_MOST_WORKER_CONNECTIONS = 36


@dataclass(frozen=True, slots=True)
class _Parts:
    """What every process over the database has; `dsn` is with the rights that running processes have."""

    dsn: str
    pool: Pool
    notices: Notices
    vault: PostgresVault
    redactor: Redactor
    documents: DocumentStore
    memory: MemoryStore


@asynccontextmanager
async def _open_parts(settings: Settings, connections: int) -> AsyncIterator[_Parts]:
    dsn = settings.database_url
    if settings.parent:
        await asyncio.to_thread(sys.stdin.read)  # its end says that the stack's database answers
    await asyncio.to_thread(migrate, dsn)
    if (runtime := await asyncio.to_thread(runtime_dsn, dsn)) == dsn:
        log.warning("action=assume_role role=%s outcome=refused hint=trireme doctor", ROLE)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(runtime, connections))
        rows = await stack.enter_async_context(open_row_pool(runtime))
        key = _key(settings)
        await require_same_key(pool, key)
        vault = PostgresVault(runtime, key)
        stack.callback(vault.close)
        memory = memory_store(dsn, settings.home)
        stack.push_async_callback(memory.close)
        redactor = Redactor(Detector(read_known_names(settings.known_names)), vault)
        yield _Parts(runtime, pool, Notices(pool), vault, redactor, DocumentStore(rows, HashingEmbedder()), memory)


@asynccontextmanager
async def open_api_services(settings: Settings) -> AsyncIterator[ApiServices]:
    async with _open_parts(settings, _API_CONNECTIONS) as parts:
        tails = Tails(parts.pool, partial(restored_line, parts.redactor, parts.vault), settings.slow_reader_s)
        thread_tails = ThreadTails(parts.pool, tails)
        heard = {LOG_CHANNEL: thread_tails.heard}
        runs, graphs = RunStore(parts.pool, parts.notices), hosted_graphs(settings)
        stores = await _open_stores(settings, parts.pool, graphs)
        threads, saved = ThreadStore(parts.pool, ttl=thread_ttl(graphs)), Saved(parts.pool, _key(settings))
        sweeper = Sweeper(parts.pool, threads, saved)
        works = (parts.notices.serve(), listen(parts.dsn, heard), tails.serve(), thread_tails.serve(), sweeper.serve())
        background = [asyncio.create_task(work) for work in works]
        branches = lru_cache(64)(partial(_open_branches, parts.pool, _key(settings)))
        try:
            yield ApiServices(
                pool=parts.pool,
                runs=runs,
                controls=RunControls(parts.pool, parts.notices, runs),
                decisions=Decisions(parts.pool, runs),
                forks=Forks(parts.pool, parts.notices, runs, branches),
                tails=tails,
                thread_tails=thread_tails,
                redactor=parts.redactor,
                vault=parts.vault,
                documents=parts.documents,
                memory=parts.memory,
                assistants=AssistantStore(parts.pool, graphs),
                threads=threads,
                places=Places(parts.pool),
                states=States(parts.pool, graphs, saved, stores, parts.redactor),
                stores=stores,
                graphs=graphs,
                launches=Launches(parts.pool, parts.notices, Callers(_key(settings))),
                crons=CronStore(parts.pool),
                profiles=ProfileStore(parts.pool),
                keys=Keys(parts.pool, secret_of(settings.api_key)),
                idempotency=Idempotency(parts.pool),
                deliveries=Deliveries(parts.pool),
            )
        finally:
            thread_tails.close()
            for task in background:
                task.cancel()


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator["Worker"]:
    from graph.build import build
    from graph.prompt import present_prompts
    from graph.tools.registry import Registry
    from serving.documents.tables import Databases
    from serving.runs.attempts.bundle import bundle_of
    from serving.runs.attempts.deps import AttemptDeps
    from serving.runs.attempts.execute import Executor
    from serving.runs.attempts.heartbeat import Heartbeat
    from serving.runs.attempts.hosted import HostedRuns
    from serving.runs.attempts.in_flight import InFlight
    from serving.runs.attempts.terms import Bundles
    from serving.runs.attempts.worker import Worker
    from serving.runs.queue import Queue
    from serving.telemetry.export import exporter_of

    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(open_models(settings))
        connections = min(settings.worker_concurrency + 4, _MOST_WORKER_CONNECTIONS)
        parts = await stack.enter_async_context(_open_parts(settings, connections))
        if exporter := exporter_of(settings, parts.pool):
            await stack.enter_async_context(exporter.running())
        name = worker_name()
        calls = InFlight(parts.dsn, name)
        stack.push_async_callback(calls.close)
        make_deps = AttemptDeps(
            pool=parts.pool,
            calls=calls,
            models_of=_by_tenant(models),
            documents=parts.documents,
            databases=Databases(),
            memory=parts.memory,
            vault=parts.vault,
            redactor=parts.redactor,
            settings=settings,
        )
        graph, prompts = build(), present_prompts()
        bundle = bundle_of(graph, prompts, Registry(make_deps.tools()), _routes(settings).described())
        bundles = Bundles(parts.pool, bundle, prompts)
        await bundles.publish()
        lease_s = settings.lease_s
        queue = Queue(parts.pool, name, lease_s, bundle)
        graphs = hosted_graphs(settings)
        loading = asyncio.create_task(graphs.load_all())
        stack.callback(loading.cancel)
        stores = await _open_stores(settings, parts.pool, graphs)
        hosted = HostedRuns(parts.pool, parts.notices, graphs, _key(settings), stores)
        executor = Executor(parts.pool, queue, parts.notices, graph, bundles, make_deps, _key(settings), hosted)
        stack.enter_context(_running(_courier(settings, parts, graphs).serve()))
        stack.enter_context(_running(_clockwork(parts, graphs, Callers(_key(settings))).serve()))
        heartbeat = Heartbeat(parts.dsn, queue.worker, lease_s, settings.heartbeat_s, settings.stall_s)
        yield Worker(parts.dsn, queue, parts.notices, executor, heartbeat, settings.worker_concurrency)


def _courier(settings: Settings, parts: _Parts, graphs: Graphs) -> "Courier":
    from privacy.sealer import Sealer
    from serving.webhooks.address import Networks
    from serving.webhooks.courier import Carriage, Courier
    from serving.webhooks.message import Messages

    def messages_of(tenant: str) -> Messages:
        runs = RunStore(parts.pool, parts.notices, tenant)
        return Messages(parts.pool, runs, parts.redactor.against(parts.vault.of(tenant)))

    networks, sealer, carriage = Networks(settings.webhook_networks), Sealer(_key(settings)), Carriage()
    if hosting := graphs.hosting:
        headers = hosting.webhooks.filled(settings.environ)
        carriage = Carriage(hosting.http.disable_webhooks, hosting.webhooks.url, headers)
    timing = settings.webhook_timeout_s, settings.webhook_retry_s
    return Courier(parts.pool, messages_of, sealer, networks, *timing, carriage)


def _clockwork(parts: _Parts, graphs: Graphs, callers: Callers) -> "Clockwork":
    from serving.crons.firing import Clockwork, Maker

    launches, profiles = Launches(parts.pool, parts.notices, callers), ProfileStore(parts.pool)
    assistants = AssistantStore(parts.pool, graphs)

    def maker_of(tenant: str) -> Maker:
        redactor = parts.redactor.against(parts.vault.of(tenant))
        return Maker(assistants.of(tenant), launches.of(tenant), profiles.of(tenant), redactor)

    return Clockwork(parts.pool, maker_of)


@contextmanager
def _running(work: Coroutine[Any, Any, None]) -> Iterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """The models that the settings choose. Raises SettingsError that names file, line and field."""
    routes = _routes(settings)
    models = models_for(routes, secret=_key(settings))
    if routes.offline:
        yield models
        return
    from serving.models.gateway import Gateway

    assert isinstance(models, Gateway)
    await models.open()
    try:
        yield models
    finally:
        await models.close()


def _by_tenant(models: Models) -> Callable[[str], Models]:
    from serving.models.gateway import Gateway

    return models.of if isinstance(models, Gateway) else lambda _: models


def _routes(settings: Settings) -> Routes:
    return select_routes(credentials_of(settings), settings.routes, settings.environ)


def credentials_of(settings: Settings) -> Credentials:
    return Credentials(
        anthropic_api_key=secret_of(settings.anthropic_api_key),
        openai_api_key=secret_of(settings.openai_api_key),
        gemini_api_key=secret_of(settings.gemini_api_key),
        openai_base_url=settings.openai_base_url,
        model=settings.model,
    )


def memory_store(dsn: str, home: Path) -> MemoryStore:
    embedder = HashingEmbedder()
    return MemoryStore(dsn, embedder.embed, embedder.dimensions, home)


def allowed_origins(settings: Settings) -> Origins:
    """Pages that the settings name, and those of langgraph.json. Raises SettingsError."""
    named = settings.cors_origins.split(",")
    cors = read_hosting(settings.config).http.cors if settings.config else None
    if cors is None:
        return Origins(named)
    origins, exposed = [*named, *cors.allow_origins], cors.expose_headers
    return Origins(origins, cors.allow_origin_regex, exposed, credentials=cors.allow_credentials)


def hosted_graphs(settings: Settings) -> Graphs:
    """Those of the langgraph.json that the settings name, and their environment. Raises SettingsError."""
    if settings.config is None:
        return Graphs()
    hosting = read_hosting(settings.config)
    for line in hosting.unused:
        log.warning("action=read_config file=%s: %s", settings.config, line)
    add_environment(hosting.env)
    return Graphs(hosting)


async def _open_stores(settings: Settings, pool: Pool, graphs: Graphs) -> Stores:
    if graphs.hosting and (index := graphs.hosting.store.index):
        await asyncio.to_thread(prepare_vectors, settings.database_url, index.dims)
    return Stores(pool, graphs.hosting)


def _open_branches(pool: Pool, key: bytes, tenant: str) -> "Branches":
    from serving.runs.checkpoints.branches import Branches

    return Branches(pool, key, tenant)


def _key(settings: Settings) -> bytes:
    return vault_key(secret_of(settings.vault_key), settings.home)
