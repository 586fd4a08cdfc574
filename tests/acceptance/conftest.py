"""The product as its users have it: real processes, a home of their own, the command line and HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from serving.processes.postgres import EmbeddedPostgres
from tests.acceptance.command import run_command
from tests.conftest import fresh_database, without_power_cuts

if TYPE_CHECKING:
    from tests.acceptance.hosted import Hosted

DEMO = Path(__file__).parents[2] / "infra" / "demo"


@dataclass(frozen=True, slots=True)
class Home:
    """A TRIREME_HOME; `run` is the command line in it, without a terminal."""

    path: Path
    settings: dict[str, str] = field(default_factory=dict)
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        keys = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENAI_BASE_URL", "DATABASE_URL", "SMTP_URL")
        clean = {name: value for name, value in os.environ.items() if name not in keys and "TRIREME" not in name}
        return clean | {"TRIREME_HOME": str(self.path), "PYTHONUNBUFFERED": "1"} | self.settings

    @property
    def dsn(self) -> str:
        return self.settings.get("DATABASE_URL") or EmbeddedPostgres(self.path).dsn

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "serving", *arguments]

    def run(
        self, *arguments: str, timeout: float = 180, stdin: str = "", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        return run_command(arguments, self.environment | settings, self.path, stdin, timeout)

    def start(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment | settings,
            cwd=self.path,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """Ends what was started, if a test that failed has not: nothing of it is left for the next one."""
        for process in self.started:
            end(process)


def wait_for_line(process: "subprocess.Popen[str]", word: str) -> str:
    """Reads a process's output up to the line that holds `word`."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if word in line:
            return line
    raise AssertionError(f"{word!r} never came: {''.join(seen)}")


def end(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(120)
    if process.stdout:
        process.stdout.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with closing(Home(tmp_path)) as home:
        yield home


@dataclass(frozen=True, slots=True)
class Server:
    """What answers at `url`; `home` has its database."""

    home: Home
    url: str


@dataclass(frozen=True, slots=True)
class Up(Server):
    """A running `trireme up`."""

    process: "subprocess.Popen[str]"


@contextmanager
def running(path: Path, **settings: str) -> Iterator[Up]:
    """`trireme up` in a home of its own; short leases, so that take-overs are quick."""
    home = Home(path, {"TRIREME_PORT": "0", "TRIREME_LEASE_S": "3", "TRIREME_HEARTBEAT_S": "0.5", **settings})
    process = home.start("up")
    try:
        url = wait_for_line(process, "API").split()[1]
        wait_for_line(process, "Ctrl-C stops")
        without_power_cuts(home.dsn)
        yield Up(home, url, process)
    finally:
        end(process)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One stack for all tests that only use it."""
    with running(tmp_path_factory.mktemp("up")) as stack:
        yield stack


def collection_of(up: Up, run_id: str) -> str:
    """The collection that the command line made for a run's --docs."""
    return str(httpx.get(f"{up.url}/runs/{run_id}").json()["collection"])


@pytest.fixture
def api(up: Up) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=up.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def hosted(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Hosted"]:
    """One stack with a language model behind a real socket, for all tests that say what it answers."""
    from tests.acceptance.hosted import hosting

    names = ("Despina Seedling", "Aris Saplingson", "Eleni Sproutwell", 'Bo "Twig" Rootley')
    path = tmp_path_factory.mktemp("hosted")
    with fresh_database(template_database) as dsn, hosting(path, dsn, *names) as stack:
        yield stack
