"""The fence in SQL: whoever writes for an attempt looks at the run's row first, and holds it until the write stands.

`for share` makes a take-over, which raises `runs.fence`, wait for the write; a write that comes later finds no row.
"""

from collections.abc import Callable
from typing import LiteralString

import psycopg

from graph.errors import FenceLost

OWNED: LiteralString = """
with owned as (
    select run_id from runs where run_id = %(run_id)s and fence = %(fence)s and status = 'running' for share
)
"""
LOOK: LiteralString = "select run_id from owned"


def fence_lost(run_id: str, what: str) -> FenceLost:
    return FenceLost(f"run {run_id}: this attempt may not {what} any more")


def guard(run_id: str, fence: int) -> Callable[[psycopg.Connection], None]:
    """For a transaction that isn't ours (memory's): called in it before it writes. Raises FenceLost."""

    def look(connection: psycopg.Connection) -> None:
        if connection.execute(OWNED + LOOK, {"run_id": run_id, "fence": fence}).fetchone() is None:
            raise fence_lost(run_id, "propose memories")

    return look
