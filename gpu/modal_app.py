"""The Modal app: one autoscaled vLLM server an engine. Deploy with `modal deploy -m gpu.modal_app`.

It needs one Modal secret, `trireme-vllm`, with VLLM_API_KEY and each engine's revision (QWEN3_5_4B_REVISION=<commit>).
Modal refuses the deployment while a key is missing. Callers send Modal's proxy token beside the API key. It keeps a
thread on one replica by the header that a route names in its `model_info`: `affinity_header: Modal-Session-ID`.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import modal

from gpu.engines import (
    API_KEY_VARIABLE,
    DRAIN_SECONDS,
    GPT_OSS_20B,
    QWEN3_5_4B,
    QWEN3_6_35B,
    VLLM_VERSION,
    Engine,
)
from gpu.process import EngineProcess, command

SECRET_NAME = "trireme-vllm"
HUB_CACHE = "/root/.cache/huggingface"
VLLM_CACHE = "/root/.cache/vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How Modal runs one engine. Times in seconds.

    The first start downloads the weights and compiles: far beyond Modal's 30 s. Later ones find both in the volumes.
    """

    engine: Engine
    port: int = 8000
    startup_timeout: int = 30 * 60
    scaledown_window: int = 10 * 60
    max_containers: int = 4
    exit_grace_period: int = DRAIN_SECONDS + 15

    @property
    def gpu(self) -> str:
        return f"{self.engine.gpu.kind}:{self.engine.gpu.count}"

    @property
    def target_concurrency(self) -> int:
        """As many as the scheduler runs at once: beyond it requests would wait, so the next container starts."""
        return self.engine.max_num_seqs

    @property
    def secret_keys(self) -> list[str]:
        return [API_KEY_VARIABLE, self.engine.revision_variable]

    @property
    def health_timeout(self) -> int:
        """Ends before Modal's own limit, so that our reason stands in the log."""
        return self.startup_timeout - 60


app = modal.App("trireme-vllm")

image = (
    modal.Image.from_registry("nvidia/cuda:13.0.1-devel-ubuntu24.04", add_python="3.12")
    .entrypoint([])
    .uv_pip_install(f"vllm=={VLLM_VERSION}", "httpx>=0.28", "prometheus-client>=0.22")
    .env({"HF_HOME": HUB_CACHE, "VLLM_CACHE_ROOT": VLLM_CACHE, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"})
    .add_local_python_source("gpu")
)

volumes: dict[str | PurePosixPath, modal.Volume | modal.CloudBucketMount] = {
    HUB_CACHE: modal.Volume.from_name("trireme-huggingface-cache", create_if_missing=True),
    VLLM_CACHE: modal.Volume.from_name("trireme-vllm-cache", create_if_missing=True),
}


def server(settings: ServerSettings) -> Callable[[type["VllmServer"]], modal.Server]:
    """Registers a server class with the app as its settings say."""
    return app.server(
        image=image,
        gpu=settings.gpu,
        volumes=volumes,
        secrets=[modal.Secret.from_name(SECRET_NAME, required_keys=settings.secret_keys)],
        port=settings.port,
        startup_timeout=settings.startup_timeout,
        scaledown_window=settings.scaledown_window,
        target_concurrency=settings.target_concurrency,
        max_containers=settings.max_containers,
        exit_grace_period=settings.exit_grace_period,
    )


class VllmServer:
    """Life of one container: start vLLM, wait until it serves, drain it at the end."""

    settings: ClassVar[ServerSettings]
    process: EngineProcess

    @modal.enter()
    async def start(self) -> None:
        settings = self.settings
        self.process = EngineProcess(command(settings.engine, "0.0.0.0", settings.port, os.environ))
        await self.process.until_healthy(f"http://127.0.0.1:{settings.port}", settings.health_timeout)

    @modal.exit()
    async def stop(self) -> None:
        await self.process.stop(grace_s=DRAIN_SECONDS + 5)


QWEN3_6_35B_SERVER = ServerSettings(engine=QWEN3_6_35B)
GPT_OSS_20B_SERVER = ServerSettings(engine=GPT_OSS_20B)
QWEN3_5_4B_SERVER = ServerSettings(engine=QWEN3_5_4B)


@server(QWEN3_6_35B_SERVER)
class Qwen36Moe(VllmServer):
    settings = QWEN3_6_35B_SERVER


@server(GPT_OSS_20B_SERVER)
class GptOss20b(VllmServer):
    settings = GPT_OSS_20B_SERVER


@server(QWEN3_5_4B_SERVER)
class Qwen35Small(VllmServer):
    settings = QWEN3_5_4B_SERVER
