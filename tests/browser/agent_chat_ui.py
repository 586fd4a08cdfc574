"""agent-chat-ui, the real one, in Chromium: `make test-browser`, since to build it takes minutes.

The app is the Next.js template of `create-agent-chat-app` on npm, unchanged. What a person does on its pages, and what
they show, is in `tests/browser/chat_ui/agent_chat_ui.test.js`.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.acceptance.conftest import Server, end, running, wait_for_line
from tests.node import node_with, run_tests

HERE: Final = Path(__file__).parent / "chat_ui"
NEXT: Final = HERE / "node_modules" / "next" / "dist" / "bin" / "next"


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    return found or pytest.skip("there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def node(chromium: str) -> str:
    """Node, and the app built of the packages of the lock."""
    node = node_with(HERE)
    built = HERE / "app" / ".next" / "BUILD_ID"
    if not built.exists() or built.stat().st_mtime < (HERE / "package-lock.json").stat().st_mtime:
        subprocess.run([node, "build.js"], cwd=HERE, check=True, timeout=900)
    return node


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("up"), TRIREME_CONFIG=str(HERE.parent / "langgraph.json")) as server:
        yield server


@pytest.fixture(scope="module")
def app(node: str) -> Iterator[str]:
    """Where the app is served."""
    command = [node, str(NEXT), "start", "-H", "127.0.0.1", "-p", "0"]
    environment = os.environ | {"NEXT_TELEMETRY_DISABLED": "1"}
    process = subprocess.Popen(
        command, cwd=HERE / "app", env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        address = re.search(r"http://\S+", wait_for_line(process, "Local:"))
        assert address
        wait_for_line(process, "Ready")
        yield address[0]
    finally:
        end(process)


@pytest.mark.timeout(2_200)  # npm and Node have 600 each, the page's build 900
def test_agent_chat_ui_chats_streams_asks_and_resumes(
    node: str, app: str, server: Server, chromium: str, tmp_path: Path
) -> None:
    places = {"TRIREME_URL": server.url, "CHAT_URL": app, "CHROMIUM": chromium, "SCREENSHOTS": str(tmp_path)}
    run_tests(node, HERE, ["agent_chat_ui.test.js"], os.environ | places)
