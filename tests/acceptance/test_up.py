"""Starting and stopping: nothing is left behind, whatever ends it, and two at once don't get into each other's way."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import orjson
import pytest

from serving.processes.postgres import EmbeddedPostgres
from tests.acceptance.conftest import DEMO, Home, end, running, wait_for_line
from tests.acceptance.processes import left_behind, processes_of, wait_until

DOCUMENTS = str(DEMO / "documents")
VACATION = "How many unused vacation days can be carried over?"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all these tests: its database is made once."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture
def home(place: Path) -> Iterator[Home]:
    """It must be as empty of processes after a test as before."""
    assert processes_of(place) == {}
    with closing(Home(place, {"TRIREME_PORT": "0"})) as home:
        yield home
    assert left_behind(place) == []


def test_up_says_where_everything_is_and_ctrl_c_stops_it_all(home: Home) -> None:
    for name in ("graph", "calendar"):  # of ours, and of Python's: nothing is imported from where one stands
        (home.path / f"{name}.py").write_text("raise SystemExit('a file of the user was run')")
    process = home.start("up")
    address = wait_for_line(process, "API").split()[1]
    assert "postgresql:///" in wait_for_line(process, "Postgres")
    assert str(home.path / "logs") in wait_for_line(process, "Logs")
    wait_for_line(process, "Ctrl-C stops")
    assert httpx.get(f"{address}/ok").json() == {"ok": True}
    assert len(processes_of(home.path)) >= 4
    for pid, command in processes_of(home.path).items():
        if "serving serve" in command or "serving worker" in command:
            os.kill(pid, signal.SIGKILL)
    assert {wait_for_line(process, "starting it again").split()[1] for _ in range(2)} == {"api", "worker"}
    assert httpx.get(f"{address}/ok", timeout=20).json() == {"ok": True}, "at the same address"
    _kill_postgres(home, process)
    assert wait_until(lambda: httpx.get(f"{address}/ok", timeout=20).status_code == 200)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    assert left_behind(home.path, patience_s=5) == []
    end(process)


def _kill_postgres(home: Home, up: subprocess.Popen[str]) -> None:
    """As the kernel does when memory is short. While `up` hasn't seen it, the doctor does."""
    os.kill(up.pid, signal.SIGSTOP)
    try:
        os.kill(int((home.path / "postgres" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        doctor = home.run("doctor")
    finally:
        os.kill(up.pid, signal.SIGCONT)
    assert doctor.returncode == 1
    assert "PROBLEM  database   embedded Postgres does not answer: see" in doctor.stdout
    assert "PROBLEM  server" in doctor.stdout
    wait_for_line(up, "Postgres ended; starting it again")


_WEB = """
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request

@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    app.state.mark = "once"
    yield {"harbour": "Piraeus"}

app = FastAPI(lifespan=lifespan)

@app.middleware("http")
async def seen(request: Request, call_next):
    request.state.captain = "Jason"
    answer = await call_next(request)
    answer.headers["x-seen"] = answer.headers.get("x-seen", "") + request.app.state.mark
    return answer

@app.get("/harbour/{boat}")
async def harbour(boat: str, request: Request) -> list[str]:
    return [boat, request.state.harbour, request.state.captain]

@app.post("/boats/search")
async def search(request: Request) -> list[str]:
    return [request.headers["content-type"], request.url.path]

@app.get("/ok")
async def never() -> str:
    return "hidden"
"""
_GRAPH = """
from typing import Any, TypedDict
from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph

class State(TypedDict):
    seen: dict[str, str]

def look(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"seen": {name: value for name, value in config["configurable"].items() if name.startswith("x-")}}

graph = StateGraph(State).add_node(look).set_entry_point("look")
"""
_FILE = {
    "graphs": {"looks": {"path": "./looks.py:graph", "description": "Tells which headers it sees"}},
    "python_version": "3.12",
    "http": {
        "app": "./web.py:app",
        "mount_prefix": "/harbours",
        "disable_store": True,
        "disable_meta": True,
        "disable_webhooks": True,
        "configurable_headers": {"includes": ["x-*", "authorization"], "excludes": ["x-boring-*"]},
    },
}


def test_langgraph_json_says_what_is_served_and_where_and_what_has_no_effect_is_named(
    home: Home, tmp_path: Path
) -> None:
    file = tmp_path / "langgraph.json"
    (tmp_path / "web.py").write_text(_WEB)
    (tmp_path / "looks.py").write_text(_GRAPH)
    file.write_bytes(orjson.dumps(_FILE))
    process = home.start("up", "--config", str(file))
    address = wait_for_line(process, "API").split()[1]
    assert f"{file}: python_version is for building images" in wait_for_line(process, "Note")
    wait_for_line(process, "Ctrl-C stops")
    for place in (address, f"{address}/harbours"):
        with httpx.Client(base_url=place, timeout=60) as client:
            _check_what_is_served(client)
    assert "read_config" in (home.path / "logs" / "api.log").read_text()
    end(process)
    file.write_bytes(orjson.dumps({"graphs": {}, "encryption": {"path": "./sealed.py:sealed"}}))
    refused = home.run("up", "--config", str(file))
    assert refused.returncode == 2
    assert f"{file}: encryption: custom encryption isn't run here" in refused.stderr


def _check_what_is_served(client: httpx.Client) -> None:
    assert client.get("/harbour/Argo").json() == ["Argo", "Piraeus", "Jason"]
    assert client.get("/ok").json() == {"ok": True}
    for path in ("/ok", "/harbour/Argo", "/nowhere"):
        assert client.get(path).headers["x-seen"] == "once", "its middleware is around all routes"
    assert client.get("/nowhere").status_code == 404
    assert client.put("/runs").json()["code"] == "method_not_allowed", "it is ours"
    for path in ("/info", "/metrics", "/agent-protocol/docs", "/store/items?key=a"):
        assert client.get(path).status_code == 404, path
    assert list(client.get("/openapi.json").json()["paths"]) == ["/harbour/{boat}", "/boats/search", "/ok"], "its own"
    assert client.post("/agent-protocol/threads/search", json={}).status_code == 200
    text = {"content-type": "text/plain"}
    assert client.post("/threads/search", content=b'{"limit": 1}', headers=text).status_code == 200
    path = client.base_url.path.rstrip("/") + "/boats/search"
    assert client.post("/boats/search", content=b"a", headers=text).json() == ["text/plain", path], "as it came"
    headers = {"X-Port": "Kavala", "x-boring-one": "1", "Authorization": "Bearer any", "x-api-key": "any"}
    config = {"configurable": {"x-port": "Volos", "x-own": "here"}}
    run = {"assistant_id": "looks", "input": {"seen": {}}, "config": config, "webhook": "http://127.0.0.1:9"}
    assert client.post("/runs/wait", json=run, headers=headers).json() == {
        "seen": {"x-port": "Kavala", "x-own": "here"}
    }
    thread = client.post("/threads", json={}).json()["thread_id"]
    lasting = {**run, "config": {"configurable": {"x-port": "Volos", "depth": 3, "__pregel_resuming": False}}}
    client.post(f"/threads/{thread}/runs/wait", json=lasting, headers=headers)
    assert client.get(f"/threads/{thread}").json()["config"] == {"configurable": {"depth": 3}}, "who asked is left out"
    stream = client.post("/runs/stream", json=run, headers=headers)
    assert (stream.headers["x-seen"], "Kavala" in stream.text) == ("once", True)
    assert wait_until(lambda: _why_untold(client) == ["webhooks are switched off"])


def _why_untold(client: httpx.Client) -> list[str]:
    found = client.get("/webhooks/deliveries", params={"status": "failed", "limit": 1}).json()
    return [one["error"] for one in found["deliveries"]]


def test_of_two_ups_at_once_one_is_refused_and_when_the_other_is_killed_the_next_one_starts(home: Home) -> None:
    both = [home.start("up"), home.start("up")]
    assert wait_until(lambda: any(process.poll() is not None for process in both))
    (refused,) = [process for process in both if process.poll() is not None]
    (up,) = [process for process in both if process is not refused]
    assert refused.returncode == 1
    assert refused.stdout is not None
    (line,) = refused.stdout.read().splitlines()
    assert line.startswith("trireme: trireme runs already")
    url = wait_for_line(up, "API").split()[1]
    wait_for_line(up, "Ctrl-C stops")
    third = home.run("up")
    assert third.returncode == 1
    assert third.stderr.startswith(f"trireme: trireme runs already at {url} (pid {up.pid}): ")
    run_id = httpx.post(f"{url}/runs", json={"goal": VACATION, "review_plan": True}).json()["run_id"]
    up.kill()
    up.wait()
    assert left_behind(home.path, besides="postgres") == []
    for process in both:
        end(process)
    with running(home.path) as next_one:
        assert httpx.get(f"{next_one.url}/runs/{run_id}").json()["goal"] == VACATION
        next_one.process.send_signal(signal.SIGTERM)
        assert next_one.process.wait(60) == 0
        assert left_behind(home.path, patience_s=5) == []


def test_a_run_with_a_stack_of_its_own_goes_on_when_its_worker_is_killed(tmp_path: Path) -> None:
    faults = {"TRIREME_TESTING": "true", "TRIREME_FAULTS": "plan.logged=kill"}  # the next worker logs no plan
    lease = {"TRIREME_PORT": "0", "TRIREME_LEASE_S": "3", "TRIREME_HEARTBEAT_S": "0.5"}
    done = Home(tmp_path, faults | lease).run("run", VACATION, "--docs", DOCUMENTS, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["the worker process ended; starting it again"]
    assert orjson.loads(done.stdout)["status"] == "success"


def test_commands_that_start_at_once_share_one_stack_and_a_run_waits_for_one_with_a_worker(home: Home) -> None:
    looking = home.start("status")
    time.sleep(0.4)  # time enough to be the first, and to start a stack without a worker
    others = [
        home.start("run", VACATION, "--docs", DOCUMENTS),
        home.start("run", VACATION, "--docs", DOCUMENTS, "--json"),
    ]
    for process in (looking, *others):
        assert process.stdout is not None
        output = process.stdout.read()
        assert process.wait(60) == 0, output
        process.stdout.close()


@pytest.mark.parametrize(
    ("after", "number"), [(0.6, signal.SIGINT), (1.2, signal.SIGTERM), (2.1, signal.SIGHUP), (3.0, signal.SIGINT)]
)
def test_a_run_that_is_ended_at_any_moment_stops_all_without_a_traceback(
    home: Home, after: float, number: signal.Signals
) -> None:
    """By Ctrl-C, by `kill`, by closing the terminal; within a second of each of its phases."""
    moment = after + random.random()
    process = subprocess.Popen(
        home.command("run", VACATION, "--docs", DOCUMENTS),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=home.environment,
        cwd=home.path,
        start_new_session=True,
    )
    time.sleep(moment)
    os.killpg(process.pid, number)
    time.sleep(0.2)
    if process.poll() is None:
        os.killpg(process.pid, number)  # who presses it once, presses it twice
    output, _ = process.communicate(timeout=90)
    assert "Traceback" not in output, f"after {moment:.2f} s: {output}"
    # While it loads, and in its very last moment, the signal itself ends the process: a shell says 130 to that too.
    assert process.returncode in (130, 0, -number), f"after {moment:.2f} s: {output}"
    assert left_behind(home.path, patience_s=5) == [], f"after {moment:.2f} s: {output}"


@pytest.mark.parametrize("module", ["serving.cli.app", "typer", "serving.cli.options"])
def test_ctrl_c_while_the_command_line_loads_ends_it_without_a_traceback(home: Home, module: str) -> None:
    interrupted = f"""
import os, signal, sys
there = ("import", "{module}")
sys.addaudithook(lambda event, told: (event, *told[:1]) == there and os.kill(os.getpid(), signal.SIGINT))
sys.argv = ["trireme", "doctor"]
from serving.cli.start import main
main()
"""
    command = [sys.executable, "-c", interrupted]
    done = subprocess.run(command, env=home.environment, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_ctrl_c_while_up_starts_for_the_first_time_ends_initdb_and_leaves_a_home_that_works(tmp_path: Path) -> None:
    home = Home(tmp_path, {"TRIREME_PORT": "0"})
    process = home.start("up")

    def initdb() -> list[int]:
        return [pid for pid, command in processes_of(tmp_path).items() if "bin/initdb" in command]

    assert wait_until(lambda: bool(initdb()))
    os.kill(initdb()[0], signal.SIGSTOP)  # it would not come to an end by itself
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert left_behind(tmp_path, patience_s=5) == []
    assert not (tmp_path / "postgres").exists()
    end(process)
    postgres = EmbeddedPostgres(tmp_path)
    assert postgres.start()
    postgres.stop()
    assert left_behind(tmp_path) == []
