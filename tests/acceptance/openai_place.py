"""What the tests with OpenAI's own client share: a stack with documents, and the client on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from openai import OpenAI

from tests.acceptance.conftest import Up

QUESTION = "What is the speed limit in the harbour?"
HARBOUR = "# Harbour\n\nThe speed limit in the harbour is 3 knots. A berth costs 48 EUR a night.\n"
COLLECTION = "harbour"


@contextmanager
def client_of(up: Up) -> Iterator[OpenAI]:
    document = {"path": "harbour.md", "digest": "1", "media_type": "text/markdown", "sections": [{"text": HARBOUR}]}
    stored = httpx.put(f"{up.url}/collections/{COLLECTION}/documents", json={"documents": [document]}, timeout=60)
    assert stored.status_code == 200, stored.text
    with OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def openai(up: Up) -> Iterator[OpenAI]:
    with client_of(up) as client:
        yield client


def status_of(up: Up, run_id: str) -> str:
    return str(httpx.get(f"{up.url}/runs/{run_id}", timeout=30).json()["status"])
