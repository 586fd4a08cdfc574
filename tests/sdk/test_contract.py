"""Both documents hold, whatever is sent: requests that schemathesis makes from them, and bad input of every kind."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from tests.acceptance.conftest import Up
from tests.sdk.contract import Place, breaches, known_things

BASES: Final = ("", "/agent-protocol")
NOBODY: Final = "11111111-1111-1111-1111-111111111111"
JSON: Final = {"content-type": "application/json"}
BODIES: Final = (
    *(b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b'{"a": NaN}', b'{"a": 1e999}', b'{"a": %b}' % (b"9" * 5_000)),
    b'{"metadata": {"n": 1e25}, "value": {"n": 1e25}, "assistant_id": "slow", "graph_id": "slow", "input": 1e25}',
    *(b"[" * 5_000, b"[]", b'"x"', b"null", b"", b"{", b"\xff\xfe"),
    *(
        text.replace(b"HUGE", b"9" * 30)
        for text in (
            b'{"metadata": {"n": HUGE}, "filter": {"n": HUGE}, "value": {"n": HUGE}, "namespace": ["a"], "key": "k"}',
            b'{"assistant_id": "slow", "agent_id": "slow", "graph_id": "slow", "config": {"n": HUGE}, "input": HUGE}',
            b'{"last_seq": HUGE, "at": HUGE, "bounds": {"tokens": 1e300}, "plan": {"steps": []}, "version": HUGE}',
            b'{"goal": "x", "bounds": {"tokens": HUGE, "cost_usd": 1e300}, "priority": HUGE, "ttl": HUGE, "limit": -1}',
            b'{"thread_id": "x", "thread_ids": ["x"], "run_ids": ["x"], "assistant_id": "x", "agent_id": "x"}',
        )
    ),
)
NAMES: Final = ("%00", "x" * 9_000, "..%2f..", "%ED%A0%80", "%ff", "%F0%9F%98%80", "%0a", f"urn:uuid:{NOBODY}", "%25")
VALUES: Final = ("%00", "-1", "99999999999999999999", "NaN", "", "%ff", "maybe")
HEADERS: Final = ("9" * 40, "\xff\xfe", "x" * 5_000, "")
EVERYWHERE: Final = (
    *({"content-type": "application/xml"}, {"content-type": ""}, {"content-type": "application/json; charset=utf-16"}),
    *({"content-encoding": "gzip"}, {"authorization": "\xff"}, {"host": "[::"}, {"accept": "\xff"}),
)


@dataclass(frozen=True, slots=True)
class Target:
    method: str
    path: str
    takes_body: bool
    queries: tuple[str, ...]
    headers: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.method.upper()} {self.path}"

    def at(self, name: str) -> str:
        return re.sub(r"\{\w+\}", name, self.path)


def _target(path: str, method: str, operation: Mapping[str, Any]) -> Target:
    named = [(each["in"], each["name"]) for each in operation.get("parameters", ())]
    queries, headers = (tuple(name for where, name in named if where == kind) for kind in ("query", "header"))
    return Target(method, path, "requestBody" in operation, queries, headers)


@pytest.fixture(scope="module")
def known(server: Up) -> Mapping[str, str]:
    return known_things(server.url)


@pytest.fixture(scope="module")
def api(server: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def targets(api: httpx.Client) -> list[Target]:
    return [
        _target(base + path, method, operation)
        for base in BASES
        for path, methods in api.get(f"{base}/openapi.json").json()["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("base", BASES)
def test_no_request_that_schemathesis_makes_finds_a_breach(server: Up, known: Mapping[str, str], base: str) -> None:
    """Streams are followed for some seconds, and runs waited for as long: one may be told to begin in a year."""
    found = list(breaches(Place(server.url + base, known), examples=2))
    assert not found, "\n\n".join(found)


def test_a_bad_body_is_refused_and_told_of(api: httpx.Client, targets: list[Target]) -> None:
    for target in targets:
        for body in BODIES if target.takes_body else ():
            _check(target, api.request(target.method, target.at(NOBODY), content=body, headers=JSON), body[:60])


def test_a_bad_header_is_refused_or_passed_over(api: httpx.Client, targets: list[Target]) -> None:
    for at, target in enumerate(targets):
        body = b"{}" if target.takes_body else None
        own = [{name: value} for name in target.headers for value in HEADERS]
        for named in (*own, EVERYWHERE[at % len(EVERYWHERE)]):
            sent = {name.encode(): value.encode("latin-1") for name, value in {**JSON, **named}.items()}
            _check(target, api.request(target.method, target.at(NOBODY), content=body, headers=sent), named)


def test_a_bad_name_or_query_is_refused_or_passed_over(api: httpx.Client, targets: list[Target]) -> None:
    for target in targets:
        body: dict[str, Any] | None = {} if target.takes_body else None
        for name in NAMES if "{" in target.path else ():
            _check(target, api.request(target.method, target.at(name), json=body), name[:60])
        for query in (f"{name}={value}" for name in target.queries for value in VALUES):
            _check(target, api.request(target.method, f"{target.at(NOBODY)}?{query}", json=body), query)


def _check(target: Target, answer: httpx.Response, sent: object) -> None:
    told = (target.label, sent, answer.status_code, answer.text[:300])
    assert answer.status_code < 500, told
    if answer.status_code >= 400:
        error = answer.json()
        if target.path.startswith("/v1/"):
            assert set(error["error"]) == {"message", "type", "param", "code"}, told
        else:
            assert set(error) >= {"code", "message", "hint", "request_id"}, told
            assert answer.headers["x-request-id"] == error["request_id"], told
