"""What goes when its days are over: logs, checkpoints and files of ended runs, as `retention` has them.

A log goes whole or not at all, in one transaction with the mark on its run that says so: killed at any moment, the next
prune goes on. What isn't over is left alone.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

from graph.faults import point
from serving.database import Connection, Row
from serving.errors import Conflict
from serving.hosting.config import AGENT
from serving.runs.checkpoints.retention import sweep

_LOCK = 0x7472_6972_656D_6502
_RUNS, _FILES, _THREADS = 50, 200, 20  # in one transaction

# A fork goes on from its parent's log.
_NOT_FORKED: LiteralString = """
    and not exists (select from runs fork where fork.forked_from = run.run_id and fork.pruned_at is null)
"""
# A person has still to say what became of an effect that its run ended around.
_OVER: LiteralString = """
where ended.events_until < now() and ended.pruned_at is null
    and not exists (select from effects where effects.run_id = ended.run_id and state = 'unknown')
"""
_ENDED: LiteralString = "select ended.run_id, ended.tenant from ended_runs ended join runs run using (run_id)"
_DUE_RUNS: LiteralString = _ENDED + _OVER + _NOT_FORKED
# What is due at once or after its forks, which go in the same prune; who has a fork that stays, stays too.
_WITH_OVER: LiteralString = "with recursive over as (" + _ENDED + _OVER
_UNLESS_NEEDED: LiteralString = """), needed (run_id) as (
    select fork.forked_from from runs fork where fork.forked_from is not null and fork.pruned_at is null
        and not exists (select from over where over.run_id = fork.run_id)
    union
    select run.forked_from from needed join runs run using (run_id)
    where run.forked_from is not null and run.pruned_at is null
)
select run_id, tenant from over where not exists (select from needed where needed.run_id = over.run_id)
"""
_DUE_IN_ALL: LiteralString = _WITH_OVER + _UNLESS_NEEDED
_NEXT: LiteralString = "order by run.finished_at limit %(most)s for update of run skip locked"
# It looks for forks once more, since now that the row is held none can be added.
_MARK: LiteralString = (
    """
