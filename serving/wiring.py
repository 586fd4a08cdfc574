"""The composition root: which part gets which. The only place that knows them all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from graph.ports import Models
from privacy.detect import Detector
from privacy.redact import Redactor
from serving.api.stream import Tails
from serving.database import open_pool, open_row_pool, worker_name
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.migrate import migrate
from serving.models.select import Credentials, models_for, select_routes
from serving.runs.notices import LOG_CHANNEL, Notices, listen
from serving.runs.queue import Queue
from serving.runs.store import RunStore
from serving.services import ApiServices
from serving.settings import Settings
from serving.vault import PostgresVault, vault_key

if TYPE_CHECKING:
    from memory.store import MemoryStore
    from serving.runs.worker import Worker


@asynccontextmanager
async def open_api_services(settings: Settings) -> AsyncIterator[ApiServices]:
    dsn = settings.database_url
    await asyncio.to_thread(migrate, dsn)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(dsn))
        rows = await stack.enter_async_context(open_row_pool(dsn))
        notices, tails = Notices(pool), Tails(pool)
        vault = PostgresVault(dsn, _key(settings))
        stack.callback(vault.close)
        memory = memory_store(dsn, settings.home)
        stack.push_async_callback(memory.close)
        for part in (notices.serve(), listen(dsn, {LOG_CHANNEL: tails.heard})):
            stack.callback(asyncio.create_task(part).cancel)
        yield ApiServices(
            pool=pool,
            runs=RunStore(pool, notices),
            tails=tails,
            redactor=Redactor(Detector(), vault),
            vault=vault,
            documents=DocumentStore(rows, HashingEmbedder()),
            memory=memory,
        )


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator["Worker"]:
    from graph.build import build
    from serving.documents.tables import Databases
    from serving.runs.attempts import AttemptDeps
    from serving.runs.checkpoints import prepare_checkpoints
    from serving.runs.execute import Executor
    from serving.runs.worker import Worker
    from serving.telemetry.export import exporter_of

    dsn = settings.database_url
    await asyncio.to_thread(migrate, dsn)
    await prepare_checkpoints(dsn)
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(open_models(settings))
        pool = await stack.enter_async_context(open_pool(dsn, largest=settings.worker_concurrency + 4))
        rows = await stack.enter_async_context(open_row_pool(dsn))
        vault = PostgresVault(dsn, _key(settings))
        stack.callback(vault.close)
        memory = memory_store(dsn, settings.home)
        stack.push_async_callback(memory.close)
        queue, notices = Queue(pool, worker_name(), settings.lease_s), Notices(pool)
        make_deps = AttemptDeps(
            pool=pool,
            models=models,
            documents=DocumentStore(rows, HashingEmbedder()),
            databases=Databases(),
            memory=memory,
            vault=vault,
            redactor=Redactor(Detector(), vault),
            settings=settings,
        )
        if exporter := exporter_of(settings, pool):
            await stack.enter_async_context(exporter.running())
        executor = Executor(pool, queue, notices, build(), make_deps)
        yield Worker(dsn, queue, notices, executor, settings.heartbeat_s, settings.worker_concurrency)


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """The models that the settings choose. Raises SettingsError that names file, line and field."""
    routes = select_routes(credentials_of(settings), settings.routes, settings.environ)
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


def credentials_of(settings: Settings) -> Credentials:
    def secret(name: str) -> str:
        value = getattr(settings, name)
        return value.get_secret_value() if value else ""

    return Credentials(
        anthropic_api_key=secret("anthropic_api_key"),
        openai_api_key=secret("openai_api_key"),
        gemini_api_key=secret("gemini_api_key"),
        openai_base_url=settings.openai_base_url,
        model=settings.model,
    )


def memory_store(dsn: str, home: Path) -> "MemoryStore":
    from memory.store import MemoryStore

    embedder = HashingEmbedder()
    return MemoryStore(dsn, embedder.embed, embedder.dimensions, home)


def _key(settings: Settings) -> bytes:
    given = settings.vault_key.get_secret_value() if settings.vault_key else ""
    return vault_key(given, settings.home)
