"""Two API processes and two workers behind a round-robin. They have the database and the vault's key in common, and
nothing else: no home folder, no memory, no connection."""

import base64
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving.processes.table import end
from tests.acceptance.conftest import Home, Server
from tests.acceptance.processes import wait_until
from tests.sdk.round_robin import RoundRobin


@dataclass(slots=True)
class Member:
    """A process of one kind, `api` or `worker`; what ends is started again, as an orchestrator does."""

    kind: str
    home: Home
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with ExitStack() as listening:
            command, keep = ["worker"], list[int]()
            if self.kind == "api":
                listener = listening.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2_048))
                self.port = listener.getsockname()[1]
                command, keep = ["serve", "--fd", str(listener.fileno())], [listener.fileno()]
            with (self.home.path / "log").open("a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "serving", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.home.environment,
                    cwd=self.home.path,
                    pass_fds=keep,
                    start_new_session=True,
                )

    def keep_up(self) -> None:
        if self.process and self.process.poll() is not None:
            end({self.process.pid: 0})  # what it started itself, and could no longer end
            self.start()

    def ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, (self.home.path / "log").read_text()[-2_000:]
        if self.kind == "worker":
            marker = self.home.path / "worker.ready"
            return marker.exists() and marker.read_text() == str(self.process.pid)
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/ok", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


@dataclass(frozen=True, slots=True)
class Cluster(Server):
    """`members`: the API processes, then the workers."""

    proxy: RoundRobin
    members: tuple[Member, ...]


@contextmanager
def cluster(path: Path, dsn: str, **settings: str) -> Iterator[Cluster]:
    """On one database; in front of it all stands `url`."""
    shared = {"DATABASE_URL": dsn, "TRIREME_VAULT_KEY": base64.b64encode(os.urandom(32)).decode(), **settings}
    members = tuple(Member(kind, _home(path / f"{kind}-{at}", shared)) for kind in ("api", "worker") for at in (1, 2))
    apis, stopping = members[:2], threading.Event()

    def keep_up() -> None:
        while not stopping.wait(0.2):
            for member in members:
                member.keep_up()
            proxy.ports[:] = [member.port for member in apis]

    with ExitStack() as stack:
        stack.callback(_end, members)
        for member in members:
            member.start()
        assert wait_until(lambda: all(member.ready() for member in members)), "the cluster is not ready"
        proxy = stack.enter_context(RoundRobin([member.port for member in apis]).running())
        keeper = threading.Thread(target=keep_up)
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(stopping.set)
        yield Cluster(Home(path, shared), proxy.url, proxy, members)


def _home(path: Path, settings: dict[str, str]) -> Home:
    path.mkdir()
    return Home(path, settings)


def _end(members: tuple[Member, ...]) -> None:
    for member in members:
        if member.process:
            member.process.terminate()
    for member in members:
        if member.process:
            member.process.wait(60)
