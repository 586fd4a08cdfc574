"""What users get wrong and what breaks beneath them: one line with the mend, the right exit code, nothing lost."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import pytest

from serving.processes.postgres import EmbeddedPostgres
from tests.acceptance.conftest import DEMO, Home, Up, collection_of, running
from tests.acceptance.hosted import ACCEPT, PLAN, Hosted, reported, story
from tests.acceptance.processes import left_behind, wait_until
from tests.evals.pdf import pdf
from tests.integration.model_server import Answer

DOCUMENTS = str(DEMO / "documents")
VACATION = "How many unused vacation days can be carried over?"
MISSING = "00000000-0000-7000-8000-000000000000"


def refused(home: Home, *arguments: str, code: int = 2, stdin: str = "") -> str:
    """What a command says that can't do its work: one line, no traceback, the right exit code."""
    done = home.run(*arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line != "starting"]
    assert line.startswith("trireme: ")
    return line


# ------------------------------------------------------------------------------------------------ goals and ids


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("",), "", "the goal is empty"),
        ((" \n\t ",), "", "the goal is empty"),
        (("-",), "", "the goal is empty"),
        (("g" * 100_000,), "", "the goal has 100000 characters, at most 32000 are taken"),
        (("-",), "g" * 200_000, "the goal has 200000 characters, at most 32000 are taken"),
        (
            ("caf\udce9",),
            "",
            "half a surrogate pair (U+DCE9) at character 4: leave it out",
        ),
        (("-",), "a\0b", "the goal holds a NUL (U+0000) at character 2"),
    ],
)
def test_a_goal_that_is_none_too_long_or_no_text_is_refused_before_anything_starts(
    home: Home, arguments: tuple[str, ...], stdin: str, says: str
) -> None:
    assert says in refused(home, "run", *arguments, stdin=stdin)
    assert list(home.path.iterdir()) == []


def test_an_id_that_no_run_has_is_refused_by_every_command(up: Up) -> None:
    commands = ("status", "logs", "plan", "approve", "resume", "cancel")
    calls = [(command, run_id) for command in commands for run_id in (MISSING, "../../ok")]
    with ThreadPoolExecutor(2) as asking:
        lines = list(asking.map(lambda call: refused(up.home, *call), calls))
    for (_, run_id), line in zip(calls, lines, strict=True):
        assert line.startswith("trireme: no run ")
        assert run_id in line
    assert 'no run "": an id is a UUID' in refused(up.home, "status", "")
    assert 'no run "\\udcff": an id is a UUID' in refused(up.home, "logs", "\udcff")
    assert "the reason holds half a surrogate pair" in refused(up.home, "approve", MISSING, "--reason", "\udcff")
    assert 'no thread "nope": an id is a UUID' in refused(up.home, "run", VACATION, "--thread", "nope")
    mistyped = refused(up.home, "run", VACATION, "--thread", MISSING)
    assert f"no thread {MISSING}: leave it out to begin a conversation" in mistyped


# ------------------------------------------------------------------------------------------------ documents


