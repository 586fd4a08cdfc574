"""Engines as data: which open model runs on which GPU, and the exact `vllm serve` command that serves it.

Model choices and parsers: vLLM 0.33 recipes (autumn 2026). Fit on the GPU is by weight size, not measured by us.
A revision is a commit hash that nobody should guess: the catalogue leaves it open, and a launch without is refused.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from gpu.errors import EngineError

ToolStrictLevel = Literal["auto", "function", "parameter"]

VLLM_VERSION = "0.33.0"
# vLLM reads its key from this variable; on the command line every process listing would show it.
API_KEY_VARIABLE = "VLLM_API_KEY"
# On SIGTERM vLLM finishes running requests for so long; a platform's own grace period must be longer.
DRAIN_SECONDS = 30
# sha256, since replicas serve several tenants and the faster hashes are not collision-proof.
PREFIX_CACHE_ARGUMENTS = (
    *("--enable-prefix-caching", "--prefix-caching-hash-algo", "sha256"),
    "--enable-prompt-tokens-details",
)

_NAME = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
_MODEL = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """`kind` as Modal and the NVIDIA device plugin's node labels name it, such as L4 or H100."""

    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One served model. Lengths are in tokens; `revision` is the hub's 40-digit commit hash, empty until pinned."""

    name: str
    model: str
    gpu: Gpu
    max_model_len: int
    max_num_seqs: int
    tool_call_parser: str
    reasoning_parser: str
    revision: str = ""
    dtype: Literal["auto", "bfloat16", "float16"] = "auto"
    quantization: str | None = None
    text_only: bool = False
    tool_strict_level: ToolStrictLevel = "parameter"

    def __post_init__(self) -> None:
        checks = {
            "name": (_NAME.fullmatch(self.name), "lower-case letters and digits joined by '.' or '-'"),
            "model": (_MODEL.fullmatch(self.model), "a hub id such as 'Qwen/Qwen3.5-4B'"),
            "revision": (not self.revision or _REVISION.fullmatch(self.revision), "a 40-digit commit hash, or empty"),
            "gpu.count": (self.gpu.count >= 1, "at least 1"),
            "max_model_len": (self.max_model_len >= 1, "at least 1 token"),
            "max_num_seqs": (self.max_num_seqs >= 1, "at least 1"),
        }
        for field, (holds, expected) in checks.items():
            if not holds:
                raise EngineError(f"engine {self.name!r}: {field} must be {expected}")

    @property
    def served_name(self) -> str:
        """The `model` that clients send; a new revision or quantization behind it needs no change of theirs."""
        return self.name

    @property
    def revision_variable(self) -> str:
        """The environment variable that deployments take the revision from: QWEN3_5_4B_REVISION."""
        return re.sub(r"[.-]", "_", self.name).upper() + "_REVISION"

    def pinned(self, revision: str) -> "Engine":
        """This engine at one commit of its model repository. Raises EngineError when it is not a commit hash."""
        if not _REVISION.fullmatch(revision):
            raise EngineError(
                f"engine {self.name!r}: revision {revision!r} is not a commit of {self.model}; "
                f"set {self.revision_variable} to its 40-digit commit hash (a branch name can change under you)"
            )
        return replace(self, revision=revision)


QWEN3_6_35B = Engine(
    name="qwen3.6-35b-a3b",
    model="Qwen/Qwen3.6-35B-A3B-FP8",
    gpu=Gpu(kind="H100"),
    quantization="fp8",
    max_model_len=131_072,
    max_num_seqs=64,
    text_only=True,
    tool_call_parser="qwen3_coder",
    reasoning_parser="qwen3",
)

GPT_OSS_20B = Engine(
    name="gpt-oss-20b",
    model="openai/gpt-oss-20b",
    gpu=Gpu(kind="L4"),
    max_model_len=65_536,
    max_num_seqs=32,
    tool_call_parser="openai",
    reasoning_parser="openai_gptoss",
)

QWEN3_5_4B = Engine(
    name="qwen3.5-4b",
    model="Qwen/Qwen3.5-4B",
    gpu=Gpu(kind="L4"),
    dtype="bfloat16",
    max_model_len=65_536,
    max_num_seqs=32,
    text_only=True,
    tool_call_parser="qwen3_coder",
    reasoning_parser="qwen3",
)

ENGINES = (QWEN3_6_35B, GPT_OSS_20B, QWEN3_5_4B)


def by_name(name: str) -> Engine:
    """The catalogue's engine of that name. Raises EngineError with the names there are."""
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise EngineError(f"no engine {name!r}: there are {', '.join(engine.name for engine in ENGINES)}")


def launch_arguments(engine: Engine, host: str, port: int) -> tuple[str, ...]:
    """The argv that serves the engine, always in the same order. Raises EngineError when it isn't pinned."""
    if not 1 <= port <= 65_535:
        raise EngineError(f"engine {engine.name!r}: port {port} is outside 1-65535")
    pinned = engine.pinned(engine.revision)
    return (
        *("vllm", "serve", pinned.model, "--revision", pinned.revision),
        *("--host", host, "--port", str(port), "--served-model-name", pinned.served_name),
        *_memory_arguments(pinned),
        *PREFIX_CACHE_ARGUMENTS,
        *_tool_arguments(pinned),
        *("--shutdown-timeout", str(DRAIN_SECONDS)),
    )


def _memory_arguments(engine: Engine) -> tuple[str, ...]:
    quantization = ("--quantization", engine.quantization) if engine.quantization else ()
    return (
        *("--dtype", engine.dtype, *quantization),
        *("--tensor-parallel-size", str(engine.gpu.count)),
        *("--max-model-len", str(engine.max_model_len), "--max-num-seqs", str(engine.max_num_seqs)),
        *(("--language-model-only",) if engine.text_only else ()),
    )


def _tool_arguments(engine: Engine) -> tuple[str, ...]:
    return (
        *("--enable-auto-tool-choice", "--tool-call-parser", engine.tool_call_parser),
        *("--tool-strict-level", engine.tool_strict_level, "--reasoning-parser", engine.reasoning_parser),
    )
