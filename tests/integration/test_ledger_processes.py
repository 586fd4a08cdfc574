"""Calls whose process is killed with -9, or stands still: done once, or a person says what became of them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from graph.ledger import EffectDecision
from graph.ports import ToolCall, ToolResult
from graph.tools.builtin.emails import EmailArguments, send_email
from graph.tools.registry import CanCheck, Output, Registry, ToolContext
from graph.tools.runner import ToolRunner
from serving.database import Pool
from serving.errors import Conflict
from serving.mail import OutboxMailer
from serving.runs.attempts.in_flight import InFlight
from serving.runs.decisions.approvals import MemoryApprovals
from serving.runs.decisions.store import Decisions
from serving.runs.ledger import PostgresLedger
from serving.runs.notices import Notices
from serving.runs.store import RunStore
from tests.integration.ledger_rows import ALLOW, MAIL, effects, make_run, take_over

ROOT = Path(__file__).parents[2]

# A worker that is killed with -9 behind the send (the file is there) or before it, or stopped before it.
VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from serving.database import open_pool
from serving.runs.attempts.in_flight import InFlight
from tests.integration.test_ledger_processes import MAIL, OutboxMailer, attempt
from graph.ports import ToolCall

dsn, run_id, folder, honours, when = sys.argv[1:]

class Dying(OutboxMailer):
    async def send(self, email, key):
        if when == "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
            return await super().send(email, key)
        if when == "behind":
            await super().send(email, key)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    pool = open_pool(dsn)
    await pool.open()
    runner = attempt(InFlight(dsn, "the victim"), pool, run_id, 1, Dying(Path(folder)), honours == "yes")
    await runner.run(ToolCall(id="c", name="send_email", arguments=MAIL), "s1")

asyncio.run(main())
"""


def attempt(
    calls: InFlight, pool: Pool, run_id: str, fence: int, mailer: OutboxMailer, honours_key: bool
) -> ToolRunner:
    tool = send_email(mailer)
    registry = Registry([tool if honours_key else replace(tool, reconcile="ask_a_person")])
    return ToolRunner(registry, PostgresLedger(pool, calls, run_id, fence), MemoryApprovals(), run_id, ALLOW)


# ---------------------------------------------------------------- kill -9 around the effect


async def killed_and_taken_over(
    calls: InFlight, dsn: str, pool: Pool, folder: Path, honours: bool, when: str
) -> tuple[str, ToolResult]:
    run_id = make_run(dsn)
    argv = [sys.executable, "-c", VICTIM, dsn, run_id, str(folder), "yes" if honours else "no", when]
    victim = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False, cwd=ROOT)
    assert victim.returncode == -9, victim.stderr
    assert [row[0] for row in effects(dsn, run_id)] == ["prepared"]
    take_over(dsn, run_id)
    runner = attempt(calls, pool, run_id, 2, OutboxMailer(folder), honours)
    return run_id, await runner.run(ToolCall(id="c", name="send_email", arguments=dict(MAIL)), "s1")


@pytest.mark.parametrize("when", ["before", "behind"])
async def test_a_mailer_that_honours_keys_sends_once_whenever_the_worker_is_killed(
    calls: InFlight, database: str, pool: Pool, tmp_path: Path, when: str
) -> None:
    run_id, result = await killed_and_taken_over(calls, database, pool, tmp_path / "outbox", True, when)
    assert result.ok
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    state, tool, fence, _ = effects(database, run_id)[0]
    assert (state, tool, fence) == ("done", "send_email", 2)


async def test_a_mailer_of_one_shot_is_not_used_again_after_a_kill(
    calls: InFlight, database: str, pool: Pool, tmp_path: Path
) -> None:
    """Outside a graph there is nobody to ask: what the runner calls is LangGraph's interrupt."""
    with pytest.raises(RuntimeError, match="outside of a runnable context"):
        await killed_and_taken_over(calls, database, pool, tmp_path / "outbox", False, "behind")
    assert len(list((tmp_path / "outbox").iterdir())) == 1
    with psycopg.connect(database) as connection:
        row = connection.execute("select state, reason, arguments from effects").fetchone()
    assert row == ("unknown", "send_email was interrupted while it ran", MAIL)


