"""What a forked process does: it becomes a worker, an API or a prune, as `trireme worker`, `serve` and `prune` are.

Only the world around them is another: the model is scripted, and the tools call the counter.
"""

import asyncio
import ctypes
import os
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1


def prepare() -> None:
    """Imports all that a worker and an API ever import. Runs once, before any fork."""
    import serving.api.app
    import serving.cli.retention
    import serving.documents.tables
    import serving.processes.serve
    import serving.runs.attempts.deps
    import serving.runs.attempts.worker
    import serving.telemetry.export
    import serving.wiring  # noqa: F401
    from graph.build import build
    from memory.engine import _import_mem0
    from privacy.detect import Detector
    from tests.chaos import models, planted, tools  # noqa: F401

    _import_mem0(Path(os.environ["TRIREME_HOME"]) / "mem0")
    build().compile()
    Detector().detect("write to someone@example.com")


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def child(asked: dict[str, Any], listeners: list[socket.socket]) -> NoReturn:
    """Never returns: ends the process with its exit code."""
    from graph.faults import install
    from tests.chaos.planted import PLANTS
    from tests.chaos.points import Recorder

    code = 1
    try:
        kind = asked["kind"]
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ["PGAPPNAME"] = f"chaos-{kind}-{os.getpid()}"
        if "planted" in asked:
            PLANTS[asked["planted"]]()
        install(Recorder(Path(asked["notes"]), asked.get("faults", "")))
        code = asyncio.run(_work(kind, asked, listeners))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _work(kind: str, asked: dict[str, Any], listeners: list[socket.socket]) -> int:
    match kind:
        case "worker":
            return await _worker(asked)
        case "prune":
            return await _prune()
    return await _api(asked, listeners)


async def _prune() -> int:
    from serving.cli.retention import prune

    return await prune(dry_run=False, json=True)


async def _worker(asked: dict[str, Any]) -> int:
    from serving.processes.serve import serve_worker

    _surround(asked["counter"])
    return await serve_worker()


async def _api(asked: dict[str, Any], listeners: list[socket.socket]) -> int:
    from serving.processes.serve import serve_api

    return await serve_api(None, None, os.dup(listeners[asked["listener"]].fileno()))


def _surround(counter: str) -> None:
    """Puts the scripted model and the counting tools where a deployment has its own."""
    from serving import wiring
    from serving.models.offline import OfflineModel
    from tests.chaos.counter import Wire
    from tests.chaos.models import ChaosModels
    from tests.chaos.tools import stamps

    attempts: Any = import_module("serving.runs.attempts.deps")  # the name it took in from elsewhere is replaced
    wire, shipped = Wire(counter), attempts.builtin_tools

    @asynccontextmanager
    async def models(*_: Any) -> AsyncIterator[ChaosModels]:
        yield ChaosModels(OfflineModel(), wire)

    wiring.open_models = models  # type: ignore[assignment]
    attempts.builtin_tools = lambda *ports: (*shipped(*ports), *stamps(wire))
