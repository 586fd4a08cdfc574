"""Workers and APIs for tests: real processes, which get real signals, forked off one that imported everything."""

import asyncio
import multiprocessing
import os
import socket
import sys
import time
from base64 import b64encode
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import psycopg

from graph.ports import ModelCall, ModelReply
from graph.state import Source
from graph.tools.registry import LOCAL_WRITE, CanCheck, Output, Tool, ToolContext
from serving.processes.serve import on_stop, serve_api
from serving.runs.attempts.heartbeat import Heartbeat
from serving.runs.attempts.worker import Worker
from serving.wiring import memory_store
from tests.integration.run_house import KEY, Lookup, Query, open_house
from tests.integration.scripted_models import ACCEPT, ScriptedModels, Turn, after, finds_and_reports, plans, rules

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.integration.worker_process", "serving.api.app", "uvicorn"])


@dataclass(frozen=True)
class WorkerProcess:
    """`turn`: a step's model answers after `takes_s`, or blocks the loop for ever. Effects are lines of `effects`.
    `holds`: the critic waits for the file `told-PID` in `home`, so that no run ends before."""

    dsn: str
    home: Path
    effects: Path
    turn: Literal["answers", "blocks"] = "answers"
    takes_s: float = 0.1
    steps: tuple[str, ...] = ("s1",)
    holds: bool = False
    slots: int = 8
    lease_s: float = 10.0
    beat_s: float = 0.5
    stall_s: float = 60.0

    def start(self) -> BaseProcess:
        """Returns when it claims: from then on a signal finds it ready."""
        process = _PROCESSES.Process(target=self._main, daemon=True)
        process.start()
        while not (self.home / f"ready-{process.pid}").exists():
            assert process.is_alive(), "the worker process ended while it started"
            time.sleep(0.01)
        return process

    def _main(self) -> None:
        sys.exit(asyncio.run(self._serve()))

    async def _serve(self) -> int:
        memory = memory_store(self.dsn, self.home)
        turn: Turn = after(self.takes_s, finds_and_reports) if self.turn == "answers" else _blocks
        models = ScriptedModels(
            planner=after(self.takes_s, plans(*self.steps)),
            worker=turn,
            critic=self._told if self.holds else rules(ACCEPT),
        )
        async with open_house(self.dsn, self.home, memory, self.lease_s) as house:
            heartbeat = Heartbeat(self.dsn, house.queue.worker, self.lease_s, self.beat_s, self.stall_s)
            executor = house.executor(models, Effects(self.effects))
            worker = Worker(self.dsn, house.queue, house.notices, executor, heartbeat, self.slots)
            on_stop(worker.going, worker.drain)
            (self.home / f"ready-{os.getpid()}").touch()
            code = await worker.serve()
        await memory.close()
        return code

    async def _told(self, call: ModelCall) -> ModelReply:
        while not (self.home / f"told-{os.getpid()}").exists():
            await asyncio.sleep(0.02)
        return await rules(ACCEPT)(call)


def start_api(dsn: str, home: Path, listener: socket.socket) -> BaseProcess:
    """The API as it is, on a socket that listens already."""
    process = _PROCESSES.Process(target=_serve_api, args=(dsn, home, listener), daemon=True)
    process.start()
    return process


def _serve_api(dsn: str, home: Path, listener: socket.socket) -> None:
    os.environ |= {"DATABASE_URL": dsn, "TRIREME_HOME": str(home), "TRIREME_VAULT_KEY": b64encode(KEY).decode()}
    asyncio.run(serve_api(None, None, listener.detach()))


class Effects(Lookup):
    """A lookup that leaves a line behind, in a file beside the system that later says what really happened."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def tool(self) -> Tool:
        return Tool(
            name="lookup",
            description="Finds a passage, and writes down that it was asked",
            parameters=Query,
            call=self._written,
            risk=LOCAL_WRITE,
            reconcile=CanCheck(self._found),
        )

    async def _written(self, arguments: Query, context: ToolContext) -> Output:
        with self._path.open("a") as file:
            file.write(f"{context.key}\n")
        await asyncio.sleep(0.05)
        return _output(arguments)

    async def _found(self, arguments: Query, context: ToolContext) -> Output | None:
        return _output(arguments) if context.key in self._path.read_text().split() else None


def _output(arguments: Query) -> Output:
    ref = f"notes/{arguments.query}.md#0"
    source = Source(ref=ref, path=ref.partition("#")[0], quote="it is 42")
    return Output(data={"found": [{"ref": ref, "text": "it is 42"}]}, sources=(source,))


async def _blocks(call: ModelCall) -> ModelReply:
    time.sleep(3_600)  # noqa: ASYNC251
    return await finds_and_reports(call)


def wait_for(dsn: str, query: str, seconds: float = 60.0) -> None:
    """Until the query's first value is true."""
    deadline = time.monotonic() + seconds
    with psycopg.connect(dsn, autocommit=True) as connection:
        while not ((row := connection.execute(query.encode()).fetchone()) and row[0]):
            assert time.monotonic() < deadline, f"never: {query}"
            time.sleep(0.02)
