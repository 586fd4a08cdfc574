"""What a run of the demo's goal leaves in Postgres, table by table with its indexes, and what it writes ahead."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg

from tests.acceptance.conftest import DEMO
from tests.bench.figure import Figure, table
from tests.bench.running import Stack, ingest, running_stack

_RUNS = 24
_LEAST_BYTES = 256
_SIZES = """
    select relname, pg_total_relation_size(oid) from pg_class
    where relkind = 'r' and relnamespace = 'public'::regnamespace
"""
_ABOUT_A_RUN = """
    select avg((select count(*) from run_events where run_events.run_id = runs.run_id))::float8,
        avg((select count(*) from run_events where run_events.run_id = runs.run_id and kind = 'step_finished'))::float8
    from runs
"""


def measure() -> Iterator[Figure]:
    with running_stack() as stack:
        body = {"goal": (DEMO / "goal.txt").read_text(), "collection": asyncio.run(ingest(stack, DEMO / "documents"))}
        _finish(stack, body, 8)  # tables have their first pages by then
        sizes, before = _sizes(stack), _wal_bytes(stack)
        _finish(stack, body, _RUNS)
        wal = (_wal_bytes(stack) - before) / _RUNS
        grown = {name: (size - sizes[name]) / _RUNS for name, size in _sizes(stack).items()}
        events, steps = _rows(stack, _ABOUT_A_RUN)[0]
    about = f"the demo's goal: {steps:.0f} steps, {events:.0f} log lines; one run after the other"
    yield from _both("bytes kept", sum(grown.values()), steps, about)
    yield from _both("write-ahead log", wal, steps, "full pages after a checkpoint are in it")
    for name, size in sorted(grown.items(), key=lambda item: -item[1]):
        if size >= _LEAST_BYTES:
            yield Figure(f"{name} of a run", size / 1024, "KiB", None, "with its indexes")


def _both(what: str, of_a_run: float, steps: float, about: str) -> Iterator[Figure]:
    yield Figure(f"{what} of a run", of_a_run / 1024, "KiB", None, about)
    yield Figure(f"{what} of a step", of_a_run / steps / 1024, "KiB", None, "of a run, by its steps")


def _finish(stack: Stack, body: dict[str, Any], runs: int) -> None:
    with httpx.Client(base_url=stack.url, timeout=120) as client:
        for _ in range(runs):
            run = client.post("/runs", params={"wait": "true"}, json=body).raise_for_status().json()
            assert run["status"] == "success", run


def _sizes(stack: Stack) -> dict[str, int]:
    return {name: int(size) for name, size in _rows(stack, _SIZES)}


def _wal_bytes(stack: Stack) -> int:
    return int(_rows(stack, "select pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])


def _rows(stack: Stack, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.dsn) as connection:
        return connection.execute(query.encode()).fetchall()


if __name__ == "__main__":
    print(table(measure()))
