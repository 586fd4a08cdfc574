"""The effect ledger in a real Postgres: once per action, fenced, and honest after a kill -9."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import psycopg
import pytest

from graph.errors import FenceLost
from graph.ledger import EffectCall, EffectDecision, Ledger
from graph.ports import ApprovalDecision, ApprovalRequest, ToolCall
from graph.tools.content import digest
from graph.tools.registry import Arguments, CanCheck, Output, Registry, Tool, ToolContext
from graph.tools.runner import ToolRunner
from serving.database import Pool
from serving.errors import Conflict
from serving.runs.artifacts import PostgresArtifacts
from serving.runs.attempts.in_flight import InFlight
from serving.runs.decisions.approvals import MemoryApprovals, PostgresApprovals, decide
from serving.runs.ledger import MemoryLedger, PostgresLedger
from tests.integration.ledger_rows import ALLOW, CALL, MAIL, effects, make_run, take_over


def keyed(key: str) -> EffectCall:
    return CALL.model_copy(update={"key": key})


@pytest.fixture(params=["postgres", "memory"])
def ledger(request: pytest.FixtureRequest, calls: InFlight, pool: Pool, database: str) -> Ledger:
    return MemoryLedger() if request.param == "memory" else PostgresLedger(pool, calls, make_run(database), 1)


async def test_a_prepared_effect_is_fresh_once_and_then_waits_to_be_settled(ledger: Ledger) -> None:
    first = await ledger.prepare(CALL)
    again = await ledger.prepare(CALL)
    assert (first.state, first.fresh, first.result) == ("prepared", True, None)
    assert (again.state, again.fresh) == ("prepared", False)


@pytest.mark.parametrize("state", ["done", "failed"])
async def test_a_settled_effect_gives_its_result(ledger: Ledger, state: Any) -> None:
    await ledger.prepare(CALL)
    await ledger.settle("k", state, {"ok": True, "content": "ü\x00"})
    effect = await ledger.prepare(CALL)
    assert (effect.state, effect.fresh, effect.result) == (state, False, {"ok": True, "content": "ü"})


async def test_an_effect_that_is_left_open_says_why_and_is_not_let_out_again(ledger: Ledger) -> None:
    await ledger.prepare(CALL)
    await ledger.leave_open(CALL, "send_email was interrupted while it ran")
    effect = await ledger.prepare(CALL)
    assert (effect.state, effect.fresh, effect.result) == ("unknown", False, None)
    assert effect.reason == "send_email was interrupted while it ran"


async def test_a_resume_decides_nothing_where_decisions_rest_in_rows(
    calls: InFlight, pool: Pool, database: str
) -> None:
    ledger = PostgresLedger(pool, calls, make_run(database), 1)
    await ledger.prepare(CALL)
    await ledger.leave_open(CALL, "cut")
    await ledger.hear("k", EffectDecision(decision="retry"))
    assert (await ledger.prepare(CALL)).state == "unknown"


STATES = ("proposed", "approved", "prepared", "done", "failed", "unknown")
LEGAL = {
    ("proposed", "approved"),
    ("proposed", "failed"),
    ("approved", "prepared"),
    ("prepared", "done"),
    ("prepared", "failed"),
    ("prepared", "unknown"),
    ("unknown", "done"),
    ("unknown", "failed"),
    ("unknown", "approved"),
}
WAYS = {
    "proposed": ("proposed",),
    "approved": ("proposed", "approved"),
    "prepared": ("prepared",),
    "done": ("prepared", "done"),
    "failed": ("prepared", "failed"),
    "unknown": ("prepared", "unknown"),
}


def test_the_database_refuses_every_step_between_states_that_is_not_one(database: str) -> None:
    run_id = make_run(database)
    insert = (
        "insert into effects (run_id, key, tool, arguments_digest, state, fence) values (%s, %s, 'note', '', %s, 1)"
    )
    update = "update effects set state = %s where run_id = %s and key = %s"
    taken, refused = set(), 0
    with psycopg.connect(database, autocommit=True) as connection:
        for first in ("approved", "done", "failed", "unknown"):
            with pytest.raises(psycopg.errors.CheckViolation, match="can't begin as"):
                connection.execute(insert, (run_id, first, first))
        for here in STATES:
            for there in STATES:
                begin, *way = WAYS[here]
                connection.execute(insert, (run_id, here + there, begin))
                for state in way:
                    connection.execute(update, (state, run_id, here + there))
                try:
                    connection.execute(update, (there, run_id, here + there))
                    taken.add((here, there))
                except psycopg.errors.CheckViolation:
                    refused += 1
        stays = {(state, state) for state in STATES}
        assert taken == LEGAL | stays
        assert len(taken) + refused == 36
        moments = "proposed_at, approved_at, prepared_at, unknown_at, settled_at"
        query = f"select {moments} from effects where run_id = %s and key = %s"  # noqa: S608
        ways = {"approvedprepared": 3, "unknowndone": 3, "proposedfailed": 2, "preparedprepared": 1}
        for key, known in ways.items():
            row = connection.execute(query.encode(), (run_id, key)).fetchone()
            assert row is not None
            at = [moment for moment in row if moment]
            assert (len(at), at) == (known, sorted(at)), key


async def test_an_effect_that_policy_allows_costs_two_commits_and_one_that_is_asked_about_none_more(
    calls: InFlight, pool: Pool, database: str
) -> None:
    run_id = make_run(database)
    ledger, approvals = PostgresLedger(pool, calls, run_id, 1), PostgresApprovals(pool, run_id, 1)

    async def commits(work: Awaitable[Any]) -> int:
        async with pool.connection() as connection:
            before = await (await connection.execute("select pg_current_xact_id()::text::bigint as x")).fetchone()
        await work
        async with pool.connection() as connection:
            after = await (await connection.execute("select pg_current_xact_id()::text::bigint as x")).fetchone()
        assert before is not None
        assert after is not None
        return int(after["x"] - before["x"]) - 1

    assert await commits(ledger.prepare(CALL)) == 1
    assert await commits(ledger.settle("k", "done", {"ok": True, "content": "{}"})) == 1
    request = ApprovalRequest(
        id="a",
        kind="tool",
        name="send_email",
        arguments=MAIL,
        description="",
        digest="d",
        expires_at="2999-01-01T00:00:00Z",
        step_id="s1",
        effect_key="asked",
    )
    assert await commits(approvals.request(request)) == 1

    async def say_yes() -> None:
        async with pool.connection() as connection, connection.transaction():
            await decide(connection, run_id, "a", ApprovalDecision(type="approve"))

    assert [row[0] for row in effects(database, run_id)] == ["done", "proposed"]
    assert await commits(say_yes()) == 1
    assert [row[0] for row in effects(database, run_id)] == ["done", "approved"]
    effect = await ledger.prepare(keyed("asked"))
    assert (effect.state, effect.fresh) == ("prepared", True)
    assert not (await ledger.prepare(keyed("asked"))).fresh


async def test_of_many_prepares_of_an_approved_effect_one_is_fresh(calls: InFlight, pool: Pool, database: str) -> None:
    run_id = make_run(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into effects (run_id, key, tool, arguments_digest, state, fence)"
            " values (%s, 'k', 'send_email', %s, 'proposed', 1)",
            (run_id, digest(MAIL)),
        )
        connection.execute("update effects set state = 'approved'")
    ledger = PostgresLedger(pool, calls, run_id, 1)
    found = await asyncio.gather(*(ledger.prepare(CALL) for _ in range(10)))
    assert sorted(effect.fresh for effect in found) == [False] * 9 + [True]


async def test_an_approved_effect_is_not_let_out_for_other_arguments(
    calls: InFlight, pool: Pool, database: str
) -> None:
    run_id = make_run(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "insert into effects (run_id, key, tool, arguments_digest, state, fence)"
            " values (%s, 'k', 'send_email', 'of other arguments', 'proposed', 1)",
            (run_id,),
        )
        connection.execute("update effects set state = 'approved'")
    with pytest.raises(Conflict):
        await PostgresLedger(pool, calls, run_id, 1).prepare(CALL)
    assert effects(database, run_id)[0][0] == "approved"


async def test_a_key_stands_for_one_action(ledger: Ledger) -> None:
    await ledger.prepare(CALL)
    for tool, arguments in (("send_email", {**MAIL, "to": "bo@example.com"}), ("draft_email", MAIL)):
        with pytest.raises(Conflict) as refused:
            await ledger.prepare(EffectCall(key="k", step_id="s1", tool=tool, arguments=arguments))
        assert refused.value.code == "effect_key_reused"
        assert "example.com" not in str(refused.value)


async def test_of_many_prepares_at_a_time_one_is_fresh(calls: InFlight, pool: Pool, database: str) -> None:
    ledger = PostgresLedger(pool, calls, make_run(database), 1)
    for key in "abcde":
        found = await asyncio.gather(*(ledger.prepare(keyed(key)) for _ in range(10)))
        assert sorted(effect.fresh for effect in found) == [False] * 9 + [True]
        assert {effect.state for effect in found} == {"prepared"}


async def test_a_prepare_that_waits_for_another_transaction_sees_what_it_made(
    calls: InFlight, pool: Pool, database: str
) -> None:
    run_id = make_run(database)
    ledger = PostgresLedger(pool, calls, run_id, 1)
    await ledger.prepare(CALL)
    with psycopg.connect(database) as other:
        other.execute("update effects set state = 'done', result = '{\"ok\": true}' where run_id = %s", (run_id,))
        waiting = asyncio.create_task(ledger.prepare(CALL))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        other.commit()
    assert (await waiting).state == "done"


async def test_an_older_attempt_can_neither_prepare_nor_settle_nor_write_files(
    calls: InFlight, pool: Pool, database: str
) -> None:
    run_id = make_run(database)
    old, files = PostgresLedger(pool, calls, run_id, 1), PostgresArtifacts(pool, run_id, 1)
    await old.prepare(CALL)
    take_over(database, run_id)
    with pytest.raises(FenceLost):
        await old.prepare(keyed("k2"))
    with pytest.raises(FenceLost):
        await old.settle("k", "done", {})
    with pytest.raises(FenceLost):
        await files.write("a.md", "text/markdown", "late")
    assert [(row[0], row[3]) for row in effects(database, run_id)] == [("prepared", None)]


async def test_a_prepare_in_the_middle_of_a_take_over_is_refused(calls: InFlight, pool: Pool, database: str) -> None:
    run_id = make_run(database)
    with psycopg.connect(database) as claiming:
        claiming.execute("update runs set fence = fence + 1 where run_id = %s", (run_id,))
        late = asyncio.create_task(PostgresLedger(pool, calls, run_id, 1).prepare(CALL))
        await asyncio.sleep(0.2)
        assert not late.done()
        claiming.commit()
    with pytest.raises(FenceLost):
        await late
    assert effects(database, run_id) == []


@pytest.mark.parametrize("status", ["cancelled", "interrupted", "success"])
async def test_a_run_that_does_not_run_prepares_nothing(
    calls: InFlight, pool: Pool, database: str, status: str
) -> None:
    with pytest.raises(FenceLost):
        await PostgresLedger(pool, calls, make_run(database, status), 1).prepare(CALL)


async def test_what_happened_is_recorded_even_if_the_run_was_cancelled_meanwhile(
    calls: InFlight, pool: Pool, database: str
) -> None:
    run_id = make_run(database)
    ledger = PostgresLedger(pool, calls, run_id, 1)
    await ledger.prepare(CALL)
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


class Posted(Arguments):
    text: str


@pytest.mark.parametrize("ends", ["behind the commit", "while it is checked"])
async def test_an_effect_is_not_let_out_once_the_lease_has_ended_by_the_attempts_own_clock(
    calls: InFlight, pool: Pool, database: str, ends: str
) -> None:
    """A process that stood still finds out before it calls: another attempt may have checked and called."""
    seen: list[str] = []

    async def call(arguments: Posted, context: ToolContext) -> Output:
        seen.append("called")
        return Output(data={})

    async def check(arguments: Posted, context: ToolContext) -> Output | None:
        seen.append("checked")
        return None

    tool = Tool(name="post", description="Posts", parameters=Posted, call=call, risk=1, reconcile=CanCheck(check))
    run_id, asked = make_run(database), ToolCall(id="c", name="post", arguments={"text": "once"})
    if ends == "while it is checked":
        key = digest(run_id, "s1", "post", tool.version, asked.arguments)
        died = EffectCall(key=key, step_id="s1", tool="post", arguments=asked.arguments)
        await PostgresLedger(pool, calls, run_id, 1).prepare(died)
    ledger = PostgresLedger(pool, calls, run_id, 1, lasts=lambda: ends == "while it is checked" and not seen)
    with pytest.raises(FenceLost):
        await ToolRunner(Registry([tool]), ledger, MemoryApprovals(), run_id, ALLOW).run(asked, "s1")
    assert seen == (["checked"] if ends == "while it is checked" else [])
    assert [state for state, *_ in effects(database, run_id)] == ["prepared"]
