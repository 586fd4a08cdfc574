"""Which pages may use the server from a browser, and what they are told."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from serving.api.cors import Cors, Origins
from serving.api.failures import install_failures

STUDIO = "https://smith.langchain.com"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install_failures(app)
    app.add_middleware(Cors, origins=Origins(["https://app.example.com/", " https://b.example.com"]))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize(
    "origin", [STUDIO, "http://localhost:3000", "http://127.0.0.1", "http://[::1]:5173", "https://app.example.com"]
)
async def test_a_preflight_of_a_page_that_may_is_granted_what_it_asks_for(
    client: httpx.AsyncClient, origin: str
) -> None:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "content-type,last-event-id,x-api-key",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = await client.options("/runs", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == origin
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "last-event-id" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-private-network"] == "true"
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "http://localhost.evil.example.com", "https://app.example.com.evil.com"],
)
async def test_a_preflight_of_another_page_is_granted_nothing(client: httpx.AsyncClient, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = await client.options("/runs", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "trusted"),
    [
        ("https://app.example.com", "true"),
        ("https://x.example.org", "true"),
        ("https://anything.example.net", None),
        ("http://localhost:3000", None),
        (STUDIO, None),
    ],
)
async def test_only_pages_that_are_named_may_send_credentials(origin: str, trusted: str | None) -> None:
    origins = Origins(["https://app.example.com", "*"], r"https://.*\.example\.org", credentials=True)
    app = FastAPI()
    app.add_middleware(Cors, origins=origins)
    transport, ask = httpx.ASGITransport(app), {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for answer in (await client.options("/runs", headers=ask), await client.get("/runs", headers=ask)):
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers.get("access-control-allow-credentials") == trusted


def test_an_operator_may_name_all_origins_a_pattern_and_more_headers() -> None:
    assert Origins(["*"]).admits("https://anything.example.org")
    pattern = Origins(pattern=r"https://.*\.example\.com", exposed=["X-Mine"])
    assert pattern.admits("https://a.example.com")
    assert not pattern.admits("https://a.example.com.evil.org")
    assert pattern.exposed.endswith("x-mine")
