"""A real server with graphs of our own and one that is broken, and LangGraph's own clients to it.

It is one `trireme up`, or with --cluster two API processes and two workers behind a round-robin.
"""

from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Server, running
from tests.conftest import fresh_database
from tests.sdk.cluster import Cluster, cluster
from tests.sdk.compatibility.page import write
from tests.sdk.compatibility.recorder import Recorder
from tests.sdk.compatibility.surface import SIDES
from tests.sdk.in_step import InStep

CONFIG = Path(__file__).parent / "langgraph.json"
RECORDER = pytest.StashKey[Recorder]()
# Short leases, so that take-overs are quick.
SETTINGS = {
    "TRIREME_CONFIG": str(CONFIG),
    "TRIREME_LEASE_S": "3",
    "TRIREME_HEARTBEAT_S": "0.5",
    "TRIREME_WEBHOOK_NETWORKS": "127.0.0.1",
}


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    if request.config.getoption("--cluster"):
        yield request.getfixturevalue("clustered")
        return
    with (
        fresh_database(template_database) as dsn,
        running(tmp_path_factory.mktemp("sdk"), DATABASE_URL=dsn, **SETTINGS) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def clustered(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with (
        fresh_database(template_database) as dsn,
        cluster(tmp_path_factory.mktemp("cluster"), dsn, **SETTINGS) as members,
    ):
        yield members


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """For the page, a test of the async client is a test of the sync one too."""
    if metafunc.config.getoption("--compatibility") and "client" in metafunc.fixturenames:
        metafunc.parametrize("client", SIDES, indirect=True)


@pytest.fixture
async def client(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=None) as client:
        if getattr(request, "param", "async") == "async":
            yield client
            return
        with get_sync_client(url=server.url, api_key=None) as sync, ThreadPoolExecutor(64) as threads:
            yield InStep(sync, client, threads)  # type: ignore[misc]


@pytest.fixture(scope="session", autouse=True)
def recorder(request: pytest.FixtureRequest) -> Iterator[Recorder | None]:
    """With --compatibility, what the tests call becomes the page."""
    if not request.config.getoption("--compatibility"):
        yield None
        return
    recorder = request.config.stash[RECORDER] = Recorder()
    recorder.begin()
    yield recorder
    recorder.end()
    write(recorder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    report = (yield).get_result()
    if report.failed and (recorder := item.config.stash.get(RECORDER, None)):
        recorder.failed.add(item.nodeid.partition("[")[0].rpartition("/")[2])


@pytest.fixture
def sync_client(server: Server) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
async def thread(client: LangGraphClient) -> str:
    """A new thread's id."""
    return (await client.threads.create())["thread_id"]
