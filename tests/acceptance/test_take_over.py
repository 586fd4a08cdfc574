"""A worker killed with -9 in the middle of a run: another one takes over and the run finishes."""

import os
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import httpx
import orjson
import pytest

from tests.acceptance.conftest import DEMO, Home, Up, collection_of, end, wait_for_line
from tests.acceptance.processes import wait_until

GOAL = "; ".join(
    f"how many vacation days can be carried over, question {word}?"
    for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")
)


def _events(url: str, run_id: str) -> Iterator[dict[str, object]]:
    with httpx.stream("GET", f"{url}/runs/{run_id}/events", timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield orjson.loads(line[6:])


def _workers(up: Up) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(up.process.pid), "-f", "serving worker"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


@pytest.fixture
def collection(up: Up) -> str:
    """The demo's documents, ingested by the command line; returns the collection's name."""
    done = up.home.run("run", "How many vacation days?", "--docs", str(DEMO / "documents"), "--json")
    assert done.returncode == 0, done.stderr
    return collection_of(up, orjson.loads(done.stdout)["run_id"])


def test_another_worker_finishes_what_a_killed_one_began(up: Up, api: httpx.Client, collection: str) -> None:
    for _ in range(5):
        run_id, seen = _killed_once(up, api, {"goal": GOAL, "collection": collection})
        kinds = Counter(str(event["kind"]) for event in seen)
        if kinds["run_claimed"] > 1:  # else all was done before the signal came
            break
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert kinds["run_claimed"] == 2, "another worker took the run over"
    assert kinds["run_finished"] == 1
    assert kinds["plan_proposed"] == 1, "the plan was not made again"
    run = api.get(f"/runs/{run_id}").json()
    assert run["status"] == "success"
    assert "6 unused vacation days" in run["answer"]
    assert _steps_done_twice(seen) == []


def _killed_once(up: Up, api: httpx.Client, request: dict[str, str]) -> tuple[str, list[dict[str, object]]]:
    """A run whose worker is killed when its first tool has answered: its id, and its log."""
    assert wait_until(lambda: bool(_workers(up)))
    workers = _workers(up)
    run_id = api.post("/runs", json=request).json()["run_id"]
    seen: list[dict[str, object]] = []
    for event in _events(up.url, run_id):
        seen.append(event)
        if event["kind"] == "tool_finished":
            while workers:
                os.kill(workers.pop(), signal.SIGKILL)
    return run_id, seen


def _steps_done_twice(seen: list[dict[str, object]]) -> list[str]:
    done = Counter(str(event["step_id"]) for event in seen if event["kind"] == "step_started")
    rounds = sum(event["kind"] == "verdict_given" for event in seen)
    return [step for step, times in done.items() if times > rounds]


def test_a_run_does_not_depend_on_the_terminal_that_started_it(up: Up, api: httpx.Client) -> None:
    starter = up.home.start("run", GOAL, "--docs", str(DEMO / "documents"))
    assert starter.stdout is not None
    for line in starter.stdout:
        if line.startswith("worker"):
            break
    starter.kill()
    end(starter)
    run_id = api.get("/runs").json()[0]["run_id"]
    assert list(_events(up.url, run_id))[-1]["kind"] == "run_finished"
    assert api.get(f"/runs/{run_id}").json()["status"] == "success"


def test_who_reads_no_further_is_told_that_the_run_is_kept(up: Up, api: httpx.Client) -> None:
    command = shlex.join(up.home.command("run", GOAL, "--docs", str(DEMO / "documents")))
    piped = ["bash", "-c", f"{command} | head -1; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(piped, env=up.home.environment, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    run_id = done.stderr.split()[-1]
    assert done.stderr.splitlines()[-1].startswith("the run is kept")
    assert wait_until(lambda: api.get(f"/runs/{run_id}").json()["status"] == "success")


def test_ctrl_c_keeps_the_run_and_resume_finishes_it(home: Home) -> None:
    slow = {"TRIREME_TESTING": "true", "TRIREME_FAULTS": "fan_out.ready=sleep 6"}
    starter = home.start("run", GOAL, "--docs", str(DEMO / "documents"), **slow)
    assert starter.stdout is not None
    wait_for_line(starter, "plan")
    starter.send_signal(signal.SIGINT)
    rest = starter.stdout.read()
    assert starter.wait(90) == 130, rest
    run_id = rest.partition("trireme logs ")[2].split()[0]
    assert "Traceback" not in rest
    starter.stdout.close()
    done = home.run("resume", run_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 unused vacation days" in done.stdout
