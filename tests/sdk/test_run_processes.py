"""What a run's graph has started ends with the run's attempt, and no other run's."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Server
from tests.acceptance.processes import processes_of, wait_until
from tests.sdk.test_run_survives import worker_of

_SOON_S = 20.0  # 0.6 s on a quiet machine, of which most is the time that SIGTERM is given


def new_mark() -> str:
    """How long a process sleeps, by which it is found again."""
    return f"1000.{random.randrange(10**9):09d}"


def sleeping(server: Server, mark: str) -> list[int]:
    return [pid for pid, command in processes_of(server.home.path).items() if command.split()[:2] == ["sleep", mark]]


async def started(client: Any, server: Server, way: str, processes: int = 1) -> tuple[str, str, str]:
    """(thread, run, mark) of a run whose processes are there."""
    thread, mark = (await client.threads.create())["thread_id"], new_mark()
    run = await client.runs.create(thread, "processes", input={"way": way, "mark": mark})
    assert wait_until(lambda: len(sleeping(server, mark)) == processes)
    return thread, run["run_id"], mark


@pytest.mark.parametrize(
    ("way", "processes"),
    [("in a thread", 1), ("on the loop", 1), ("blocking the loop", 1), ("deaf and scattered", 2)],
)
async def test_a_cancelled_runs_processes_are_gone_and_a_neighbours_live_on(
    client: Any, server: Server, way: str, processes: int
) -> None:
    _, _, beside = neighbour = await started(client, server, "in a thread")
    thread, run, mark = await started(client, server, way, processes)
    asked = time.monotonic()
    await client.runs.cancel(thread, run, wait=True)
    assert wait_until(lambda: not sleeping(server, mark), _SOON_S)
    assert time.monotonic() - asked < _SOON_S
    assert (await client.runs.get(thread, run))["status"] == "interrupted"
    assert len(sleeping(server, beside)) == 1
    await client.runs.cancel(*neighbour[:2], wait=True)
    assert wait_until(lambda: not sleeping(server, beside), _SOON_S)


async def test_a_run_leaves_no_process_behind_when_it_ends(client: Any, thread: str, server: Server) -> None:
    mark = new_mark()
    await client.runs.wait(thread, "processes", input={"way": "left behind", "mark": mark})
    assert wait_until(lambda: not sleeping(server, mark), _SOON_S)


@pytest.mark.parametrize(
    ("number", "way"),
    [(signal.SIGKILL, "in a thread"), (signal.SIGTERM, "in a thread"), (signal.SIGTERM, "blocking the loop")],
)
async def test_a_workers_processes_end_with_it(client: Any, server: Server, number: signal.Signals, way: str) -> None:
    """Killed it can't end them: the owner of the stack does, by their session. The next attempt starts its own."""
    thread, run, mark = await started(client, server, way)
    (before,) = sleeping(server, mark)
    os.kill(worker_of(server, thread), number)
    assert wait_until(lambda: not Path(f"/proc/{before}").exists(), _SOON_S)
    assert wait_until(lambda: len(sleeping(server, mark)) == 1)
    await client.runs.cancel(thread, run, wait=True)
    assert wait_until(lambda: not sleeping(server, mark), _SOON_S)


async def test_nodes_that_nothing_wakes_keep_neither_other_runs_from_going_on_nor_their_process_from_ending(
    client: Any, server: Server
) -> None:
    async def begun() -> tuple[str, str]:
        thread = (await client.threads.create())["thread_id"]
        run = await client.runs.create(thread, "processes", input={"way": "asleep"}, stream_mode="tasks")
        async for part in client.runs.join_stream(thread, run["run_id"], last_event_id="-1"):
            if part.event == "tasks":
                break
        return thread, run["run_id"]

    async def left_behind() -> None:
        await client.runs.cancel(*await begun(), wait=True)

    await asyncio.gather(*(left_behind() for _ in range(min(32, (os.cpu_count() or 1) + 4))))
    thread, run = await begun()
    given = {"way": "in a thread", "mark": "0"}
    assert await asyncio.wait_for(client.runs.wait(None, "processes", input=given), 60) == given
    worker = worker_of(server, thread)
    os.kill(worker, signal.SIGTERM)
    assert wait_until(lambda: not Path(f"/proc/{worker}").exists())
    await client.runs.cancel(thread, run, wait=True)
