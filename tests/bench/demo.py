"""The demo as a new user sees it: its command with the environment there; with `--fresh` a clone and `make demo`."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.conftest import DEMO
from tests.bench.figure import Figure, table
from tests.bench.processes import Memory, sampled_memory
from tests.bench.running import new_home

_REPOSITORY = Path(__file__).parents[2]
_COMMAND = (sys.executable, "-m", "serving", "run", (DEMO / "goal.txt").read_text(), "--docs", str(DEMO / "documents"))


def measure() -> Iterator[Figure]:
    seconds, _ = _run(_COMMAND)
    yield Figure("demo", seconds, "s", 60, "environment there, new home")
    _, memory = _run(_COMMAND, sample=True)  # a run of its own: looking takes time
    yield Figure("demo: memory of all processes", memory.pss, "MB", 700, f"PSS, peak; sum of RSS {memory.rss:.0f} MB")
    if "--fresh" in sys.argv:
        yield Figure("git clone and make demo", _fresh(), "s", 60, "empty folder, warm package cache")


def _run(command: Sequence[str], *, sample: bool = False, folder: Path | None = None) -> tuple[float, Memory]:
    with new_home() as home:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder or home.path,
            env=home.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with sampled_memory(process.pid, home.path) if sample else nullcontext(Memory()) as memory:
            output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
        assert "\nAnswer" in output, output
        return time.monotonic() - started, memory


def _fresh() -> float:
    with TemporaryDirectory() as folder:
        started = time.monotonic()
        subprocess.run(["git", "clone", "-q", str(_REPOSITORY), folder], check=True)
        _run(("make", "demo"), folder=Path(folder))
        return time.monotonic() - started


if __name__ == "__main__":
    print(table(measure()))
