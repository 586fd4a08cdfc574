"""What breaks beneath: a Postgres that stops, a disk that is full or read-only. It is named, and no run is lost."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from serving.processes.postgres import EmbeddedPostgres
from tests.acceptance.conftest import DEMO, Home, Up, collection_of, running
from tests.acceptance.processes import wait_until
from tests.acceptance.refusal import refused

DOCUMENTS = str(DEMO / "documents")
VACATION = "How many unused vacation days can be carried over?"


def test_a_run_survives_postgres_stopping_and_starting_in_its_middle(up: Up, api: httpx.Client) -> None:
    ingested = up.home.run("run", VACATION, "--docs", DOCUMENTS, "--json")
    collection = collection_of(up, orjson.loads(ingested.stdout)["run_id"])
    goal = "; ".join(f"{VACATION[:-1]} in year {year}?" for year in range(2001, 2009))
    run_id = api.post("/runs", json={"goal": goal, "collection": collection}).json()["run_id"]
    assert wait_until(lambda: api.get(f"/runs/{run_id}").json()["usage"]["tool_calls"] >= 1)
    os.kill(up.process.pid, signal.SIGSTOP)  # it would start Postgres again at once
    try:
        EmbeddedPostgres(up.home.path).stop()
        away = api.get("/ok")
        alive = api.get("/ok", params={"check_db": 0})
    finally:
        os.kill(up.process.pid, signal.SIGCONT)
    assert (away.status_code, away.json()["code"]) == (503, "database_unavailable")
    assert away.headers["retry-after"]
    assert alive.status_code == 200, "starting the server anew would not bring its database back"
    assert wait_until(lambda: _status(api, run_id) == "success"), api.get(f"/runs/{run_id}").text
    again = up.home.run("run", VACATION, "--docs", DOCUMENTS, "--json")
    assert again.returncode == 0, again.stderr


def _status(api: httpx.Client, run_id: str) -> str:
    answer = api.get(f"/runs/{run_id}")
    return str(answer.json()["status"]) if answer.status_code == 200 else ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 150 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _fill(disk: Path) -> Path:
    file = disk / "fill"
    with file.open("wb", buffering=0) as fill:
        try:
            while True:
                fill.write(b"\0" * 65_536)
        except OSError:
            return file


def test_a_read_only_home_is_named(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    home = Home(small_disk, {"TRIREME_PORT": "0"})
    for command in (("up",), ("run", VACATION), ("status",), ("memory", "list")):
        line = refused(home, *command, code=1)
        assert str(small_disk) in line
        assert "read-only file system" in line.lower()
    done = home.run("doctor")
    assert done.returncode == 1
    assert "PROBLEM  home" in done.stdout


def test_a_full_disk_is_named(small_disk: Path) -> None:
    _fill(small_disk)
    home = Home(small_disk, {"TRIREME_PORT": "0"})
    for command in (("up",), ("run", VACATION), ("memory", "list")):
        line = refused(home, *command, code=1)
        assert str(small_disk) in line
        assert "No space left on device" in line or "disk is full" in line
    done = home.run("doctor")
    assert done.returncode == 1
    assert "MiB free; free some" in done.stdout


def test_a_disk_that_fills_up_and_is_freed_loses_no_run(small_disk: Path) -> None:
    with running(small_disk) as up, httpx.Client(base_url=up.url, timeout=60) as client:
        kept = [client.post("/runs", params={"wait": True}, json={"goal": VACATION}).json()["run_id"]]
        full = _fill(small_disk)
        for _ in range(60):
            answer = client.post("/runs", json={"goal": VACATION + " again" * 1_000})
            if answer.status_code != 202:
                break
            kept.append(answer.json()["run_id"])
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        full.unlink()
        assert wait_until(lambda: all(_status(client, run_id) == "success" for run_id in kept), 40)
