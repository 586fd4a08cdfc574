"""The process that serves a model: real subprocesses, real sockets, real signals."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from gpu.engines import ENGINES, QWEN3_5_4B, Engine, launch_arguments
from gpu.errors import EngineError, EngineUnavailable
from gpu.process import EngineProcess, command
from tests.ports import free_port

REVISION = "0123456789abcdef0123456789abcdef01234567"

# Answers /health after some time, like a server that loads a model; its child outlives it unless the group is ended.
LOADER = """
import http.server, pathlib, signal, subprocess, sys, time
port, seconds, child_file, on_term = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(child_file).write_text(str(child.pid))
if on_term == "ignore":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *args): pass
time.sleep(seconds)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def loader(tmp_path: Path, port: int, seconds: float, on_term: str = "end") -> list[str]:
    return [sys.executable, "-c", LOADER, str(port), str(seconds), str(tmp_path / "child"), on_term]


def is_running(pid: int) -> bool:
    """A zombie has ended: in a container without an init nobody may ever reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ended(pid: int) -> bool:
    for _ in range(1_500):
        if not is_running(pid):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_it_waits_for_health_and_stop_ends_the_server_and_its_children(tmp_path: Path) -> None:
    port = free_port()
    process = EngineProcess(loader(tmp_path, port, seconds=0.3))
    await process.until_healthy(f"http://127.0.0.1:{port}", timeout_s=60, poll_s=0.05)
    child = int((tmp_path / "child").read_text())
    assert is_running(child)
    assert await process.stop(grace_s=30) == -15
    assert await ended(child)
    assert await process.stop(grace_s=30) == -15


async def test_a_server_that_ignores_the_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    port = free_port()
    process = EngineProcess(loader(tmp_path, port, seconds=0, on_term="ignore"))
    await process.until_healthy(f"http://127.0.0.1:{port}", timeout_s=60, poll_s=0.05)
    begun = time.monotonic()
    assert await process.stop(grace_s=0.3) == -9
    assert 0.3 <= time.monotonic() - begun < 20


async def test_a_server_that_dies_while_loading_is_reported_with_its_status() -> None:
    process = EngineProcess([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EngineUnavailable, match="status 3 while loading"):
        await process.until_healthy(f"http://127.0.0.1:{free_port()}", timeout_s=60, poll_s=0.05)


async def test_a_server_that_never_gets_healthy_is_stopped_and_the_time_is_named(tmp_path: Path) -> None:
    process = EngineProcess(loader(tmp_path, free_port(), seconds=60))
    with pytest.raises(EngineUnavailable, match=r"not healthy after 0\.4 s"):
        await process.until_healthy(f"http://127.0.0.1:{free_port()}", timeout_s=0.4, poll_s=0.05)
    assert await ended(process.pid)


def test_a_missing_program_is_named() -> None:
    with pytest.raises(EngineError, match="can't start 'vllm-that-is-not-there'"):
        EngineProcess(["vllm-that-is-not-there"])


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_command_takes_its_revision_from_the_engines_own_variable(engine: Engine) -> None:
    environment = {"VLLM_API_KEY": "k", engine.revision_variable: REVISION}
    assert command(engine, "0.0.0.0", 8000, environment) == launch_arguments(engine.pinned(REVISION), "0.0.0.0", 8000)


def test_no_server_starts_without_a_key() -> None:
    with pytest.raises(EngineError, match="VLLM_API_KEY"):
        command(QWEN3_5_4B, "0.0.0.0", 8000, {QWEN3_5_4B.revision_variable: REVISION})


def test_no_server_starts_without_a_revision() -> None:
    with pytest.raises(EngineError, match="QWEN3_5_4B_REVISION"):
        command(QWEN3_5_4B, "0.0.0.0", 8000, {"VLLM_API_KEY": "k"})
    assert "QWEN3_5_4B_REVISION" not in os.environ
