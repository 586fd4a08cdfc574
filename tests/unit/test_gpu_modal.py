"""The Modal app: defined offline without an account, complete, and with times that a model server needs."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import httpx
import modal
import pytest

from gpu import modal_app
from gpu.engines import DRAIN_SECONDS, ENGINES, QWEN3_5_4B
from gpu.errors import EngineError
from gpu.modal_app import ServerSettings, VllmServer
from gpu.probe import is_healthy
from tests.ports import free_port

SERVERS = [server for server in vars(modal_app).values() if isinstance(server, modal.Server)]
CLASSES = VllmServer.__subclasses__()

every_settings = pytest.mark.parametrize(
    "settings", [server.settings for server in CLASSES], ids=lambda settings: settings.engine.name
)


def test_each_engine_of_the_catalogue_has_one_server() -> None:
    assert sorted(server.settings.engine.name for server in CLASSES) == sorted(engine.name for engine in ENGINES)
    assert len(SERVERS) == len(CLASSES)


@every_settings
def test_the_start_may_take_as_long_as_loading_a_model_does(settings: ServerSettings) -> None:
    assert settings.startup_timeout >= 20 * 60
    assert 0 < settings.health_timeout < settings.startup_timeout


@every_settings
def test_a_container_that_ends_has_time_to_drain(settings: ServerSettings) -> None:
    assert settings.exit_grace_period > DRAIN_SECONDS + 5


@every_settings
def test_a_deployment_demands_the_key_and_the_revision(settings: ServerSettings) -> None:
    assert settings.secret_keys == ["VLLM_API_KEY", settings.engine.revision_variable]


@every_settings
def test_the_gpu_asked_for_is_the_engines_gpu(settings: ServerSettings) -> None:
    kind, count = settings.gpu.split(":")
    assert (kind, int(count)) == (settings.engine.gpu.kind, settings.engine.gpu.count)


@every_settings
def test_cost_is_bounded_and_idle_servers_scale_down(settings: ServerSettings) -> None:
    assert 1 <= settings.max_containers <= 8
    assert 60 <= settings.scaledown_window <= 20 * 60
    assert settings.target_concurrency == settings.engine.max_num_seqs


@pytest.mark.parametrize("server", CLASSES, ids=lambda server: str(server.__name__))
async def test_a_container_without_key_and_revision_refuses_to_start(
    server: type[VllmServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    start = cast(Callable[[], Awaitable[None]], server().start)
    with pytest.raises(EngineError, match="VLLM_API_KEY"):
        await start()
    monkeypatch.setenv("VLLM_API_KEY", "k")
    monkeypatch.delenv(server.settings.engine.revision_variable, raising=False)
    with pytest.raises(EngineError, match=server.settings.engine.revision_variable):
        await start()


# Stands where the image has vLLM: takes the same command line and answers /health.
PROGRAM = """#!{python}
import http.server, sys
assert sys.argv[1:3] == ["serve", "Qwen/Qwen3.5-4B"]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404); self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args): pass
http.server.HTTPServer(("0.0.0.0", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


async def test_a_container_starts_its_server_waits_for_it_and_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()

    class Trial(VllmServer):
        settings = ServerSettings(engine=QWEN3_5_4B, port=port)

    program = tmp_path / "vllm"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VLLM_API_KEY", "k")
    monkeypatch.setenv(QWEN3_5_4B.revision_variable, "0" * 40)
    trial = Trial()
    await cast(Callable[[], Awaitable[None]], trial.start)()
    async with httpx.AsyncClient() as client:
        assert await is_healthy(client, f"http://127.0.0.1:{port}")
        await cast(Callable[[], Awaitable[None]], trial.stop)()
        assert not await is_healthy(client, f"http://127.0.0.1:{port}")


def test_it_imports_without_an_account_and_without_a_network(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise SystemExit('the import opened a connection')\n"
        "socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse\n"
        "import gpu.modal_app as m; print(m.app.name)"
    )
    root = Path(modal_app.__file__).parents[1]
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(root), "MODAL_CONFIG_PATH": str(tmp_path / "none.toml")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "trireme-vllm", "")
