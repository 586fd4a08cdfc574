"""schemathesis over a server's own document: requests are made from it, and answers held against it.

By hand, against a server that runs: `python -m tests.sdk.contract http://127.0.0.1:8123 --examples 100 --seed 7`; and
its own phases over each document, `st run http://127.0.0.1:8123/openapi.json --phases coverage,stateful`.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# What is asked for may take as long as it likes: a run that begins in a year, or one that streams.
_WAITS: Final = ("/stream", "/wait", "/join", "/events", "/completions", "/responses", "/runs", "/commands")
_NO_HTTP: Final = b"Invalid HTTP request received."  # uvicorn's, before anybody else has seen it
_PATIENCE_S: Final = {True: 3.0, False: 60.0}  # of what waits, and of all else


@dataclass(frozen=True, slots=True)
class Place:
    """A server's API under `url`, and ids of things that are there, by the name of the parameter that takes them."""

    url: str
    known: Mapping[str, str]


def breaches(place: Place, examples: int, number: int = 1, only: str = "") -> Iterator[str]:
    """`examples` requests of each kind (as the document wants them, and not) to every operation, always the same ones
    for a `number`. Yields what was wrong: once for each operation and kind."""
    schema = schemathesis.openapi.from_url(f"{place.url}/openapi.json")
    session = requests.Session()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        if only in operation.label:
            yield from _breaches(place, session, operation, GenerationMode.POSITIVE, examples, number)
            if operation.body or operation.query:  # a text in a path can't be of the wrong kind
                yield from _breaches(place, session, operation, GenerationMode.NEGATIVE, examples, number)


def _breaches(
    place: Place,
    session: requests.Session,
    operation: Any,
    mode: GenerationMode,
    examples: int,
    number: int,
) -> Iterator[str]:
    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(operation.as_strategy(generation_mode=mode))
    def holds(case: Case[Any]) -> None:
        _send(case, place, session)

    try:
        with suppress(Unsatisfiable):  # there is nothing in such a request that could be wrong
            holds()
    except FailureGroup as group:
        said = "; ".join(f"{type(each).__name__}: {each}" for each in group.exceptions)
        yield f"{operation.label} ({mode.value}): {said}"


def _send(case: Case[Any], place: Place, session: requests.Session) -> None:
    """Every other time for a thing that is there."""
    if len(str(case.path_parameters)) % 2:
        case.path_parameters = {**case.path_parameters, **_of(place.known, case.path_parameters)}
    if isinstance(case.body, dict) and len(str(case.body)) % 2:
        case.body = {**case.body, **_of(place.known, case.body)}
    waits = case.path.endswith(_WAITS)
    try:
        response = case.call(session=session, timeout=_PATIENCE_S[waits])
    except requests.Timeout:
        assert waits, case.as_curl_command()
        return
    if response.content != _NO_HTTP:
        case.validate_response(response, checks=CHECKS)


def _of(known: Mapping[str, str], given: Mapping[str, Any]) -> Mapping[str, str]:
    return {name: value for name, value in known.items() if name in given}


def known_things(url: str) -> Mapping[str, str]:
    """Makes an assistant, and a thread with a run that has ended: to have ids that are there, and nobody else's."""
    with httpx.Client(base_url=url, timeout=60) as client:
        thread = client.post("/threads", json={}).json()["thread_id"]
        assistant = client.post("/assistants", json={"graph_id": "slow", "name": "for requests of any kind"}).json()
        asked = {"assistant_id": assistant["assistant_id"], "input": {"steps": 1}}
        run = client.post(f"/threads/{thread}/runs", json=asked).json()
        client.get(f"/threads/{thread}/runs/{run['run_id']}/join")
        state = client.get(f"/threads/{thread}/state").json()
    agents = {"assistant_id": run["assistant_id"], "agent_id": run["assistant_id"], "graph_id": "slow"}
    named = {"thread_id": thread, "run_id": run["run_id"], "checkpoint_id": state["checkpoint_id"]}
    return {**named, **agents, "channel": "contract", "model": "slow"}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="operations with this in their method or path")
    asked = parser.parse_args()
    began, count = time.monotonic(), 0
    for base in ("", "/agent-protocol"):
        place = Place(asked.url + base, known_things(asked.url))
        for breach in breaches(place, asked.examples, asked.seed, asked.only):
            count += 1
            print(breach, end="\n\n", flush=True)
    print(f"{count} breaches in {time.monotonic() - began:.0f} s")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