# ---------------------------------------------------------------- a process that stands still in the call itself


@contextmanager
def standing_still(dsn: str, run_id: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is stopped behind its last look at its lease, on the way to the mail server."""
    argv = [sys.executable, "-c", VICTIM, dsn, run_id, str(folder), "no", "stops"]
    with subprocess.Popen(argv, cwd=ROOT, stderr=subprocess.PIPE) as victim:
        try:
            os.waitid(os.P_PID, victim.pid, os.WSTOPPED)
            yield victim
        finally:
            victim.kill()


async def code_of(deciding: Awaitable[Any]) -> str:
    with pytest.raises(Conflict) as refused:
        await deciding
    return refused.value.code


async def test_nobody_decides_about_a_call_that_a_stopped_process_may_still_make(
    calls: InFlight, database: str, pool: Pool, tmp_path: Path
) -> None:
    run_id, outbox, decisions = make_run(database), tmp_path / "outbox", Decisions(pool, RunStore(pool, Notices(pool)))
    with standing_still(database, run_id, outbox) as victim:
        take_over(database, run_id)
        runner = attempt(calls, pool, run_id, 2, OutboxMailer(outbox), False)
        with pytest.raises(RuntimeError, match="outside of a runnable context"):
            await runner.run(ToolCall(id="c", name="send_email", arguments=dict(MAIL)), "s1")
        (shown,) = (await decisions.effects(run_id, "unknown", 1, "")).effects
        assert "stands still" in shown.reason

        retry = partial(decisions.decide_effect, run_id, shown.key, EffectDecision(decision="retry"))
        assert await code_of(retry()) == "effect_in_flight"
        victim.send_signal(signal.SIGCONT)
        _, told = await asyncio.to_thread(victim.communicate)
        assert b"FenceLost" in told
        assert len(list(outbox.iterdir())) == 1, "it was let out while nobody could say that it was not"
        assert await code_of(retry()) == "effect_look_again"
    await decisions.decide_effect(run_id, shown.key, EffectDecision(decision="happened"))
    assert [row[0] for row in effects(database, run_id)] == ["done"]


async def test_who_made_a_call_is_looked_for_when_the_process_that_may_make_it_has_ended(
    calls: InFlight, database: str, pool: Pool, tmp_path: Path
) -> None:
    """The check comes behind the stopped process' call, not before it, and finds what that did."""
    run_id, outbox = make_run(database), tmp_path / "outbox"

    async def check(arguments: EmailArguments, context: ToolContext) -> Output | None:
        return Output(data={"sent": True}) if list(outbox.iterdir()) else None

    tool = replace(send_email(OutboxMailer(outbox)), reconcile=CanCheck(check))
    with standing_still(database, run_id, outbox) as victim:
        take_over(database, run_id)
        ledger = PostgresLedger(pool, calls, run_id, 2)
        runner = ToolRunner(Registry([tool]), ledger, MemoryApprovals(), run_id, ALLOW)
        running = asyncio.create_task(runner.run(ToolCall(id="c", name="send_email", arguments=dict(MAIL)), "s1"))
        await asyncio.sleep(0.3)
        assert not running.done()
        victim.send_signal(signal.SIGCONT)
        assert (await running).ok
    assert len(list(outbox.iterdir())) == 1


async def test_calls_are_given_back_when_their_caller_is_cancelled_or_their_session_is_cut(
    calls: InFlight, database: str
) -> None:
    other = InFlight(database, "other")
    async with calls.alone("a", 0) as mine, calls.alone("a", 0) as twice, other.alone("a", 0) as theirs:
        assert (mine, twice, theirs) == (True, False, False)
    taking = asyncio.create_task(calls.alone("a", 0).__aenter__())
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    async with other.alone("a", 5) as theirs:
        assert theirs
        waiting = asyncio.create_task(calls.alone("a", 60).__aenter__())
        await asyncio.sleep(0.1)
        waiting.cancel()
        async with asyncio.timeout(30):  # a run that is cancelled doesn't wait for as long as the call may take
            await asyncio.wait([waiting])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name in ('test', 'other')"
        )
    async with calls.alone("a", 0) as mine:
        assert mine, "a session that was cut while it rested is made anew"
    await other.close()
