"""Runs and their effects as rows, and the e-mail that they are about."""

from typing import Any

import psycopg

from graph.ledger import EffectCall
from graph.tools.policy import Policy, Rule
from serving.database import new_id

ALLOW = Policy(rules=(Rule(action="allow"),))
MAIL = {"to": "anna@example.com", "subject": "Once", "body": "only"}
CALL = EffectCall(key="k", step_id="s1", tool="send_email", arguments=MAIL)


def make_run(dsn: str, status: str = "running", fence: int = 1, thread_id: str = "") -> str:
    run_id, thread_id = new_id(), thread_id or new_id()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into threads (thread_id) values (%s)", (thread_id,))
        connection.execute(
            "insert into runs (run_id, thread_id, request, request_digest, status, fence)"
            " values (%s, %s, %s, '', %s, %s)",
            (run_id, thread_id, '{"goal": "send it"}', status, fence),
        )
    return run_id


def take_over(dsn: str, run_id: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update runs set fence = fence + 1 where run_id = %s", (run_id,))


def effects(dsn: str, run_id: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        query = "select state, tool, fence, result from effects where run_id = %s order by created_at"
        return connection.execute(query, (run_id,)).fetchall()
