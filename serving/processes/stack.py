"""The processes of one machine: embedded Postgres, API, worker. Whoever starts them stops them, and nobody else's.

A lock file says who runs the stack of a home folder; a state file says where it answers. Commands that use
somebody else's stack hold a shared lock, so that a short-lived owner waits for them before it stops.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from serving.errors import SettingsError, StartFailed
from serving.processes.listener import is_exposed, open_listener, require_keys
from serving.processes.lock import HomeLock
from serving.processes.postgres import EmbeddedPostgres
from serving.processes.restarts import Restarts
from serving.processes.table import end
from serving.settings import Settings

_READY_S = 90.0


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that answers at `url`; `pid` is its owner. Without a worker it can look at runs, not carry them out."""

    url: str
    pid: int
    worker: bool


class Stack:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home
        self._postgres = EmbeddedPostgres(settings.home) if not settings.database_url else None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._restarts: dict[str, Restarts] = {}
        self._listener: socket.socket | None = None
        self._owner = HomeLock(settings.home, "up.lock")
        self._clients = HomeLock(settings.home, "clients.lock")

    @property
    def dsn(self) -> str:
        return self._postgres.dsn if self._postgres else self._settings.database_url

    def running(self) -> Running | None:
        """The stack that another process owns for this home, if there is one."""
        if self._owner.own():
            self._owner.release()
            return None
        try:
            return Running(**orjson.loads((self._home / "up.json").read_bytes()))
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None

    async def join(self, *, worker: bool) -> Running | None:
        """The stack of another process, which then waits for this one; None when this process is to start its own.

        Waits while that one starts or stops, or lacks the worker that is needed.
        """
        while not self._owner.own():
            other = self.running()
            if other and (other.worker or not worker):
                self._clients.share()
                if self.running() == other:
                    return other
                self._clients.release()
            await asyncio.sleep(0.1)
        return None

    async def start(self, port: int, *, worker: bool) -> str:
        """Starts what is missing; returns the URL. Raises StartFailed when another process owns the home's stack."""
        if not self._owner.own():
            other = self.running()
            where = f" at {other.url} (pid {other.pid})" if other else ""
            raise StartFailed(f"trireme runs already{where}", "use it, stop it, or set another TRIREME_HOME")
        # Kept open: while the API starts again, callers wait instead of being refused.
        self._listener = open_listener(self._settings.host, port)
        url = f"http://{self._settings.host}:{self._listener.getsockname()[1]}"
        try:
            self._spawn("api")
            if worker:
                self._spawn("worker")
            await self._database_started()
            self._admit()
            await self._until_ready(url)
        except BaseException:
            await self.stop()
            raise
        (self._home / "up.json").write_bytes(orjson.dumps(Running(url, os.getpid(), worker)))
        return url

    async def stop(self, *, patient: bool = False) -> None:
        """Stops what this process started. `patient` waits for other commands that use it."""
        try:
            while patient and not self._clients.own():  # others wait from then on, and start their own
                await asyncio.sleep(0.2)
        finally:
            with _undisturbed():
                self._end()

    def _end(self) -> None:
        if self._owner.held:
            (self._home / "up.json").unlink(missing_ok=True)
        self._clients.release()
        if self._listener:
            self._listener.close()
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        self._admit()
        self._reap()
        if self._postgres and self._postgres.ours():
            self._postgres.stop()
        self._owner.release()

    def failed(self) -> str | None:
        """The name of a child that has ended by itself."""
        return next((name for name, child in self._children.items() if child.poll() is not None), None)

    def restart(self) -> list[str]:
        """Starts what has ended by itself again, as soon as it is due; returns the names."""
        ended = [name for name, child in self._children.items() if child.poll() is not None]
        due = [name for name in ended if self._restarts[name].due(time.monotonic())]
        for name in due:
            _end_session(self._children[name])
            self._spawn(name)
        self._admit()
        return due

    def lost_database(self) -> bool:
        """Whether the embedded Postgres has ended by itself, and it is time to start it again."""
        if not self._postgres or self._postgres.alive():
            return False
        return self._restarts.setdefault("postgres", Restarts()).due(time.monotonic())

    async def restart_database(self) -> None:
        """Its work goes on from its own log. Raises StartFailed when it can't; then it is due again, ever later."""
        assert self._postgres is not None
        try:
            await asyncio.to_thread(self._postgres.start)
        finally:
            self._restarts["postgres"].begun(time.monotonic())

    async def _database_started(self) -> None:
        with ThreadPoolExecutor(1) as thread:  # its end waits: a start that is cut off is stopped whole
            try:
                await asyncio.wrap_future(thread.submit(self._start_database))
            except asyncio.CancelledError:
                if self._postgres:
                    self._postgres.cut_off()
                raise

    def _start_database(self) -> None:
        from serving.migrate import migrate

        if self._postgres:
            self._postgres.start()
        migrate(self.dsn)
        if self._listener and is_exposed(self._listener) and not self._settings.api_key:
            require_keys(self.dsn, self._settings.host)

    def _spawn(self, name: str) -> None:
        keep = self._listener.fileno() if self._listener and name == "api" else None
        command = ["serve", "--fd", str(keep)] if keep is not None else [name]
        logs = self._home / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        environment = os.environ | {
            "DATABASE_URL": self.dsn,
            "TRIREME_HOME": str(self._home),
            "TRIREME_PARENT": str(os.getpid()),
        }
        for option in ("routes", "config"):
            if path := getattr(self._settings, option):
                environment[f"TRIREME_{option.upper()}"] = str(path.absolute())
        with (logs / f"{name}.log").open("ab") as output:
            self._children[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", "serving", *command],  # -P: not what lies in the folder one stands in
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=(keep,) if keep is not None else (),
                start_new_session=True,  # Ctrl-C is the owner's: it decides when its children stop
            )
        self._restarts.setdefault(name, Restarts()).begun(time.monotonic())

    def _admit(self) -> None:
        """Lets the children connect. They load while the database starts, and wait for the end of their stdin."""
        for child in self._children.values():
            if child.stdin:
                child.stdin.close()

    async def _until_ready(self, url: str) -> None:
        waiting = {"api": self._home / "logs" / "api.log", "worker": self._home / "logs" / "worker.log"}
        deadline = time.monotonic() + _READY_S
        pending = set(self._children)
        while pending:
            if name := self.failed():
                kind = SettingsError if self._children[name].returncode == SettingsError.exit_code else StartFailed
                raise kind(f"the {name} process ended: {_last_line(waiting[name])}", f"see {waiting[name]}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{', '.join(sorted(pending))} not ready after {_READY_S:g} s", f"see {self._home / 'logs'}"
                )
            pending = {name for name in pending if not self._ready(name, url)}
            await asyncio.sleep(0.05)

    def _ready(self, name: str, url: str) -> bool:
        if name == "worker":
            marker = self._home / "worker.ready"
            return marker.exists() and marker.read_text() == str(self._children[name].pid)
        host, port = url.removeprefix("http://").rsplit(":", 1)
        try:
            with socket.create_connection((host, int(port)), timeout=1) as connection:
                connection.settimeout(2)
                connection.sendall(b"GET /ok HTTP/1.1\r\nHost: trireme\r\nConnection: close\r\n\r\n")
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def _reap(self) -> None:
        for child in self._children.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _end_session(child)
        self._children.clear()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C again, while everything is being stopped because of it, changes nothing."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_session(child: "subprocess.Popen[bytes]") -> None:
    """What a process of ours that was killed had started itself, and could no longer end."""
    end({child.pid: 0})


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1].removeprefix("trireme: ") if lines else "it said nothing"
