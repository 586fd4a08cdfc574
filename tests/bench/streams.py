"""Event streams: memory of one that waits, CPU of one delivered event, beside sse-starlette's on the same uvicorn."""

import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import httpx
import psycopg

from serving.migrate import migrate
from serving.processes.postgres import EmbeddedPostgres
from tests.bench.figure import Figure, table

_WARM, _STREAMS, _EVENTS = 100, 500, 60
_PAUSE_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_NOTE = "x" * 150  # some 230 bytes a line as it is sent

Emit: TypeAlias = Callable[[], Awaitable[None]]


def measure() -> Iterator[Figure]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8_192), most))
    ours = _ours()
    beside = f"{_STREAMS} streams of one run on one process, {_EVENTS} events of 230 bytes, one at a time"
    yield Figure("idle event stream: ours", ours[0] / 1024, "KiB", 4, beside)
    yield Figure("CPU a delivered event: ours", ours[1] * 1e6, "us", None, "with reading it from Postgres")
    if not find_spec("sse_starlette"):
        print("sse-starlette isn't installed here: its figures are left out", file=sys.stderr)
        return
    theirs = _theirs()
    yield Figure("idle event stream: sse-starlette", theirs[0] / 1024, "KiB", None, beside)
    yield Figure("CPU a delivered event: sse-starlette", theirs[1] * 1e6, "us", None, "from memory")
    times = f"{theirs[1] / ours[1]:.1f} times as many events for the same CPU"
    yield Figure("CPU a delivered event: ours, of sse-starlette's", ours[1] / theirs[1], "x", 1 / 5, times)


def _ours() -> tuple[float, float]:
    with TemporaryDirectory(prefix="trireme-bench-") as folder:
        database = EmbeddedPostgres(Path(folder))
        database.start()
        try:
            migrate(database.dsn)
            settings = {
                "DATABASE_URL": database.dsn,
                "TRIREME_HOME": folder,
                "TRIREME_VAULT_KEY": b64encode(b"k" * 32).decode(),
            }
            with _served(["serving", "serve", "--port"], settings) as (pid, url):
                run_id = httpx.post(f"{url}/runs", json={"goal": "Wait"}).json()["run_id"]

                async def emit() -> None:
                    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
                        body = f'[{{"kind":"noted","code":"n","message":"{_NOTE}"}}]'
                        await connection.execute("select append_events(%s, null, %s)", (run_id, body))
                        await connection.execute("select pg_notify('trireme_log', %s)", (run_id,))

                return asyncio.run(_measured(pid, url, f"/runs/{run_id}/events?after=1", emit))
        finally:
            database.stop()


def _theirs() -> tuple[float, float]:
    with _served(["tests.bench.sse_starlette_server"], {}) as (pid, url):

        async def emit() -> None:
            async with httpx.AsyncClient() as client:
                await client.post(f"{url}/emit", content=_NOTE)

        return asyncio.run(_measured(pid, url, "/events", emit))


async def _measured(pid: int, url: str, path: str, emit: Emit) -> tuple[float, float]:
    """(bytes a waiting stream, CPU seconds a delivered event)."""
    port, counted = int(url.rpartition(":")[2]), [0]
    readers: list[asyncio.Task[None]] = []

    async def come(streams: int) -> None:
        for number in range(streams):  # not all in one moment: what a request needs is free for the next one
            readers.append(asyncio.create_task(_read(port, path, counted)))
            await asyncio.sleep(0.2 if number % 20 == 0 else 0)
        await asyncio.sleep(1)

    await come(_WARM)
    before = _rss(pid)
    await come(_STREAMS)
    idle = (_rss(pid) - before) / _STREAMS
    spent = 0.0
    for number in range(1 + _EVENTS):  # the first one warms up
        await emit()
        async with asyncio.timeout(30):
            while counted[0] < (number + 1) * len(readers):
                await asyncio.sleep(0.01)
        spent = spent or _cpu(pid)
        await asyncio.sleep(_PAUSE_S)
    spent = _cpu(pid) - spent
    for reader in readers:
        reader.cancel()
    return idle, spent / (_EVENTS * len(readers))


async def _read(port: int, path: str, counted: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while piece := await reader.read(1 << 16):
            counted[0] += piece.count(b"data: ")
    finally:
        writer.close()


@contextmanager
def _served(module: list[str], settings: dict[str, str]) -> Iterator[tuple[int, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", *module, str(port)], env=os.environ | settings)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 30
    try:
        while not _answers(url):
            assert time.monotonic() < deadline, "it did not come up"
        yield process.pid, url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ok").is_success
    except httpx.TransportError:
        time.sleep(0.1)
        return False


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    print(table(measure()))
