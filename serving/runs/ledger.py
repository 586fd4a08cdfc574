"""Port `Ledger`: the row that makes an effect happen once, in Postgres (fenced) and in memory (Studio, tests)."""

from collections.abc import Mapping
from typing import Any, Literal, LiteralString

import orjson

from graph.errors import FenceLost
from graph.ports import Effect
from graph.tools.content import canonical, digest
from serving.database import Pool
from serving.errors import Conflict

# `do update` instead of `do nothing`: it waits for a concurrent insert of the key and returns that row;
# xmax is 0 only in a row that this statement inserted.
_PREPARE: LiteralString = """
with owned as (
    select run_id from runs where run_id = %(run_id)s and fence = %(fence)s and status = 'running' for share
)
insert into effects (run_id, key, tool, arguments_digest, state, fence)
select run_id, %(key)s, %(tool)s, %(digest)s, 'prepared', %(fence)s from owned
on conflict (run_id, key) do update set fence = excluded.fence
returning tool, arguments_digest, state, result, xmax = 0 as fresh
"""
_SETTLE: LiteralString = """
with owned as (
    select run_id from runs where run_id = %(run_id)s and fence = %(fence)s for share
)
update effects set state = %(state)s, result = %(result)s, settled_at = now()
from owned
where effects.run_id = owned.run_id and effects.key = %(key)s and effects.state = 'prepared'
returning effects.key
"""


class PostgresLedger:
    """One attempt's view of its run's effects; each statement raises FenceLost once a newer attempt owns the run."""

    def __init__(self, pool: Pool, run_id: str, fence: int) -> None:
        self._pool, self._run_id, self._fence = pool, run_id, fence

    async def prepare(self, key: str, tool: str, arguments: Mapping[str, Any]) -> Effect:
        """Committed when it returns. Raises Conflict when `key` stands for another action."""
        bound = digest(arguments)
        row = await self._one(_PREPARE, {"key": key, "tool": tool, "digest": bound})
        _same_action(key, (row["tool"], row["arguments_digest"]), (tool, bound))
        return Effect(key=key, state=row["state"], result=row["result"], fresh=row["fresh"])

    async def settle(self, key: str, state: Literal["done", "failed", "unknown"], result: Mapping[str, Any]) -> None:
        """Ends a prepared effect with what is to be told whenever it is asked for again."""
        await self._one(_SETTLE, {"key": key, "state": state, "result": canonical(result)})

    async def _one(self, statement: LiteralString, values: dict[str, Any]) -> dict[str, Any]:
        owner = {"run_id": self._run_id, "fence": self._fence}
        async with self._pool.connection() as connection:
            row = await (await connection.execute(statement, {**owner, **values})).fetchone()
        if row is None:
            raise FenceLost(f"run {self._run_id}: this attempt may not write effects any more")
        return row


class MemoryLedger:
    """The same for one process; a crash forgets it."""

    def __init__(self) -> None:
        self._actions: dict[str, tuple[str, str]] = {}
        self._effects: dict[str, Effect] = {}

    async def prepare(self, key: str, tool: str, arguments: Mapping[str, Any]) -> Effect:
        action = (tool, digest(arguments))
        if key in self._effects:
            _same_action(key, self._actions[key], action)
            return self._effects[key]
        self._actions[key] = action
        self._effects[key] = Effect(key=key, state="prepared")
        return self._effects[key].model_copy(update={"fresh": True})

    async def settle(self, key: str, state: Literal["done", "failed", "unknown"], result: Mapping[str, Any]) -> None:
        self._effects[key] = Effect(key=key, state=state, result=orjson.loads(canonical(result)))


def _same_action(key: str, known: tuple[str, str], asked: tuple[str, str]) -> None:
    if known != asked:
        raise Conflict(
            f"effect {key[:12]} is already recorded for another action of {known[0]}",
            "derive the key from tool, version and arguments",
            code="effect_key_reused",
        )
