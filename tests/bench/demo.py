"""`make demo` as a new user runs it, environment and package cache being there; `--fresh` clones first."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.conftest import Home
from tests.bench.figure import Figure, table
from tests.bench.processes import sampled_memory
from tests.bench.running import new_home

_REPOSITORY = Path(__file__).parents[2]


def measure() -> Iterator[Figure]:
    with new_home() as home:
        yield Figure("make demo", _demo(home, _REPOSITORY), "s", 60, "environment there, new home")
    with new_home() as home:
        process = _start(home, _REPOSITORY)
        with sampled_memory(process.pid, home.path) as memory:
            _finish(process)
        yield Figure("make demo: memory", memory.pss, "MB", 700, f"PSS of all processes, peak; RSS {memory.rss:.0f} MB")
    if "--fresh" in sys.argv:
        yield Figure("git clone; make demo", _fresh(), "s", 60, "empty folder, warm package cache")


def _fresh() -> float:
    with TemporaryDirectory() as folder, new_home() as home:
        started = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(_REPOSITORY), folder], check=True)
        _demo(home, Path(folder))
        return time.monotonic() - started


def _demo(home: Home, repository: Path) -> float:
    started = time.monotonic()
    _finish(_start(home, repository))
    return time.monotonic() - started


def _start(home: Home, repository: Path) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        ["make", "demo"],
        cwd=repository,
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def _finish(process: "subprocess.Popen[str]") -> None:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "\nAnswer" in output, output


if __name__ == "__main__":
    print(table(measure()))
