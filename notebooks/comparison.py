"""What both notebooks do: start a throw-away stack per variant, ask the same goals through `trireme run`, measure.

Nothing here touches your runs: every variant has a home folder and a database of its own, gone afterwards.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pandas  # type: ignore[import-untyped]  # pandas ships no stubs
import yaml

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("graph", "privacy", "memory", "gpu", "serving")
_READY_S = 90.0


@dataclass(frozen=True)
class Goal:
    """A goal and what a right answer looks like: `says` and `never` are regular expressions, `cites` file names."""

    text: str
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()

    def quality(self, answer: str, sources: Sequence[str]) -> float:
        """The share of these expectations that the answer meets, 0 to 1."""
        met = [bool(re.search(said, answer, re.IGNORECASE | re.DOTALL)) for said in self.says]
        met += [not re.search(said, answer, re.IGNORECASE) for said in self.never]
        met += [any(source.endswith(cited) for source in sources) for cited in self.cites]
        return sum(met) / len(met) if met else 1.0


@dataclass(frozen=True)
class Variant:
    """One way to run: variables over your environment, prompt files replaced, a `model_name` of routes.yaml.

    With `one_thread` the goals are one conversation, else each has a thread of its own.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    one_thread: bool = False


class Stack:
    """A running `trireme up` of its own at `url`. `root` is where its code lies: here, or a copy with other prompts."""

    def __init__(self, url: str, root: Path, environment: Mapping[str, str]) -> None:
        self._url, self._root, self._environment = url, root, environment

    def ask(self, goal: str, docs: Path, variant: Variant, thread: str | None) -> dict[str, Any]:
        """The object that `trireme run --json` prints. Raises RuntimeError with its error line when it prints none."""
        options = ["--model", variant.model] if variant.model else []
        options += ["--thread", thread] if thread else []
        command = [sys.executable, "-m", "serving", "run", goal, "--docs", str(docs), "--json", *options]
        environment = dict(self._environment)
        done = subprocess.run(command, cwd=self._root, env=environment, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            raise RuntimeError((done.stderr.strip().splitlines() or ["trireme said nothing"])[-1])
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def prompt_versions(self, run_id: str) -> dict[str, str]:
        """Role to content hash, as the run's log has them."""
        found = {}
        with httpx.stream("GET", f"{self._url}/runs/{run_id}/events", timeout=30) as answer:
            for line in answer.iter_lines():
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {"kind": ""}
                if event["kind"] == "model_called":
                    found[event["role"]] = event["prompt_version"]
                if event["kind"] == "run_finished":
                    break
        return found


@contextlib.contextmanager
def running(variant: Variant) -> Iterator[Stack]:
    """A stack for `variant`, stopped and wiped at the end."""
    with tempfile.TemporaryDirectory(prefix="trireme-") as folder:
        root = _checkout(Path(folder) / "code", variant.prompts) if variant.prompts else ROOT
        code = {"PYTHONPATH": str(root)}  # its processes don't import from where they stand
        own = {"TRIREME_HOME": f"{folder}/home", "TRIREME_PORT": "0", "TRIREME_URL": "", "DATABASE_URL": ""}
        environment = {**os.environ, **variant.environment, **own, **code}
        command = [sys.executable, "-m", "serving", "up"]
        with open(f"{folder}/up.log", "w+") as log:
            process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
            try:
                yield Stack(_url(process, Path(log.name)), root, environment)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def _checkout(folder: Path, prompts: Mapping[str, str]) -> Path:
    """A copy of the packages with the named prompt files replaced: a prompt version is a version of the code."""
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    if (ROOT / ".env").exists():
        shutil.copy(ROOT / ".env", folder)
    for name, text in prompts.items():
        file = folder / "graph" / "prompts" / name
        if not file.exists():
            raise FileNotFoundError(f"graph/prompts has no {name}")
        file.write_text(text)
    return folder


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where `trireme up` answers; waits until it does."""
    deadline = time.monotonic() + _READY_S
    while not (found := re.search(r"^API\s+(\S+)", log.read_text(), re.MULTILINE)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"trireme up did not start: {log.read_text().strip()}")
        time.sleep(0.1)
    return found[1]


def model_is_configured() -> bool:
    """Whether a key, a server or a routes file chooses a model; without one everything goes to the offline model."""
    if str(ROOT) not in sys.path:  # the kernel starts in notebooks/, and the packages need not be installed
        sys.path.insert(0, str(ROOT))
    from serving.models.select import select_routes
    from serving.settings import Settings
    from serving.wiring import credentials_of

    settings = Settings(_env_file=ROOT / ".env")
    return not select_routes(credentials_of(settings), settings.routes, settings.environ).offline


def goals_of(folder: Path, limit: int) -> list[Goal]:
    """The first goals of `folder`/goals.yaml that have a plain right answer."""
    entries = yaml.safe_load((folder / "goals.yaml").read_text())
    plain = [entry for entry in entries if "says" in entry and "effect" not in entry]
    expected = ("says", "never", "cites")
    return [Goal(entry["goal"], *(tuple(entry.get(key, ())) for key in expected)) for entry in plain[:limit]]


def measure(variants: Sequence[Variant], goals: Sequence[Goal], docs: Path) -> pandas.DataFrame:
    """A row for every run. Goals are asked one after the other, so that latencies are comparable."""
    rows: list[dict[str, Any]] = []
    for variant in variants:
        with running(variant) as stack:
            thread: str | None = None
            for goal in goals:
                result = stack.ask(goal.text, docs, variant, thread)
                thread = result["thread_id"] if variant.one_thread else None
                rows.append(_row(variant, goal, result) | {"prompts": stack.prompt_versions(result["run_id"])})
    return pandas.DataFrame(rows)


def _row(variant: Variant, goal: Goal, result: Mapping[str, Any]) -> dict[str, Any]:
    answer = result["answer"] or ""
    usage = result["usage"]
    return {
        "variant": variant.name,
        "goal": goal.text,
        "answer": answer,
        "status": result["status"],
        "quality": goal.quality(answer, [source["path"] for source in result["sources"]]),
        "latency_s": result["duration_s"],
        "cost_usd": result["cost_usd"],
        "model": result["model"],
        **{key: usage[key] for key in ("input_tokens", "output_tokens", "cached_tokens")},
    }


def summary(runs: pandas.DataFrame) -> pandas.DataFrame:
    """One line a variant, in the order they were run: quality, latency, cost, cached share."""
    grouped = runs.groupby("variant", sort=False)
    table = grouped.agg(
        model=("model", "first"),
        quality=("quality", "mean"),
        latency_s=("latency_s", "median"),
        slowest_s=("latency_s", "max"),
        cost_usd=("cost_usd", "sum"),
        input_tokens=("input_tokens", "sum"),
        output_tokens=("output_tokens", "sum"),
    )
    table["cached_share"] = grouped["cached_tokens"].sum() / table["input_tokens"]
    return table.round({"quality": 2, "latency_s": 2, "slowest_s": 2, "cost_usd": 4, "cached_share": 3})


def plot(table: pandas.DataFrame) -> "Figure":
    """The four figures side by side, a bar a variant."""
    from matplotlib import pyplot

    panels = {
        "quality": "quality (share met)",
        "latency_s": "latency (median s)",
        "cost_usd": "cost (USD)",
        "cached_share": "cached share of input",
    }
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 0.7 + 0.6 * len(table)), sharey=True)
    for axis, (column, title) in zip(axes, panels.items(), strict=True):
        bars = axis.barh(table.index, table[column], color=[f"C{n}" for n in range(len(table))])
        axis.bar_label(bars, fmt="%.3g", padding=3)
        axis.set_title(title, fontsize=10)
        axis.set_xlim(0, 1.25 * table[column].max() or 1)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.tight_layout()
    pyplot.close(figure)  # the notebook shows the returned figure, once
    return figure