update runs run set pruned_at = now(), exported = true where run_id = any(%(runs)s) """
    + _NOT_FORKED
)
# What the caller of a hosted graph sent goes with what it led to; a run of the agent keeps its redacted goal.
_INPUTS: LiteralString = """
with due as ({due})
select run_id, run.tenant, octet_length(sent) as bytes
from runs run join due using (run_id), concat(
    launch ->> 'input', launch ->> 'command', launch ->> 'context',
    nullif((launch -> 'config')::jsonb, '{{"configurable": {{}}}}'),
    asked #>> '{{kept,instructions}}', asked #>> '{{kept,user}}') as sent
where graph <> %(agent)s and sent <> ''
"""
_SUM: LiteralString = ") select tenant, count(*) as rows, sum(bytes)::bigint as bytes from gone group by tenant"
_WITHOUT_INPUT: LiteralString = """), gone as (
    update runs set asked = asked #- '{{kept,instructions}}' #- '{{kept,user}}',
        launch = (launch::jsonb || '{{"input": null, "command": null, "context": null, "config": {{}}}}')::json
    from held
    where runs.run_id = held.run_id returning held.tenant, held.bytes
"""
_COUNT_INPUTS: LiteralString = "with gone as (" + _INPUTS + _SUM
_EMPTY_INPUTS: LiteralString = "with held as materialized (" + _INPUTS + _WITHOUT_INPUT + _SUM
_MARKED: LiteralString = "select run_id, tenant from runs where run_id = any(%(runs)s) and pruned_at is not null"
# Kind, table, and what is large in it: with the log go the questions and the ledger of its run.
_OF_A_RUN: tuple[tuple[str, LiteralString, LiteralString], ...] = (
    ("events", "run_events", "body"),
    ("approvals", "approvals", "request"),
    ("effects", "effects", "result"),
)
_COUNT: LiteralString = """
with due as ({due})
select due.tenant, count(*) as rows, sum(pg_column_size(held.{content}))::bigint as bytes
from {table} held join due using (run_id) group by due.tenant
"""
_DELETE: LiteralString = """
with due as ({due}), gone as (
    delete from {table} held using due where held.run_id = due.run_id
    returning due.tenant, pg_column_size(held.{content}) as bytes
)
select tenant, count(*) as rows, sum(bytes)::bigint as bytes from gone group by tenant
"""

_COUNT_FILES: LiteralString = """
select run.tenant, count(*) as rows, sum(pg_column_size(file.content))::bigint as bytes
from artifacts file join ended_runs run using (run_id)
where run.artifacts_until < now() and file.pruned_at is null group by run.tenant
"""
_EMPTY_FILES: LiteralString = """
with due as materialized (
    select file.run_id, file.name, run.tenant, pg_column_size(file.content) as bytes
    from artifacts file join ended_runs ended using (run_id) join runs run using (run_id)
    where ended.artifacts_until < now() and file.pruned_at is null
    limit %(most)s for update of file, run skip locked
), gone as (
    update artifacts file set content = null, pruned_at = now() from due
    where file.run_id = due.run_id and file.name = due.name
    returning due.tenant, due.bytes
)
select tenant, count(*) as rows, sum(bytes)::bigint as bytes from gone group by tenant
"""

# What a person showed to one run's tools, for an hour.
_COUNT_SHOWN: LiteralString = """
select tenant, count(*) as rows, sum(pg_column_size(sealed))::bigint as bytes
from vault where scope <> '' and expires_at < now() group by tenant
"""
_DELETE_SHOWN: LiteralString = """
with gone as (
    delete from vault where scope <> '' and expires_at < now() returning tenant, pg_column_size(sealed) as bytes
)
select tenant, count(*) as rows, sum(bytes)::bigint as bytes from gone group by tenant
"""

# Rows that are no run's. An effect whose run was deleted goes, when a person has said what became of it, as long after
# that as a log; an Idempotency-Key finds the runs that it made for as long as one of them is under way.
_TERM: LiteralString = """ < now() - interval '1 day' * (
    select {days} from retention where retention.tenant in (old.tenant, '*') order by retention.tenant = '*' limit 1)
"""
_LEFT: LiteralString = """
from effects old where tenant is not null and state <> 'unknown' and decided_at""" + _TERM.format(days="events_days")
_KEYS: LiteralString = "from idempotency_keys old where created_at" + _TERM.format(days="keys_days")
# The ids of a batch count up from its first one's, which ends in 62 random bits.
_NOT_UNDER_WAY: LiteralString = """
    and not exists (
        select from runs where status in ('pending', 'running', 'interrupted')
            and run_id between old.id and overlay(old.id::text placing 'ffffffffffff' from 25)::uuid)
"""
_ROWS: tuple[tuple[str, LiteralString, LiteralString], ...] = (
    ("effects", _LEFT, "pg_column_size(arguments)"),
    ("keys", _KEYS + _NOT_UNDER_WAY, "pg_column_size(key)"),
)
_COUNT_ROWS: LiteralString = "with gone as (select tenant, {content} as bytes {old}" + _SUM
_DELETE_ROWS: LiteralString = "with gone as (delete {old} returning tenant, {content} as bytes" + _SUM
# A thread's checkpoints go with its last log, but where it waits for a person; before that, all but the newest, when
# their own days are over.
_DUE_THREADS: LiteralString = """
with due as ({due}), held as (
    select tenant, thread_id, count(*) > count(distinct namespace) as older from state_checkpoints
    where %(threads)s::text[] is null or thread_id = any(%(threads)s::text[])
    group by tenant, thread_id
), thread as (
    select run.tenant, run.thread_id, max(ended.checkpoints_until) as until,
        bool_and((run.pruned_at is not null or run.run_id in (select run_id from due))
            and thread.status <> 'interrupted') as whole
    from runs run join threads thread using (thread_id) left join ended_runs ended using (run_id)
    where %(threads)s::uuid[] is null or run.thread_id = any(%(threads)s::uuid[])
    group by run.tenant, run.thread_id having count(*) = count(ended.run_id)
)
select thread.tenant, held.thread_id, thread.whole
from held join thread on held.tenant = thread.tenant and held.thread_id = thread.thread_id::text
where thread.whole or (held.older and thread.until < now())
order by thread.tenant, held.thread_id
"""
# What a thread shows is what its checkpoints hold, and what its last run was called with.
_VALUES: LiteralString = """
select thread_id, tenant,
    coalesce(pg_column_size(values), 0) + coalesce(pg_column_size(brought), 0)
        + coalesce(pg_column_size(nullif(config, '{}')), 0) as bytes
from threads where thread_id = any(%(threads)s::uuid[])
    and (values is not null or brought is not null or config <> '{}')
"""
_WITHOUT_VALUES: LiteralString = """), gone as (
    update threads set values = null, brought = null, error = null, config = '{}' from held
    where threads.thread_id = held.thread_id returning held.tenant, held.bytes
"""
_COUNT_VALUES: LiteralString = "with gone as (" + _VALUES + _SUM
_EMPTY_VALUES: LiteralString = "with held as materialized (" + _VALUES + _WITHOUT_VALUES + _SUM
_NONE: LiteralString = "select null::uuid as run_id where false"
# Nobody adds a run to these threads, resumes or claims one of theirs until the transaction is over.
_HOLD: LiteralString = """
with thread as materialized (select thread_id from threads where thread_id = any(%(threads)s::uuid[]) for update)
select from runs where thread_id in (select thread_id from thread) for update
"""


@dataclass(frozen=True, slots=True)
class Share:
    """What went, or would go. `bytes` is the content as Postgres stores it, without the rows' own overhead."""

    tenant: str
    kind: str
    rows: int
    bytes: int


class Pruning:
    """Works on one connection of the owner of the tables, in autocommit: the runtime's role may not delete."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self.left_whole: list[str] = []  # threads that keep their older checkpoints: a DeltaChannel needs them

    @property
    def shares(self) -> list[Share]:
        return [Share(*key, rows, self._bytes[key]) for key, rows in sorted(self._rows.items())]

    async def plan(self) -> None:
        """Counts what `apply` would take away, from one snapshot; changes nothing."""
        async with self._connection.transaction():
            await self._connection.execute("set transaction isolation level repeatable read, read only")
            for kind, table, content in _OF_A_RUN:
                await self._count(kind, _COUNT.format(table=table, content=content, due=_DUE_IN_ALL))
            await self._count("inputs", _COUNT_INPUTS.format(due=_DUE_IN_ALL), agent=AGENT)
            await self._count("artifacts", _COUNT_FILES)
            await self._count("shown values", _COUNT_SHOWN)
            for kind, old, content in _ROWS:
                await self._count(kind, _COUNT_ROWS.format(old=old, content=content))
            threads = await self._fetch(_DUE_THREADS.format(due=_DUE_IN_ALL), threads=None)
            for at in range(0, len(threads), _THREADS):
                await self._sweep(threads[at : at + _THREADS], delete=False)

    async def apply(self) -> None:
        """Raises Conflict while another prune is at work on this database."""
        async with self._alone():
            while await self._next_runs():
                pass
            while await self._count("artifacts", _EMPTY_FILES, most=_FILES):
                pass
            await self._count("shown values", _DELETE_SHOWN)
            for kind, old, content in _ROWS:
                await self._count(kind, _DELETE_ROWS.format(old=old, content=content))
            threads = await self._due_threads(None)
            for at in range(0, len(threads), _THREADS):
                await self._next_threads([row["thread_id"] for row in threads[at : at + _THREADS]])

    async def _next_runs(self) -> bool:
        async with self._connection.transaction():
            runs = [row["run_id"] for row in await self._fetch(_DUE_RUNS + _NEXT, most=_RUNS)]
            await self._connection.execute(_MARK, {"runs": runs})
            point("prune.marked")
            for kind, table, content in _OF_A_RUN:
                await self._count(kind, _DELETE.format(table=table, content=content, due=_MARKED), runs=runs)
            await self._count("inputs", _EMPTY_INPUTS.format(due=_MARKED), runs=runs, agent=AGENT)
        point("prune.committed")
        return bool(runs)

    async def _next_threads(self, threads: list[str]) -> None:
        async with self._connection.transaction():
            await self._connection.execute(_HOLD, {"threads": threads})
            await self._sweep(await self._due_threads(threads), delete=True)

    async def _due_threads(self, threads: list[str] | None) -> list[Row]:
        return await self._fetch(_DUE_THREADS.format(due=_NONE), threads=threads)

    async def _sweep(self, threads: list[Row], *, delete: bool) -> None:
        for tenant, whole in sorted({(row["tenant"], row["whole"]) for row in threads}):
            ids = [row["thread_id"] for row in threads if (row["tenant"], row["whole"]) == (tenant, whole)]
            extent = await sweep(self._connection, tenant, ids, whole=whole, delete=delete)
            self._add("checkpoints", {"tenant": tenant, **extent})
            if whole:
                await self._count("thread values", _EMPTY_VALUES if delete else _COUNT_VALUES, threads=ids)
            else:
                self.left_whole += extent["left_whole"]

    async def _count(self, kind: str, query: LiteralString, **values: Any) -> bool:
        rows = await self._fetch(query, **values)
        for row in rows:
            self._add(kind, row)
        return bool(rows)

    def _add(self, kind: str, row: Row) -> None:
        if row["rows"]:
            self._rows[row["tenant"], kind] += row["rows"]
            self._bytes[row["tenant"], kind] += row["bytes"] or 0

    async def _fetch(self, query: LiteralString, **values: Any) -> list[Row]:
        return await (await self._connection.execute(query, values)).fetchall()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        (row,) = await self._fetch("select pg_try_advisory_lock(%(lock)s) as ours", lock=_LOCK)
        if not row["ours"]:
            raise Conflict("another prune is at work on this database", "wait for its end", "prune_running")
        try:
            yield
        finally:
            if not self._connection.broken:
                await self._connection.execute("select pg_advisory_unlock(%s)", (_LOCK,))
