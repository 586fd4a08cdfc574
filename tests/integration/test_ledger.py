"""The effect ledger in a real Postgres: once per action, fenced, and honest after a kill -9."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from graph.errors import FenceLost
from graph.ports import Ledger, ToolCall, ToolResult
from graph.tools.builtin.emails import send_email
from graph.tools.policy import Policy, Rule
from graph.tools.registry import Registry
from graph.tools.runner import ToolRunner
from serving.database import Pool, new_id, open_pool
from serving.errors import Conflict
from serving.mail import OutboxMailer
from serving.runs.approvals import MemoryApprovals
from serving.runs.artifacts import PostgresArtifacts
from serving.runs.ledger import MemoryLedger, PostgresLedger

ROOT = Path(__file__).parents[2]
ALLOW = Policy(rules=(Rule(action="allow"),))
MAIL = {"to": "anna@example.com", "subject": "Once", "body": "only"}

# A worker that is killed with -9 at a point of its effect: behind the send (the file is there), or before it.
VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.integration.test_ledger import MAIL, OutboxMailer, attempt, open_pool
from graph.ports import ToolCall

dsn, run_id, folder, honours, when = sys.argv[1:]

class Dying(OutboxMailer):
    async def send(self, email, key):
        if when == "behind":
            await super().send(email, key)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    pool = open_pool(dsn)
    await pool.open()
    runner = attempt(pool, run_id, 1, Dying(Path(folder)), honours == "yes")
    await runner.run(ToolCall(id="c", name="send_email", arguments=MAIL), "s1")

asyncio.run(main())
"""


def make_run(dsn: str, status: str = "running", fence: int = 1) -> str:
    run_id, thread_id = new_id(), new_id()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into threads (thread_id) values (%s)", (thread_id,))
        connection.execute(
            "insert into runs (run_id, thread_id, request, request_digest, status, fence)"
            " values (%s, %s, '{}', '', %s, %s)",
            (run_id, thread_id, status, fence),
        )
    return run_id