def test_a_folder_that_gives_nothing_to_read_is_refused(home: Home) -> None:
    folder = home.path / "docs"
    assert "doesn't exist" in refused(home, "run", VACATION, "--docs", str(folder))
    assert "names no folder" in refused(home, "run", VACATION, "--docs", "")
    folder.mkdir()
    assert "is empty" in refused(home, "run", VACATION, "--docs", str(folder))
    (folder / "image.png").write_bytes(b"\x89PNG\0\0")
    assert "holds no file that can be read" in refused(home, "run", VACATION, "--docs", str(folder))
    assert "is a file, not a folder" in refused(home, "run", VACATION, "--docs", str(folder / "image.png"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder, whatever its permissions")
def test_a_folder_without_permission_is_refused(home: Home) -> None:
    folder = home.path / "docs"
    folder.mkdir(mode=0)
    assert "can't be read: permission denied" in refused(home, "run", VACATION, "--docs", str(folder))


def test_files_that_cannot_be_read_are_skipped_and_named_and_the_rest_is_answered(up: Up, tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text("# Rules\n\nUp to 7 vacation days can be carried over into the next year.\n")
    (tmp_path / "windows.txt").write_bytes("The café opens at 9.\n".encode("cp1252"))
    bad = {
        "program.bin": b"\x7fELF\0\1\2",
        "note.txt": b"\0\1\2\3" * 50,
        "broken.pdf": pdf(["text"])[:200],
        "zero.md": b"",
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "large.txt").open("wb") as large:
        large.truncate(50_000_000)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    done = up.home.run("run", "How many vacation days can be carried over?", "--docs", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    result = orjson.loads(done.stdout)
    assert "7 vacation days" in result["answer"]
    skipped = dict(line.removeprefix("skipped ").split(": ", 1) for line in done.stderr.splitlines())
    assert set(skipped) == {*bad, "large.txt", "loop", "pipe.txt"}
    assert skipped["large.txt"] == "50.0 MB, over the limit of 20 MB"
    assert skipped["zero.md"] == "empty file"


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("url", "says", "code"),
    [
        ("postgresql://me:secretpw@127.0.0.1:1/x", "Postgres can't be reached: ", 1),
        ("postgresql://me:secretpw@nohost.invalid/x", "Postgres can't be reached: ", 1),
        ("postgresql://me:s@secretpw@127.0.0.1/x", "DATABASE_URL holds two @: write the one in the password as %40", 2),
        ("not a url secretpw", "DATABASE_URL is no Postgres address", 2),
        ("http://me:secretpw@127.0.0.1/x", "DATABASE_URL is no Postgres address", 2),
    ],
)
def test_a_wrong_database_url_is_named_and_its_password_is_not(home: Home, url: str, says: str, code: int) -> None:
    wrong = Home(home.path, {"DATABASE_URL": url, "TRIREME_PORT": "0"})
    line = refused(wrong, "up", code=code)
    assert says in line
    assert "secretpw" not in line
    done = wrong.run("doctor")
    assert done.returncode == 1
    assert "PROBLEM  database" in done.stdout
    assert "secretpw" not in done.stdout


def test_a_port_that_is_taken_is_named_with_the_mend(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(Home(home.path, {"TRIREME_PORT": str(port)}), "up", code=1)
    assert line.startswith(f"trireme: can't listen on 127.0.0.1:{port}: address already in use: set TRIREME_PORT")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIREME_PORT", "abc"),
        ("TRIREME_PORT", "70000"),
        ("TRIREME_LEASE_S", "0"),
        ("TRIREME_HEARTBEAT_S", "9"),
        ("OPENAI_BASE_URL", "localhost:11434/v1"),
        ("OPENAI_BASE_URL", "http://["),
        ("OPENAI_BASE_URL", "http://127.0.0.1:99999/v1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(home: Home, name: str, value: str) -> None:
    assert refused(Home(home.path, {name: value}), "status").startswith(f"trireme: {name}: ")


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("SMTP_URL", "mail.example secretpw", "mail"),
        ("TRIREME_VAULT_KEY", "secretpw", "privacy"),
        ("TRIREME_WEBHOOK_NETWORKS", "10.1/33", "webhooks"),
        ("TRIREME_CONFIG", "/nowhere/langgraph.json", "graphs"),
        ("LANGFUSE_BASE_URL", "http://[", "traces"),
    ],
)
def test_a_setting_that_a_process_would_not_start_with_is_a_problem_to_the_doctor(
    home: Home, name: str, value: str, part: str
) -> None:
    done = Home(home.path, {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", name: value}).run("doctor")
    assert done.returncode == 1, done.stdout + done.stderr
    (problem,) = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert problem.split()[1] == part
    assert "secretpw" not in done.stdout


def test_a_key_that_fits_no_header_and_settings_that_are_no_text_are_named(home: Home) -> None:
    for key in ("ä", "a\nb"):
        assert refused(Home(home.path, {"TRIREME_API_KEY": key}), "status").startswith("trireme: TRIREME_API_KEY: ")
    (home.path / ".env").write_bytes(b"# caf\xe9\n")
    assert ".env is not UTF-8 at byte 5: save it as UTF-8" in refused(home, "status")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://["])
def test_a_server_that_is_none_is_named(home: Home, url: str) -> None:
    assert f"the server at {url} does not answer" in refused(Home(home.path, {"TRIREME_URL": url}), "status", code=1)


ROUTES = """model_list:
  - model_name: small
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: none
agent:
  roles:
    planner: {planner}
"""
UNKNOWN_PROVIDER = """model_list:
  - model_name: small
    litellm_params:
      model: Qwen/Qwen3-4B
      api_base: http://127.0.0.1:8000/v1
      api_key: none
      input_cost_per_token: 0
      output_cost_per_token: 0
"""


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (ROUTES.format(planner="large"), 8, 'agent.roles.planner: alias "large" is not in model_list'),
        (ROUTES.format(planner="small") + "    plumber: small\n", 9, "agent.roles.plumber"),
        (
            ROUTES.replace("model_name: small", "model_nam: small").format(planner="small"),
            2,
            "model_list[0].model_nam: unknown field",
        ),
        (
            UNKNOWN_PROVIDER,
            4,
            'model_list[0].litellm_params.model: LiteLLM knows no provider for "Qwen/Qwen3-4B"',
        ),
        ("model_list: [\n", 2, "mend the YAML"),
        ("model_list: &all [*all]\n", 1, "a part of it holds itself"),
        ("", 1, "model_list"),
    ],
)
def test_a_malformed_routes_file_is_told_by_file_line_and_field(home: Home, text: str, line: int, says: str) -> None:
    file = home.path / "routes.yaml"
    file.write_text(text)
    done = home.run("doctor", TRIREME_ROUTES=str(file))
    assert done.returncode == 1
    (finding,) = [found for found in done.stdout.splitlines() if "PROBLEM" in found]
    assert f"{file}:{line}: " in finding
    assert says in finding


def test_up_stops_again_when_its_routes_file_is_malformed(home: Home) -> None:
    file = home.path / "routes.yaml"
    file.write_text(ROUTES.format(planner="large"))
    told = refused(Home(home.path, {"TRIREME_PORT": "0"}), "up", "--routes", str(file))
    assert f'{file}:8: agent.roles.planner: alias "large" is not in model_list' in told
    assert left_behind(home.path) == []


def test_a_worker_that_cannot_start_for_its_models_says_it_in_one_line(home: Home) -> None:
    file = home.path / "routes.yaml"
    file.write_text(UNKNOWN_PROVIDER)
    told = refused(Home(home.path, {"TRIREME_PORT": "0"}), "up", "--routes", str(file))
    assert f'{file}:4: model_list[0].litellm_params.model: LiteLLM knows no provider for "Qwen/Qwen3-4B"' in told
    assert "Traceback" not in (home.path / "logs" / "worker.log").read_text()
    assert left_behind(home.path) == []


def test_a_routes_file_that_is_missing_is_named(home: Home) -> None:
    file = home.path / "none.yaml"
    done = home.run("doctor", TRIREME_ROUTES=str(file))
    assert done.returncode == 1
    assert f"{file}: No such file" in done.stdout


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(up: Up) -> None:
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    home = Home(up.home.path, up.home.settings | proxies)
    assert home.run("status").returncode == 0
    assert f"runs at {up.url}" in home.run("doctor").stdout


@pytest.mark.parametrize("arguments", [("status",), ("run", VACATION)])
def test_output_that_cannot_be_written_is_told_in_one_line(up: Up, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            up.home.command(*arguments), env=up.home.environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("trireme: the output can't be written: No space left on device: ")


def test_an_unknown_model_ends_the_run_with_the_names_that_are_known(hosted: Hosted) -> None:
    hosted.says(*story("never asked"))
    done = hosted.up.home.run("run", VACATION, "--model", "gpt-nonsense", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    error = orjson.loads(done.stdout)["error"]
    assert error["code"] == "model_refused"
    assert "gpt-nonsense" in error["message"]
    assert "self-hosted" in error["message"]


def test_an_unknown_model_is_refused_by_the_offline_model_too(up: Up) -> None:
    done = up.home.run("run", VACATION, "--docs", DOCUMENTS, "--model", "gpt-nonsense", "--json")
    assert done.returncode == 1, done.stdout
    assert orjson.loads(done.stdout)["error"]["code"] == "model_refused"


# ------------------------------------------------------------------------------------------------ model providers


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (Answer(status=401), "model_refused", "refuses the key (401)"),
        (Answer(status=404), "model_refused", "is not known by"),
        (Answer(status=429, headers={"Retry-After": "1"}), "model_unavailable", "rate limit (429)"),
        (Answer(status=500), "model_unavailable", "the provider failed (500)"),
        (Answer(raw=b"<html>It works!</html>"), "bad_reply", "no chat completion"),
        (Answer(text="I'd rather not."), "bad_reply", "no Plan"),
    ],
    ids=["401", "404", "429", "500", "garbage", "no-plan"],
)
def test_a_run_ends_clearly_when_its_provider_fails_and_resume_finishes_it(
    hosted: Hosted, fault: Answer, code: str, says: str
) -> None:
    hosted.says(*[fault] * 9)
    failed = httpx.post(f"{hosted.up.url}/runs", params={"wait": True}, json={"goal": VACATION}, timeout=120).json()
    assert failed["status"] == "error"
    assert failed["error"]["code"] == code
    assert says in failed["error"]["message"]
    logged = (hosted.up.home.path / "logs" / "worker.log").read_text()
    (line,) = [line for line in logged.splitlines() if f"run={failed['run_id']}" in line and " ERROR " in line]
    assert line.endswith(failed["error"]["message"])
    assert 'File "' not in logged, "an operator needs no traceback of what was foreseen"
    hosted.says(*story("Six days."))
    resumed = hosted.up.home.run("resume", failed["run_id"])
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "Six days." in resumed.stdout


def test_a_provider_that_fails_later_does_not_cost_what_was_done(hosted: Hosted) -> None:
    home = hosted.up.home
    hosted.says(PLAN, reported("Six days."), *[Answer(status=401)] * 4)
    failed = orjson.loads(home.run("run", VACATION, "--json").stdout)
    assert failed["status"] == "error"
    seen = hosted.says(ACCEPT, Answer(text="Six days."))
    assert home.run("resume", failed["run_id"]).returncode == 0
    assert len(seen) == 2, "planner and worker were not asked again"


def test_a_short_rate_limit_is_waited_out(hosted: Hosted) -> None:
    hosted.says(Answer(status=429, headers={"Retry-After": "1"}), *story("Six days."))
    run = httpx.post(f"{hosted.up.url}/runs", params={"wait": True}, json={"goal": VACATION}, timeout=60).json()
    assert run["answer"] == "Six days."


# ------------------------------------------------------------------------------------------------ what breaks beneath


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
