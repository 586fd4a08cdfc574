"""`trireme --help`: what the smallest command costs, and that it imports nothing heavy."""

import resource
import subprocess
from collections.abc import Iterator
from statistics import median

from tests.acceptance.conftest import Home
from tests.bench.figure import Figure, table
from tests.bench.running import new_home

_TIMES = 10
_HEAVY = (
    "bs4", "cryptography", "duckdb", "fastapi", "httpx", "langchain_core", "langgraph", "litellm", "mem0", "numpy",
    "opentelemetry", "presidio_analyzer", "psycopg", "pydantic", "pypdf", "rich", "spacy", "uvicorn",
)  # fmt: skip


def measure() -> Iterator[Figure]:
    with new_home() as home:
        _cpu_seconds(home)  # the first one also writes bytecode
        seconds = [_cpu_seconds(home) for _ in range(_TIMES)]
        yield Figure("trireme --help: CPU", median(seconds), "s", 0.15, f"median of {_TIMES}")
        heavy = sorted(_imported(home) & set(_HEAVY))
        yield Figure("trireme --help: heavy imports", len(heavy), "packages", 0, ", ".join(heavy) or "none")


def _cpu_seconds(home: Home) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A process of its own: home.run forks one that has loaded the command line, and its CPU is another's.
    subprocess.run(home.command("--help"), capture_output=True, env=home.environment, cwd=home.path, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _imported(home: Home) -> set[str]:
    python, *rest = home.command("--help")
    command = [python, "-X", "importtime", *rest]
    done = subprocess.run(command, capture_output=True, text=True, env=home.environment, cwd=home.path, check=True)
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


if __name__ == "__main__":
    print(table(measure()))
