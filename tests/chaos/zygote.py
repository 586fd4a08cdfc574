"""A process that has imported everything once and forks workers and APIs in milliseconds.

It is single-threaded and has no event loop, so a fork of it is a clean process. It ends with whoever started it.
"""

import asyncio
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_BYTES = 1 << 16


def main() -> None:
    """Forks what the socket on stdin asks for; says what becomes of each child."""
    from tests.chaos.children import child, listener, prepare

    control = socket.socket(fileno=os.dup(0))
    prepare()
    gc.collect()
    gc.freeze()
    waker, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(waker, selectors.EVENT_READ)
    listeners: list[socket.socket] = []
    _say(control, {"ready": True})
    while True:
        for key, _ in selector.select():
            if key.fileobj == waker:
                os.read(waker, 512)
                _report_children(control)
                continue
            message = control.recv(_MOST_BYTES)
            if not message:
                os.killpg(0, signal.SIGKILL)
            asked = json.loads(message)
            if "listen" in asked:
                listeners = [listener() for _ in range(asked["listen"])]
                _say(control, {"ports": [each.getsockname()[1] for each in listeners]})
                continue
            pid = os.fork()
            if pid == 0:
                control.close()
                selector.close()
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                child(asked, listeners)
            _say(control, {"forked": pid, "ticket": asked["ticket"]})


def _report_children(control: socket.socket) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                _say(control, {"stopped": pid, "at": time.time()})
            elif not os.WIFCONTINUED(status):
                _say(control, {"gone": pid, "code": os.waitstatus_to_exitcode(status), "at": time.time()})


def _say(control: socket.socket, message: dict[str, Any]) -> None:
    control.send(json.dumps(message).encode())


@dataclass(slots=True)
class Process:
    """A forked process. Times are the machine's clock, which Postgres shares."""

    pid: int
    kind: str
    begun: float = field(default_factory=time.time)
    ended: float | None = None
    code: int | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    stops: list[float] = field(default_factory=list)

    def send(self, number: signal.Signals) -> None:
        if not self.gone.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Zygote:
    """The harness's end."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with log.open("ab") as output, theirs:
            command = [sys.executable, "-m", "tests.chaos.zygote"]
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )
        self._ours.setblocking(False)
        self._forks: dict[int, tuple[str, asyncio.Future[Process]]] = {}
        self._tickets = 0
        self._ready: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self.processes: dict[int, Process] = {}
        asyncio.get_running_loop().add_reader(self._ours, self._heard)

    async def listen(self, count: int) -> list[int]:
        """Opens listening sockets that every API process inherits; returns their ports."""
        self._ours.send(json.dumps({"listen": count}).encode())
        return await asyncio.wait_for(self._ready, 60)

    async def fork(self, kind: str, **asked: Any) -> Process:
        self._tickets += 1
        waiting: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._forks[self._tickets] = (kind, waiting)
        self._ours.send(json.dumps({"kind": kind, "ticket": self._tickets, **asked}).encode())
        return await asyncio.wait_for(waiting, 60)

    def close(self) -> None:
        """Ends it and with it every process that it forked."""
        asyncio.get_running_loop().remove_reader(self._ours)
        self._ours.close()
        self._process.wait(60)

    def _heard(self) -> None:
        with suppress(BlockingIOError):
            while message := self._ours.recv(_MOST_BYTES):
                self._take(json.loads(message))
            raise RuntimeError("the zygote has ended: see zygote.log")

    def _take(self, said: dict[str, Any]) -> None:
        if "ports" in said:
            self._ready.set_result(said["ports"])
        elif "forked" in said:
            kind, waiting = self._forks.pop(said["ticket"])
            self.processes[said["forked"]] = process = Process(said["forked"], kind)
            waiting.set_result(process)
        elif "gone" in said:
            process = self.processes[said["gone"]]
            process.ended, process.code = said["at"], said["code"]
            process.gone.set()
        elif "stopped" in said:
            process = self.processes[said["stopped"]]
            process.stops.append(said["at"])
            process.stopped.set()


if __name__ == "__main__":
    main()
