"""LangGraph's JavaScript SDK on Node, React's `useStream` in it, against the same server as the Python clients.

The tests themselves are in `tests/sdk/javascript`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.conftest import Server
from tests.sdk.compatibility.recorder import Recorder

HERE: Final = Path(__file__).parent / "javascript"
NEWEST: Final = "@langchain/langgraph-sdk"
EVERY: Final = tuple(sorted(path.name for path in HERE.glob("*.test.js")))
# What npm calls the latest is older than the newest, and lacks some methods of it.
CASES: Final = {NEWEST: EVERY, "langgraph-sdk-latest": ("interrupts.test.js", "streams.test.js", "use_stream.test.js")}
_UNREACHABLE: Final = re.compile(r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH)\b")


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the packages of package-lock.json beside the tests."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip("no node and npm here: apt-get install nodejs npm (Node 20 or later)")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"Node 20 or later is needed, here is {version.strip()}")
    install(npm, HERE)
    return node


def install(npm: str, where: Path) -> None:
    """Fetches nothing when what is there is what the lock says."""
    lock, there = where / "package-lock.json", where / "node_modules" / ".package-lock.json"
    if there.exists() and there.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and (unreachable := _UNREACHABLE.search(done.stderr)):
        pytest.skip(f"npm can't fetch the packages: {unreachable[0]}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("sdk", CASES)
def test_the_sdk_finds_what_it_expects(
    node: str, server: Server, sdk: str, recorder: Recorder | None, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    environment = os.environ | {"TRIREME_URL": server.url, "SDK": sdk}
    if recorder and sdk == NEWEST:
        environment["SDK_CALLS"] = str(calls)
    command = [node, "--test", "--test-concurrency=2", "--test-reporter=spec", *CASES[sdk]]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=240, check=False)
    _, _, failures = done.stdout.partition("failing tests:")
    assert done.returncode == 0, failures or done.stdout + done.stderr
    if recorder and calls.exists():
        recorder.javascript(calls.read_text().splitlines())


def test_the_lock_names_no_place_to_fetch_from() -> None:
    assert "://" not in (HERE / "package-lock.json").read_text()
