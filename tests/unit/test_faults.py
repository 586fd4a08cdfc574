"""The places where tests break a process: a closed list, each placed once, costing nothing while nobody asks."""

import ast
import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph import faults
from graph.faults import POINTS, Faults, install, point
from serving.errors import SettingsError
from serving.processes.serve import serve_worker

ROOT = Path(__file__).parents[2]


class Planned(Exception):
    pass


@pytest.fixture
def installed() -> Iterator[None]:
    yield
    install(None)


def _placed() -> Iterator[str]:
    for folder in ("graph", "memory", "privacy", "gpu", "serving"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "point":
                    name = ast.literal_eval(node.args[0])
                    assert isinstance(name, str), f"{path}: a point's name is written out"
                    yield name


def test_every_point_is_placed_exactly_once() -> None:
    assert len(POINTS) >= 40
    assert Counter(_placed()) == Counter(POINTS)


def test_a_fault_strikes_once_at_its_pass(installed: None) -> None:
    install(Faults("event.committed:3=raise, event.ready=raise", Planned))
    point("event.committed")
    point("event.committed")
    with pytest.raises(Planned):
        point("event.committed")
    point("event.committed")
    with pytest.raises(Planned):
        point("event.ready")


def test_a_fault_takes_its_time(installed: None) -> None:
    install(Faults("event.ready=sleep 0.05", Planned))
    begun = time.monotonic()
    point("event.ready")
    assert time.monotonic() - begun >= 0.05


@pytest.mark.parametrize(
    "spec",
    ["", "event.ready", "event.gone=kill", "event.ready:0=kill", "event.ready=explode", "event.ready=sleep", "="],
)
def test_a_fault_that_makes_no_sense_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match=r"write POINT|there is no point"):
        Faults(spec, Planned)


@pytest.mark.parametrize(("action", "code"), [("kill", -9), ("exit", 1)])
def test_a_fault_ends_the_process(action: str, code: int) -> None:
    script = f"from graph.faults import *; install(Faults('event.ready={action}', Exception)); point('event.ready')"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == code


def test_faults_are_refused_outside_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql:///none")
    monkeypatch.setenv("TRIREME_FAULTS", "event.ready=kill")
    with pytest.raises(SettingsError) as refused:
        asyncio.run(serve_worker())
    assert "TRIREME_TESTING" in refused.value.hint
    monkeypatch.setenv("TRIREME_TESTING", "true")
    monkeypatch.setenv("TRIREME_FAULTS", "event.gone=kill")
    with pytest.raises(SettingsError, match=r"event\.gone"):
        asyncio.run(serve_worker())


def test_a_point_costs_next_to_nothing() -> None:
    """Nanoseconds over an empty call; a worker passes some 400 in a run."""
    assert faults._reached is None
    begun = time.process_time()
    for _ in range(100_000):
        point("event.ready")
    assert (time.process_time() - begun) / 100_000 < 1e-6
