"""A bounded flood of requests: how long those that are taken wait, and what the API holds in memory meanwhile."""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.bench.figure import Figure, percentile, table
from tests.bench.processes import Memory, sampled_memory
from tests.bench.running import database

_REQUESTS, _CONNECTIONS = 3_000, 1_500
_BODY = b'{"goal": "How many vacation days can be carried over?"}'
_HEAD = b"POST /runs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
_UNBOUND = 1_000_000


def measure() -> Iterator[Figure]:
    with database() as dsn:
        yield from _flooded(dsn, 100, "at most 100 in work")
        yield from _flooded(dsn, _UNBOUND, "without a bound")


def _flooded(dsn: str, bound: int, about: str) -> Iterator[Figure]:
    with _api(dsn, bound) as (port, memory):
        before = memory.rss
        answers = asyncio.run(_flood(port))
    taken = [seconds for status, seconds in answers if status == 202]
    beside = f"{about}; {len(taken):,} of {_REQUESTS:,} taken, {_CONNECTIONS:,} connections"
    yield Figure("flood: p99 of requests taken", percentile(taken, 99) * 1000, "ms", None, beside)
    yield Figure("flood: API grows by", memory.rss - before, "MiB", None, f"{about}; from {before:.0f}")


async def _flood(port: int) -> list[tuple[int, float]]:
    waiting = iter(range(_REQUESTS))

    async def one_after_the_other() -> list[tuple[int, float]]:
        return [await _asked(port) for _ in waiting]

    answers = await asyncio.gather(*(one_after_the_other() for _ in range(_CONNECTIONS)))
    return [answer for each in answers for answer in each]


async def _asked(port: int) -> tuple[int, float]:
    """(HTTP status, seconds to the whole answer); status 0 for a connection that broke."""
    started, line = time.monotonic(), b""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY))
        line = await reader.readline()
        await reader.read()
        writer.close()
    return int(line.split()[1]) if line else 0, time.monotonic() - started


@contextmanager
def _api(dsn: str, bound: int) -> Iterator[tuple[int, Memory]]:
    with TemporaryDirectory(prefix="trireme-bench-") as home:
        settings = {
            "DATABASE_URL": dsn,
            "TRIREME_HOME": home,
            "TRIREME_VAULT_KEY": base64.b64encode(b"k" * 32).decode(),
            "TRIREME_API_CONCURRENCY": str(bound),
        }
        port = 8_391
        command = [sys.executable, "-m", "serving", "serve", "--port", str(port)]
        with subprocess.Popen(command, env=os.environ | settings) as process:
            try:
                _until_warm(process, port)
                with sampled_memory(process.pid, Path(home)) as memory:
                    time.sleep(0.5)
                    yield port, memory
            finally:
                process.terminate()


def _until_warm(process: "subprocess.Popen[bytes]", port: int) -> None:
    while process.poll() is None:
        with suppress(httpx.TransportError):
            answer = httpx.post(f"http://127.0.0.1:{port}/runs", json={"goal": "Warm up"}, timeout=60)
            if answer.status_code == 202:
                return
        time.sleep(0.1)


if __name__ == "__main__":
    print(table(measure()))
