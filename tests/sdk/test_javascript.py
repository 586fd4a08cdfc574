"""LangGraph's JavaScript SDK on Node, React's `useStream` in it, against the same server as the Python clients.

The tests themselves are in `tests/sdk/javascript`.
"""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.conftest import Server
from tests.node import node_with, run_tests
from tests.sdk.compatibility.recorder import Recorder

HERE: Final = Path(__file__).parent / "javascript"
NEWEST: Final = "@langchain/langgraph-sdk"
EVERY: Final = tuple(sorted(path.name for path in HERE.glob("*.test.js")))
# What npm calls the latest is older than the newest, and lacks some methods of it.
CASES: Final = {NEWEST: EVERY, "langgraph-sdk-latest": ("interrupts.test.js", "streams.test.js", "use_stream.test.js")}


@pytest.fixture(scope="session")
def node() -> str:
    return node_with(HERE)


@pytest.mark.timeout(1_300)  # npm and Node have 600 each
@pytest.mark.parametrize("sdk", CASES)
def test_the_sdk_finds_what_it_expects(
    node: str, server: Server, sdk: str, recorder: Recorder | None, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    environment = os.environ | {"TRIREME_URL": server.url, "SDK": sdk}
    if recorder and sdk == NEWEST:
        environment["SDK_CALLS"] = str(calls)
    run_tests(node, HERE, CASES[sdk], environment, concurrency=2)
    if recorder and calls.exists():
        recorder.javascript(calls.read_text().splitlines())


@pytest.mark.parametrize("lock", [HERE, HERE.parents[1] / "browser" / "chat_ui"], ids=["sdk", "chat_ui"])
def test_the_lock_names_no_place_to_fetch_from(lock: Path) -> None:
    assert "://" not in (lock / "package-lock.json").read_text()
