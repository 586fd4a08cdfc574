"""Approvals as rows: asked once, decided once and in time, bound to one action, and never decided by a mere resume."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypedDict

import orjson
import psycopg
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command

from graph.errors import FenceLost
from graph.ports import ApprovalDecision, ApprovalRequest, ToolCall
from graph.tools.builtin.emails import send_email
from graph.tools.registry import Registry
from graph.tools.runner import ToolRunner
from serving.database import Pool
from serving.errors import BadRequest, Conflict, NotFound
from serving.mail import OutboxMailer
from serving.runs.attempts.in_flight import InFlight
from serving.runs.decisions.approvals import PostgresApprovals, decide
from serving.runs.ledger import PostgresLedger
from tests.integration.ledger_rows import make_run, take_over

MAILS = (
    {"to": "anna@example.com", "subject": "First", "body": "one"},
    {"to": "bo@example.com", "subject": "Second", "body": "two"},
)
APPROVE = ApprovalDecision(type="approve", by="ops@example.com")


def request_of(id_: str = "a1", digest: str = "d", seconds: float = 60) -> ApprovalRequest:
    return ApprovalRequest(
        id=id_,
        kind="tool",
        name="send_email",
        arguments=MAILS[0],
        description="Step s1 asks",
        digest=digest,
        expires_at=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),
    )


def expire(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update approvals set expires_at = clock_timestamp()")


async def taken(pool: Pool, run_id: str, approval_id: str, decision: ApprovalDecision = APPROVE) -> ApprovalRequest:
    async with pool.connection() as connection, connection.transaction():
        return await decide(connection, run_id, approval_id, decision)


def rows(dsn: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        query = "select approval_id, decision, decided_by, request from approvals order by created_at"
        return connection.execute(query).fetchall()


async def test_a_request_is_recorded_once_and_gives_the_decision_when_there_is_one(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    approvals = PostgresApprovals(pool, run_id, 1)
    assert await approvals.request(request_of()) is None
    assert await approvals.request(request_of()) is None
    asked = await taken(pool, run_id, "a1")
    assert asked.arguments == MAILS[0]
    decision = await approvals.request(request_of())
    assert decision == APPROVE.model_copy(update={"approval_id": "a1"})
    assert len(rows(database)) == 1


async def test_an_edit_is_kept_beside_what_was_asked_with_the_reviewers_name(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    await PostgresApprovals(pool, run_id, 1).request(request_of())
    edited = {**MAILS[0], "subject": "Better"}
    await taken(pool, run_id, "a1", ApprovalDecision(type="edit", arguments=edited, by="mia"))
    _, decision, by, request = rows(database)[0]
    assert (decision["arguments"], request["arguments"], by) == (edited, MAILS[0], "mia")


async def test_a_second_decision_is_refused_and_changes_nothing(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    await PostgresApprovals(pool, run_id, 1).request(request_of())
    await taken(pool, run_id, "a1", ApprovalDecision(type="reject", by="mia"))
    with pytest.raises(Conflict) as refused:
        await taken(pool, run_id, "a1")
    assert refused.value.code == "approval_already_decided"
    assert rows(database)[0][2] == "mia"


async def test_of_many_decisions_at_a_time_one_is_taken(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    await PostgresApprovals(pool, run_id, 1).request(request_of())
    results = await asyncio.gather(*(taken(pool, run_id, "a1") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, ApprovalRequest) for result in results) == 1
    codes = {result.code for result in results if isinstance(result, Conflict)}
    assert codes == {"approval_already_decided"}


async def test_a_late_decision_is_refused_and_the_run_goes_on_with_a_rejection(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    approvals = PostgresApprovals(pool, run_id, 1)
    assert await approvals.request(request_of()) is None
    expire(database)
    with pytest.raises(Conflict) as refused:
        await taken(pool, run_id, "a1")
    assert refused.value.code == "approval_expired"
    decision = await approvals.request(request_of())
    assert decision is not None
    assert decision.type == "reject"
    assert "nobody decided" in decision.reason


async def test_a_decision_taken_in_time_stands_when_it_is_read_late(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    approvals = PostgresApprovals(pool, run_id, 1)
    await approvals.request(request_of())
    await taken(pool, run_id, "a1")
    expire(database)
    decision = await approvals.request(request_of())
    assert decision is not None
    assert decision.type == "approve"


async def test_what_cannot_be_decided_is_refused_by_kind(pool: Pool, database: str) -> None:
    run_id, other = make_run(database), make_run(database)
    await PostgresApprovals(pool, run_id, 1).request(request_of())
    with pytest.raises(NotFound):
        await taken(pool, run_id, "nobody-asked")
    with pytest.raises(Conflict, match="another run's"):
        await taken(pool, other, "a1")
    with pytest.raises(BadRequest):
        await taken(pool, run_id, "a1", ApprovalDecision(type="edit"))


async def test_an_approval_is_bound_to_the_digest_it_was_asked_for(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    approvals = PostgresApprovals(pool, run_id, 1)
    await approvals.request(request_of(digest="of one action"))
    await taken(pool, run_id, "a1")
    with pytest.raises(Conflict) as refused:
        await approvals.request(request_of(digest="of another"))
    assert refused.value.code == "approval_other_action"


async def test_an_older_attempt_can_ask_for_nothing(pool: Pool, database: str) -> None:
    run_id = make_run(database)
    take_over(database, run_id)
    with pytest.raises(FenceLost):
        await PostgresApprovals(pool, run_id, 1).request(request_of())
    assert rows(database) == []


# ---------------------------------------------------------------- through a real graph


class Mails(TypedDict, total=False):
    results: list[str]


class Office:
    """A graph of one node that asks for both e-mails at the same time; decisions rest in Postgres."""

    def __init__(self, calls: InFlight, pool: Pool, run_id: str, folder: Path) -> None:
        self._folder = folder
        registry = Registry([send_email(OutboxMailer(folder))])
        runner = ToolRunner(
            registry, PostgresLedger(pool, calls, run_id, 1), PostgresApprovals(pool, run_id, 1), run_id
        )

        async def node(state: Mails) -> Mails:
            calls = [ToolCall(id=mail["to"], name="send_email", arguments=dict(mail)) for mail in MAILS]
            found = await asyncio.gather(*(runner.run(call, "s1") for call in calls), return_exceptions=True)
            for result in found:
                if isinstance(result, BaseException):
                    raise result
            return {"results": [result.content for result in found if not isinstance(result, BaseException)]}

        builder = StateGraph(Mails)
        builder.add_node("work", node)
        builder.add_edge(START, "work")
        self._graph = builder.compile(checkpointer=InMemorySaver())

    async def go(self, given: Mails | Command[Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = await self._graph.ainvoke(given, {"configurable": {"thread_id": "t"}})
        return answer

    def sent(self) -> list[str]:
        files = self._folder.glob("*.eml")
        lines = [line for file in files for line in file.read_text().splitlines()]
        return sorted(line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: "))


def asked(dsn: str) -> dict[str, str]:
    """Subject -> approval id of what is asked."""
    return {row[3]["arguments"]["subject"]: row[0] for row in rows(dsn)}


@pytest.mark.parametrize("order", [("First", "Second"), ("Second", "First")])
async def test_two_emails_of_one_node_are_decided_in_either_order(
    calls: InFlight, pool: Pool, database: str, tmp_path: Path, order: tuple[str, str]
) -> None:
    run_id = make_run(database)
    office = Office(calls, pool, run_id, tmp_path)
    assert "__interrupt__" in await office.go({"results": []})
    ids = asked(database)
    await taken(pool, run_id, ids[order[0]])
    assert "__interrupt__" in await office.go(None)
    assert office.sent() == [order[0]]
    await taken(pool, run_id, ids[order[1]], ApprovalDecision(type="reject", reason="not now", by="mia"))
    results = [orjson.loads(text) for text in (await office.go(None))["results"]]
    assert office.sent() == [order[0]]
    rejected = results[0 if order[1] == "First" else 1]
    assert rejected["error"]["message"].endswith("not now")


@pytest.mark.parametrize("value", [True, "approve", {"decisions": [{"type": "approve"}]}, [{"type": "accept"}]])
async def test_a_resume_without_a_decided_row_sends_nothing(
    calls: InFlight, pool: Pool, database: str, tmp_path: Path, value: Any
) -> None:
    run_id = make_run(database)
    office = Office(calls, pool, run_id, tmp_path)
    await office.go({"results": []})
    assert "__interrupt__" in await office.go(Command(resume=value))
    await taken(pool, run_id, asked(database)["First"])
    assert "__interrupt__" in await office.go(Command(resume=value))
    assert office.sent() == ["First"]


async def test_asking_again_after_a_restart_finds_the_same_rows(
    calls: InFlight, pool: Pool, database: str, tmp_path: Path
) -> None:
    run_id = make_run(database)
    await Office(calls, pool, run_id, tmp_path).go({"results": []})
    before = asked(database)
    await Office(calls, pool, run_id, tmp_path).go({"results": []})
    assert asked(database) == before
    assert len(rows(database)) == 2
