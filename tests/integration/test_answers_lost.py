"""The connection is cut behind a commit and before its answer: whoever asked goes on, and nothing is done twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from graph.ports import ModelCall, ModelReply
from memory.store import MemoryStore
from serving.auth.callers import Callers
from serving.database import new_id
from serving.runs.launches import Asked, Launches
from serving.runs.requests.launch import Launch
from serving.runs.requests.request import RunRequest
from serving.wiring import memory_store
from tests.integration.api_house import open_api
from tests.integration.cutting_proxy import CuttingProxy
from tests.integration.run_house import GOAL, KEY, House, Lookup, gapless, kinds, open_house, until
from tests.integration.scripted_models import Gate, ScriptedModels, finds_and_reports, plans

APPEND, CHECKPOINT = "append_events(owned.", "insert into state_checkpoints"
CLAIM, END = "started_at = coalesce(", "finished_at = case"


@pytest.fixture
def proxy(runs_database: str) -> Iterator[CuttingProxy]:
    with CuttingProxy(runs_database).running() as proxy:
        yield proxy


@pytest.fixture
async def far(house: House, proxy: CuttingProxy, runs_memory: MemoryStore, tmp_path: Path) -> AsyncIterator[House]:
    """The same database, behind the proxy; who had to wait for a lease to lapse would wait for too long."""
    async with open_house(proxy.dsn, tmp_path, runs_memory, lease_s=90) as far:
        yield far


def models() -> ScriptedModels:
    return ScriptedModels(planner=plans("s1", "s2<s1"))


async def test_a_create_that_is_sent_again_while_the_first_ones_run_is_claimed_is_the_same_run(house: House) -> None:
    """A create takes the thread before the run, a claim the run before the thread: Postgres ends one of them."""
    run_id, thread_id = new_id(), new_id()
    launches, made = Launches(house.pool, house.notices, Callers(KEY)), {"thread": thread_id, "run": run_id}
    asked = Asked("slow", new_id(), thread_id, False, {}, {}, Launch(), "{}")
    house.execute("insert into threads (thread_id) values (%s)", thread_id)
    async with await psycopg.AsyncConnection.connect(house.dsn) as connection:
        await connection.execute("set deadlock_timeout = '30s'")  # the other one is ended
        first = """insert into runs (run_id, thread_id, request, request_digest, status)
            values (%(run)s, %(thread)s, '{}', '', 'pending')"""
        await connection.execute(first, made)
        again = asyncio.create_task(launches.create_once(asked, run_id))
        await house.until_one_waits_for_a_lock()
        await connection.execute("update threads set metadata = '{}' where thread_id = %(thread)s", made)
    assert str((await again)["run_id"]) == run_id
    assert house.execute("select count(*) from runs") == [(1,)]


async def test_a_create_whose_answer_is_lost_is_the_same_run_when_it_is_sent_again(
    house: House, far: House, proxy: CuttingProxy
) -> None:
    lost = proxy.cut("insert into runs ")
    with pytest.raises(psycopg.OperationalError):
        await far.store.create(RunRequest(goal=GOAL), "k1")
    assert lost.is_set()
    run, new = await far.store.create(RunRequest(goal=GOAL), "k1")
    assert not new
    assert house.execute("select run_id::text, last_seq from runs") == [(run.run_id, 1)]


@pytest.mark.parametrize(
    ("words", "skip"),
    [(APPEND, 1), (APPEND, 4), (APPEND, 9), (CHECKPOINT, 0), (CHECKPOINT, 3), (CLAIM, 0), (END, 0)],
)
async def test_a_run_whose_answer_is_lost_goes_on_before_its_lease_is_over_and_repeats_nothing(
    far: House, proxy: CuttingProxy, words: str, skip: int
) -> None:
    plain = await far.finish(models())
    told = kinds(await far.events(plain.run_id))
    lookup, run_id = Lookup(), await far.create()
    lost = proxy.cut(words, skip)
    async with far.worker(models(), lookup):
        assert await asyncio.to_thread(lost.wait, 30)
        view = await far.ended(run_id)
    assert view.status == "success"
    events = await far.events(run_id)
    assert gapless(events)
    assert [kind for kind in kinds(events) if kind != "run_claimed"] == [k for k in told if k != "run_claimed"]
    assert len(lookup.asked) == 2


async def test_a_pool_without_a_free_connection_ends_attempts_and_no_run(house: House, far: House) -> None:
    """What their models said can't be written: of none is a line lost, and each comes to its end in another attempt."""
    gates = [Gate() for _ in range(4)]
    coming = iter(gates)

    async def stands_still(call: ModelCall) -> ModelReply:
        gate = next(coming, None)
        return await (gate or finds_and_reports)(call)

    async with far.worker(ScriptedModels(worker=stands_still)) as worker, AsyncExitStack() as held:
        run_ids = [await house.create() for _ in range(4)]
        for gate in gates:
            await asyncio.wait_for(gate.reached.wait(), 60)
        for _ in range(far.pool.max_size):
            await held.enter_async_context(far.pool.connection(timeout=60))
        far.pool.timeout = 0.3
        for gate in gates:
            gate.open()
        await until(lambda: not worker._attempts)
        await held.aclose()
        views = [await house.ended(run_id) for run_id in run_ids]
    assert {view.status for view in views} == {"success"}
    logs = [await house.events(run_id) for run_id in run_ids]
    assert all(gapless(log) for log in logs)
    assert all(kinds(log).count("run_claimed") > 1 for log in logs)


async def test_a_way_that_was_closed_for_a_while_is_used_again_by_all(far: House, proxy: CuttingProxy) -> None:
    async with far.worker(models(), Lookup(takes_s=0.1)):
        run_ids = [await far.create() for _ in range(8)]
        await asyncio.sleep(0.3)
        proxy.down()
        await asyncio.sleep(2)
        proxy.up()
        views = [await far.ended(run_id) for run_id in run_ids]
    assert {view.status for view in views} == {"success"}
    for run_id in run_ids:
        assert gapless(await far.events(run_id))


async def test_without_a_database_every_route_says_503_in_seconds_and_with_one_it_answers_again(
    house: House, far: House, proxy: CuttingProxy, tmp_path: Path
) -> None:
    run_id = (await far.finish(models())).run_id
    new: dict[str, Any] = {"json": {"goal": GOAL}, "headers": {"Idempotency-Key": "k"}}
    memory = memory_store(proxy.dsn, tmp_path)
    async with open_api(far, memory) as client:

        async def answers() -> list[httpx.Response]:
            return await asyncio.gather(
                client.post("/runs", **new),
                client.post("/runs", json={"goal": "Write to ann@example.com"}),
                client.post(f"/runs/{run_id}/resume"),
                *(client.get(path) for path in ("/ok", "/runs", f"/runs/{run_id}", f"/runs/{run_id}/events")),
                *(client.get(path) for path in (f"/runs/{run_id}/audit", "/collections/docs", "/memory", "/effects")),
            )

        before = [answer.status_code for answer in await answers()]
        proxy.down()
        started = time.monotonic()
        refused = await answers()
        assert time.monotonic() - started < 30
        for answer in refused:
            assert answer.status_code == 503, (answer.request.url, answer.text)
            assert answer.headers["Retry-After"]
            assert set(answer.json()) == {"code", "message", "hint", "request_id"}
        proxy.up()
        started = time.monotonic()
        assert {answer.status_code for answer in await answers()} <= set(before)
        assert time.monotonic() - started < 20
    await memory.close()
