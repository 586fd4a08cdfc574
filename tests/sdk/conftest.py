"""One real server process with four graphs of our own and one that is broken, and LangGraph's own clients to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Home, Up, end, wait_for_line

CONFIG = Path(__file__).parent / "langgraph.json"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`trireme up --config`, with short leases, so that take-overs are quick."""
    settings = {"TRIREME_PORT": "0", "TRIREME_LEASE_S": "3", "TRIREME_HEARTBEAT_S": "0.5"}
    home = Home(tmp_path_factory.mktemp("sdk"), settings)
    process = home.start("up", "--config", str(CONFIG))
    try:
        url = wait_for_line(process, "API").split()[1]
        wait_for_line(process, "Ctrl-C stops")
        yield Up(home, url, process)
    finally:
        end(process)


@pytest.fixture
async def client(server: Up) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
def sync_client(server: Up) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=server.url, api_key=None) as client:
        yield client


@pytest.fixture
async def thread(client: LangGraphClient) -> str:
    """A new thread's id."""
    return (await client.threads.create())["thread_id"]
