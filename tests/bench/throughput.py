"""Runs that are carried out and finished, several at a time, and what each one costs in CPU and in write-ahead log."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg

from tests.acceptance.conftest import DEMO
from tests.bench import hosted_runs, plain_runs
from tests.bench.figure import Figure, table
from tests.bench.processes import cpu_seconds
from tests.bench.running import Stack, ingest, running_stack

_CONCURRENCY = 8
_RUNS = 80
_STEPS = 3
_GOAL = (
    "How many vacation days can I carry over? Which supplier has the longest warranty on rowing machines? "
    "What is the total of the paid invoices by country?"
)


def measure() -> Iterator[Figure]:
    with running_stack() as stack:
        body = {"goal": _GOAL, "collection": asyncio.run(ingest(stack, DEMO / "documents"))}
        asyncio.run(_finish(stack, body, _CONCURRENCY))  # everything is loaded by then
        cpu, wal, started = _cpu(stack), _wal_bytes(stack), time.monotonic()
        asyncio.run(_finish(stack, body, _RUNS))
        seconds = time.monotonic() - started
        cpu_ms, wal_kib = (_cpu(stack) - cpu) / _RUNS * 1000, (_wal_bytes(stack) - wal) / _RUNS / 1024
    about = f"{_STEPS} steps, {_CONCURRENCY} at a time, one worker"
    yield Figure("finished runs", _RUNS / seconds, "/s", None, about, least=100)
    yield Figure("finished run: CPU", cpu_ms, "ms", None, "API, worker and Postgres together")
    yield Figure("finished run: write-ahead log", wal_kib, "KiB", None, "log, checkpoints, run row")
    yield from plain_runs.measure()
    yield from hosted_runs.measure()


async def _finish(stack: Stack, body: dict[str, Any], runs: int) -> None:
    waiting = iter(range(runs))

    async def one_after_the_other(client: httpx.AsyncClient) -> None:
        for _ in waiting:
            answer = await client.post("/runs", params={"wait": "true"}, json=body)
            run = answer.raise_for_status().json()
            assert run["status"] == "success", run
            assert len(run["plan"]["steps"]) == _STEPS, run["plan"]

    async with httpx.AsyncClient(base_url=stack.url, timeout=120) as client:
        await asyncio.gather(*(one_after_the_other(client) for _ in range(_CONCURRENCY)))


def _cpu(stack: Stack) -> float:
    return cpu_seconds(stack.pid, stack.home.path)


def _wal_bytes(stack: Stack) -> int:
    with psycopg.connect(stack.dsn) as connection:
        row = connection.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    print(table(measure()))