def take_over(dsn: str, run_id: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update runs set fence = fence + 1 where run_id = %s", (run_id,))


def effects(dsn: str, run_id: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        query = "select state, tool, fence, result from effects where run_id = %s order by created_at"
        return connection.execute(query, (run_id,)).fetchall()


def attempt(pool: Pool, run_id: str, fence: int, mailer: OutboxMailer, honours_key: bool) -> ToolRunner:
    registry = Registry([send_email(mailer, honours_key)])
    return ToolRunner(registry, PostgresLedger(pool, run_id, fence), MemoryApprovals(), run_id, ALLOW)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = open_pool(database)
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture(params=["postgres", "memory"])
def ledger(request: pytest.FixtureRequest, pool: Pool, database: str) -> Ledger:
    return MemoryLedger() if request.param == "memory" else PostgresLedger(pool, make_run(database), 1)


async def test_a_prepared_effect_is_fresh_once_and_then_waits_to_be_settled(ledger: Ledger) -> None:
    first = await ledger.prepare("k", "send_email", MAIL)
    again = await ledger.prepare("k", "send_email", MAIL)
    assert (first.state, first.fresh, first.result) == ("prepared", True, None)
    assert (again.state, again.fresh) == ("prepared", False)


@pytest.mark.parametrize("state", ["done", "failed", "unknown"])
async def test_a_settled_effect_gives_its_result(ledger: Ledger, state: Any) -> None:
    await ledger.prepare("k", "send_email", MAIL)
    await ledger.settle("k", state, {"ok": True, "content": "ü\x00"})
    effect = await ledger.prepare("k", "send_email", MAIL)
    assert (effect.state, effect.fresh, effect.result) == (state, False, {"ok": True, "content": "ü"})


async def test_a_key_stands_for_one_action(ledger: Ledger) -> None:
    await ledger.prepare("k", "send_email", MAIL)
    for tool, arguments in (("send_email", {**MAIL, "to": "bo@example.com"}), ("draft_email", MAIL)):
        with pytest.raises(Conflict) as refused:
            await ledger.prepare("k", tool, arguments)
        assert refused.value.code == "effect_key_reused"
        assert "example.com" not in str(refused.value)


async def test_of_many_prepares_at_a_time_one_is_fresh(pool: Pool, database: str) -> None:
    ledger = PostgresLedger(pool, make_run(database), 1)
    for key in "abcde":
        found = await asyncio.gather(*(ledger.prepare(key, "send_email", MAIL) for _ in range(10)))
        assert sorted(effect.fresh for effect in found) == [False] * 9 + [True]
        assert {effect.state for effect in found} == {"prepared"}


async def test_a_prepare_that_waits_for_another_transaction_sees_what_it_made(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    ledger = PostgresLedger(pool, run_id, 1)
    await ledger.prepare("k", "send_email", MAIL)
    with psycopg.connect(database) as other:
        other.execute("update effects set state = 'done', result = '{\"ok\": true}' where run_id = %s", (run_id,))
        waiting = asyncio.create_task(ledger.prepare("k", "send_email", MAIL))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        other.commit()
    assert (await waiting).state == "done"


async def test_an_older_attempt_can_neither_prepare_nor_settle_nor_write_files(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    old, files = PostgresLedger(pool, run_id, 1), PostgresArtifacts(pool, run_id, 1)
    await old.prepare("k", "send_email", MAIL)
    take_over(database, run_id)
    with pytest.raises(FenceLost):
        await old.prepare("k2", "send_email", MAIL)
    with pytest.raises(FenceLost):
        await old.settle("k", "done", {})
    with pytest.raises(FenceLost):
        await files.write("a.md", "text/markdown", "late")
    assert [(row[0], row[3]) for row in effects(database, run_id)] == [("prepared", None)]


async def test_a_prepare_in_the_middle_of_a_take_over_is_refused(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    with psycopg.connect(database) as claiming:
        claiming.execute("update runs set fence = fence + 1 where run_id = %s", (run_id,))
        late = asyncio.create_task(PostgresLedger(pool, run_id, 1).prepare("k", "send_email", MAIL))
        await asyncio.sleep(0.2)
        assert not late.done()
        claiming.commit()
    with pytest.raises(FenceLost):
        await late
    assert effects(database, run_id) == []


@pytest.mark.parametrize("status", ["cancelled", "interrupted", "success"])
async def test_a_run_that_does_not_run_prepares_nothing(pool: Pool, database: str, status: str) -> None:
    with pytest.raises(FenceLost):
        await PostgresLedger(pool, make_run(database, status), 1).prepare("k", "send_email", MAIL)


async def test_what_happened_is_recorded_even_if_the_run_was_cancelled_meanwhile(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    ledger = PostgresLedger(pool, run_id, 1)
    await ledger.prepare("k", "send_email", MAIL)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update runs set status = 'cancelled' where run_id = %s", (run_id,))
    await ledger.settle("k", "done", {"ok": True})
    assert effects(database, run_id)[0][0] == "done"


async def test_an_artifact_is_replaced_by_the_last_write_of_its_name(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    files = PostgresArtifacts(pool, run_id, 1)
    await files.write("a.md", "text/markdown", "first")
    where = await files.write("a.md", "text/plain", "second\x00")
    assert where == f"/runs/{run_id}/artifacts/a.md"
    with psycopg.connect(database) as connection:
        rows = connection.execute("select name, media_type, content from artifacts").fetchall()
    assert rows == [("a.md", "text/plain", "second")]


# ---------------------------------------------------------------- kill -9 around the effect


async def killed_and_taken_over(dsn: str, pool: Pool, folder: Path, honours: bool, when: str) -> tuple[str, ToolResult]:
    run_id = make_run(dsn)
    argv = [sys.executable, "-c", VICTIM, dsn, run_id, str(folder), "yes" if honours else "no", when]
    victim = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert victim.returncode == -9, victim.stderr
    assert [row[0] for row in effects(dsn, run_id)] == ["prepared"]
    take_over(dsn, run_id)
    runner = attempt(pool, run_id, 2, OutboxMailer(folder), honours)
    return run_id, await runner.run(ToolCall(id="c", name="send_email", arguments=dict(MAIL)), "s1")


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_a_mailer_that_honours_keys_sends_once_whenever_the_worker_is_killed(
    database: str, pool: Pool, tmp_path: Path, when: str
) -> None:
    run_id, result = await killed_and_taken_over(database, pool, tmp_path / "outbox", True, when)
    assert result.ok
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    state, tool, fence, _ = effects(database, run_id)[0]
    assert (state, tool, fence) == ("done", "send_email", 2)


async def test_a_mailer_of_one_shot_is_not_used_again_after_a_kill(database: str, pool: Pool, tmp_path: Path) -> None:
    run_id, result = await killed_and_taken_over(database, pool, tmp_path / "outbox", False, "behind")
    assert not result.ok
    assert orjson.loads(result.content)["error"]["code"] == "outcome_unknown"
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    assert effects(database, run_id)[0][0] == "unknown"
