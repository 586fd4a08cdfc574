"""The HTTP application in a test's own process, without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import httpx

from memory.store import MemoryStore
from privacy.detect import Detector
from privacy.redact import Redactor
from serving.api.app import create_app
from serving.api.stream import Tails
from serving.api.thread_tails import ThreadTails
from serving.assistants.store import AssistantStore
from serving.auth.callers import Callers
from serving.crons.store import CronStore
from serving.database import open_row_pool
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.hosting.graphs import Graphs
from serving.idempotency import Idempotency
from serving.items.stores import Stores
from serving.keys.lookup import Keys
from serving.profiles.store import ProfileStore
from serving.runs.launches import Launches
from serving.services import ApiServices
from serving.threads.places import Places
from serving.threads.saved import Saved
from serving.threads.states import States
from serving.threads.store import ThreadStore
from serving.vault import PostgresVault
from serving.webhooks.delivery import Deliveries
from tests.integration.run_house import KEY, House


@asynccontextmanager
async def open_api(house: House, memory: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    """On the house's database."""
    vault, graphs = PostgresVault(house.dsn, KEY), Graphs()
    redactor, stores = Redactor(Detector(), vault), Stores(house.pool)
    tails = Tails(house.pool)
    async with open_row_pool(house.dsn) as rows:
        services = ApiServices(
            pool=house.pool,
            runs=house.store,
            controls=house.controls,
            decisions=house.decisions,
            forks=house.forks,
            tails=tails,
            thread_tails=ThreadTails(house.pool, tails),
            redactor=redactor,
            vault=vault,
            documents=DocumentStore(rows, HashingEmbedder()),
            memory=memory,
            assistants=AssistantStore(house.pool, graphs),
            threads=ThreadStore(house.pool),
            places=Places(house.pool),
            states=States(house.pool, graphs, Saved(house.pool, KEY), stores, redactor),
            stores=stores,
            graphs=graphs,
            launches=Launches(house.pool, house.notices, Callers(KEY)),
            crons=CronStore(house.pool),
            profiles=ProfileStore(house.pool),
            keys=Keys(house.pool),
            idempotency=Idempotency(house.pool),
            deliveries=Deliveries(house.pool),
        )
        app = create_app(lambda: nullcontext(services))
        app.state.services = services
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            yield client
    vault.close()
