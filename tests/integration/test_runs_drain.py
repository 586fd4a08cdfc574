"""SIGTERM to real processes: runs and streams go on elsewhere within a second, none fails, no effect is repeated."""

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median

import httpx

from graph.events import RunFinished
from serving.runs.queue import Claim
from tests.integration.run_house import House, gapless, kinds
from tests.integration.worker_process import WorkerProcess, start_api, wait_for
from tests.quickest import quickest

STEPS = ("s1", "s2<s1", "s3<s2")
RUNS = 50


def told_to_go(process: BaseProcess) -> datetime:
    assert process.pid is not None
    now = datetime.now(UTC)
    os.kill(process.pid, signal.SIGTERM)
    return now


async def handed_over_after_s(house: House, since: datetime, runs: list[str]) -> list[float]:
    lines = [event for run_id in runs for event in await house.events(run_id) if event.at > since]
    return [(event.at - since).total_seconds() for event in lines if event.body.kind == "run_handed_over"]


async def test_a_rolling_restart_under_fifty_runs_fails_none_and_repeats_nothing(house: House, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    effects.touch()
    one = WorkerProcess(house.dsn, tmp_path, effects, takes_s=0.4, steps=STEPS, slots=30, holds=True)
    processes = [await asyncio.to_thread(one.start) for _ in range(2)]
    runs = [await house.create() for _ in range(RUNS)]
    await house.notices.flush()
    took: list[list[float]] = []

    async def restarted() -> float:
        await asyncio.to_thread(wait_for, house.dsn, "select not exists (select 1 from runs where status <> 'running')")
        processes.append(await asyncio.to_thread(one.start))
        process = processes.pop(0)
        (tmp_path / f"told-{process.pid}").touch()
        since = told_to_go(process)
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == 0
        took.append(await handed_over_after_s(house, since, runs))
        return max(took[-1])

    first = await restarted()
    best = min(first, await quickest(restarted, 1.0))
    for process in processes:
        (tmp_path / f"told-{process.pid}").touch()
    for run_id in runs:
        view = await house.ended(run_id)
        assert (view.status, len(view.steps)) == ("success", len(STEPS)), view.error
    for process in processes:
        told_to_go(process)
        await asyncio.to_thread(process.join, 60)
    for run_id in runs:
        events = await house.events(run_id)
        assert gapless(events)
        assert kinds(events).count("run_claimed") == kinds(events).count("run_handed_over") + 1
        assert {event.body.attempt for event in events if event.body.kind == "run_claimed"} == {1}, "none counts"
    done = Counter(effects.read_text().split())
    assert (len(done), set(done.values())) == (RUNS * len(STEPS), {1})
    figures = [f"{len(each)} runs, median {median(each):.2f} s, last {max(each):.2f} s" for each in took]
    print("handed over:", *figures, sep="\n  ")
    assert all(len(each) > 5 for each in took)
    assert best < 1.0, figures


async def test_a_run_that_blocks_its_loop_is_handed_over_too(house: House, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    effects.touch()
    stuck = WorkerProcess(house.dsn, tmp_path, effects, turn="blocks", takes_s=0.01, slots=1)

    async def handed_over() -> float:
        run_id = await house.create()
        process = await asyncio.to_thread(stuck.start)
        blocked = """select exists (select from run_events where kind = 'step_started'
            and run_id = (select run_id from runs order by run_id desc limit 1))"""
        await asyncio.to_thread(wait_for, house.dsn, blocked)
        await asyncio.sleep(0.2)
        other = await asyncio.to_thread(replace(stuck, turn="answers").start)
        since = told_to_go(process)
        await asyncio.to_thread(process.join, 60)
        (took,) = await handed_over_after_s(house, since, [run_id])
        view, told = await house.ended(run_id), await house.events(run_id)
        assert view.status == "success", view.error
        assert gapless(told)
        assert {event.body.attempt for event in told if event.body.kind == "run_claimed"} == {1}, "it doesn't count"
        told_to_go(other)
        await asyncio.to_thread(other.join, 60)
        assert (process.exitcode, other.exitcode) == (0, 0)
        return took

    assert await quickest(handed_over, 1.0) < 1.0


def ids_of(lines: list[str]) -> list[str]:
    return [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]


async def test_a_stream_of_an_api_that_stops_ends_whole_and_goes_on_at_another(house: House, tmp_path: Path) -> None:
    async def stopped() -> float:
        return min(await streamed_over_stops(house, tmp_path))

    assert await quickest(stopped, 1.0) < 1.0


async def streamed_over_stops(house: House, home: Path) -> list[float]:
    """How long each of two APIs took to stop, while a run's stream went on from one to the next."""
    run_id, seen, took = await house.create(), list[str](), list[float]()
    claims: tuple[Claim, ...] = ()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    urls = [f"http://127.0.0.1:{each.getsockname()[1]}/runs/{run_id}/events" for each in listeners]
    apis = [start_api(house.dsn, home, each) for each in listeners]
    async with httpx.AsyncClient(timeout=60) as client:
        for api, url in zip(apis[:2], urls, strict=False):
            behind = {"Last-Event-ID": ids_of(seen)[-1]} if seen else {}
            async with client.stream("GET", url, headers=behind) as answer:
                lines = answer.aiter_lines()
                seen.append(await anext(lines))
                begun = time.monotonic()
                told_to_go(api)
                seen += [line async for line in lines]  # would raise if the last chunk were missing
                took.append(time.monotonic() - begun)
            claims += await house.queue.claim()
        await house.queue.leave(claims[0], "success", RunFinished(status="success"))
        answer = await client.get(urls[2], headers={"Last-Event-ID": ids_of(seen)[-1]})
        seen += answer.text.splitlines()
    for api in apis[:2]:
        await asyncio.to_thread(api.join, 60)
        assert not api.is_alive()
    apis[2].kill()
    for each in listeners:
        each.close()
    assert ids_of(seen) == [f"{seq}-{run_id[-12:]}" for seq in (1, 2, 3)]
    return took
