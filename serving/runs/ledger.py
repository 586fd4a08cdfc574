"""Port `Ledger`: the row that makes an effect happen once, in Postgres (fenced) and in memory (Studio, tests)."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, LiteralString

import orjson

from graph.ledger import Effect, EffectCall, EffectDecision
from graph.tools.content import canonical, digest
from graph.tools.effects import decided
from serving.database import Pool, connected
from serving.errors import Conflict
from serving.runs.attempts.in_flight import InFlight
from serving.runs.fence import OWNED, fence_lost

# `do update` instead of `do nothing`: it waits for a concurrent insert of the key and returns that row;
# xmax is 0 only in a row that this statement inserted. A person's yes lets a row out once: `before` says who was first.
_PREPARE: LiteralString = """, before as (
    select state from effects natural join owned where key = %(key)s for update of effects
)
insert into effects (run_id, key, step_id, tool, arguments, arguments_digest, state, fence)
select run_id, %(key)s, %(step_id)s, %(tool)s, %(arguments)s, %(digest)s, 'prepared', %(fence)s
from owned left join before on true
on conflict (run_id, key) do update set fence = excluded.fence,
    state = case when effects.state = 'approved' and effects.arguments_digest = excluded.arguments_digest
        then 'prepared' else effects.state end,
    arguments = case effects.state when 'approved' then excluded.arguments else effects.arguments end
returning tool, arguments_digest, state, result, reason,
    xmax = 0 or exists (select from before where state = 'approved') as fresh
"""
# What happened is recorded even when the run was cancelled meanwhile (which made the row unknown), so this asks for
# the fence alone.
_STEP: LiteralString = """
with owned as (
    select run_id from runs where run_id = %(run_id)s and fence = %(fence)s for share
)
update effects set state = %(state)s, result = %(result)s, arguments = %(arguments)s, reason = %(reason)s,
    in_flight = %(in_flight)s
from owned
where effects.run_id = owned.run_id and effects.key = %(key)s
    and (effects.state = 'prepared' or (effects.state = 'unknown' and effects.fence = %(fence)s))
returning effects.key
"""


class PostgresLedger:
    """One attempt's view of its run's effects; each statement raises FenceLost once a newer attempt owns the run.

    `calls`: those of this process that may still go out. `lasts`: whether the attempt's lease does, by its own clock.
    """

    def __init__(
        self, pool: Pool, calls: InFlight, run_id: str, fence: int, lasts: Callable[[], bool] = lambda: True
    ) -> None:
        self._pool, self._calls, self._run_id, self._fence, self._lasts = pool, calls, run_id, fence, lasts

    def in_flight(self, key: str, patience_s: float) -> AbstractAsyncContextManager[bool]:
        return self._calls.alone(key, patience_s)

    async def prepare(self, call: EffectCall) -> Effect:
        """One commit. Raises Conflict when the key stands for another action."""
        bound = digest(call.arguments)
        named = call.model_dump(include={"key", "step_id", "tool"})
        row = await self._one(OWNED + _PREPARE, {**named, "arguments": canonical(call.arguments), "digest": bound})
        _same_action(call.key, (row["tool"], row["arguments_digest"]), (call.tool, bound))
        row = {name: row[name] for name in ("state", "result", "reason", "fresh")}
        return Effect(key=call.key, **row)

    def check_lease(self) -> None:
        if not self._lasts():
            raise fence_lost(self._run_id, "let anything out")

    async def settle(self, key: str, state: Literal["done", "failed"], result: Mapping[str, Any]) -> None:
        values = {"key": key, "state": state, "result": canonical(result), "arguments": None}
        await self._one(_STEP, {**values, "reason": "", "in_flight": False})

    async def leave_open(self, call: EffectCall, reason: str, in_flight: bool = False) -> None:
        values = {"key": call.key, "state": "unknown", "result": None, "arguments": canonical(call.arguments)}
        await self._one(_STEP, {**values, "reason": reason, "in_flight": in_flight})

    async def hear(self, key: str, decision: EffectDecision) -> None:
        """Decides nothing: serving/runs/decisions/effects.py has written what a person said into the row."""

    async def _one(self, statement: LiteralString, values: dict[str, Any]) -> dict[str, Any]:
        owner = {"run_id": self._run_id, "fence": self._fence}
        async with connected(self._pool) as connection:
            row = await (await connection.execute(statement, {**owner, **values})).fetchone()
        if row is None:
            raise fence_lost(self._run_id, "write effects")
        return row


class MemoryLedger:
    """The same for one process; a crash forgets it, and what a resume carries decides."""

    def __init__(self) -> None:
        self._actions: dict[str, tuple[str, str]] = {}
        self._effects: dict[str, Effect] = {}

    @property
    def rows(self) -> tuple[Effect, ...]:
        return tuple(self._effects.values())

    @asynccontextmanager
    async def in_flight(self, key: str, patience_s: float) -> AsyncIterator[bool]:
        yield True

    async def prepare(self, call: EffectCall) -> Effect:
        action = (call.tool, digest(call.arguments))
        _same_action(call.key, self._actions.setdefault(call.key, action), action)
        known = self._effects.get(call.key)
        fresh = known is None or known.state == "approved"
        if known is None or fresh:
            known = self._effects[call.key] = Effect(key=call.key, state="prepared")
        return known.model_copy(update={"fresh": fresh})

    def check_lease(self) -> None:
        """Nobody else can follow."""

    async def settle(self, key: str, state: Literal["done", "failed"], result: Mapping[str, Any]) -> None:
        self._effects[key] = Effect(key=key, state=state, result=orjson.loads(canonical(result)))

    async def leave_open(self, call: EffectCall, reason: str, in_flight: bool = False) -> None:
        self._effects[call.key] = Effect(key=call.key, state="unknown", reason=reason)

    async def hear(self, key: str, decision: EffectDecision) -> None:
        state, result = decided(decision)
        plain = result and result.model_dump(mode="json")
        self._effects[key] = Effect(key=key, state=state, result=plain)


def _same_action(key: str, known: tuple[str, str], asked: tuple[str, str]) -> None:
    if known != asked:
        raise Conflict(
            f"effect {key[:12]} is already recorded for another action of {known[0]}",
            "derive the key from tool, version and arguments",
            code="effect_key_reused",
        )
