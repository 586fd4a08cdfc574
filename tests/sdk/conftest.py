"""A real server with graphs of our own and one that is broken, and LangGraph's own clients to it.

It is one `trireme up`, or with --cluster two API processes and two workers behind a round-robin.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Home, Server, Up, end, wait_for_line
from tests.conftest import fresh_database
from tests.sdk.cluster import Cluster, cluster

CONFIG = Path(__file__).parent / "langgraph.json"


# Short leases, so that take-overs are quick.
SETTINGS = {"TRIREME_CONFIG": str(CONFIG), "TRIREME_LEASE_S": "3", "TRIREME_HEARTBEAT_S": "0.5"}


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if request.config.getoption("--cluster"):
        yield request.getfixturevalue("clustered")
        return
    with alone(tmp_path_factory.mktemp("sdk"), **SETTINGS) as server:
        yield server


@pytest.fixture(scope="session")
def clustered(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with (
        fresh_database(template_database) as dsn,
        cluster(tmp_path_factory.mktemp("cluster"), dsn, **SETTINGS) as members,
    ):
        yield members


@contextmanager
def alone(path: Path, **settings: str) -> Iterator[Up]:
    """`trireme up --config`."""
    home = Home(path, {"TRIREME_PORT": "0", **settings})
    process = home.start("up", "--config", settings["TRIREME_CONFIG"])
    try:
        url = wait_for_line(process, "API").split()[1]
        wait_for_line(process, "Ctrl-C stops")
        yield Up(home, url, process)
    finally:
        end(process)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
def sync_client(server: Server) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
async def thread(client: LangGraphClient) -> str:
    """A new thread's id."""
    return (await client.threads.create())["thread_id"]
