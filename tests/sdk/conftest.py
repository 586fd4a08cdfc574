"""One real server for all tests of the SDK's clients."""

from collections.abc import AsyncIterator, Iterator

import pytest
from langgraph_sdk import get_client, get_sync_client
from langgraph_sdk.client import LangGraphClient, SyncLangGraphClient

from tests.acceptance.conftest import Up, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("sdk")) as stack:
        yield stack


@pytest.fixture
async def client(server: Up) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server.url) as client:
        yield client


@pytest.fixture
def sync_client(server: Up) -> Iterator[SyncLangGraphClient]:
    with get_sync_client(url=server.url) as client:
        yield client
