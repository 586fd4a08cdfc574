"""`/metrics`: what Postgres knows about the queue, the runs and the models, and this process's memory and CPU.

A scrape reads partial indexes over live rows and the totals that triggers keep (schema/0004_totals.sql): its cost
grows neither with the log nor with the finished runs.
"""

from collections.abc import Iterable
from typing import Final

import psycopg
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from psycopg_pool import PoolTimeout

from serving.database import Pool, Row

_PATIENCE_S: Final = 2.0

_LIVE: Final = """
    select
        (select count(*) from runs where status = 'pending') as pending,
        (select count(*) from runs where status = 'running') as running,
        (select count(*) from runs where status = 'interrupted') as interrupted,
        (select count(*) from runs where status = 'pending' and (run_at is null or run_at <= now())) as due,
        (select coalesce(extract(epoch from now() - min(greatest(run_at, created_at))), 0)::float8
            from runs where status = 'pending' and (run_at is null or run_at <= now())) as oldest_s,
        (select count(*) from runs where status = 'running' and lease_until > now()) as leased,
        (select count(*) from runs where status = 'running' and lease_until <= now()) as lapsed,
        (select count(*) from approvals a join runs r using (run_id)
            where a.decided_at is null and a.expires_at > now() and r.status = 'interrupted') as approvals,
        (select count(*) from effects where state = 'unknown') as unknown,
        coalesce((select n_tup_ins from pg_stat_user_tables where relid = 'run_events'::regclass), 0) as events
"""
_FINISHED: Final = "select status, sum(runs)::float8 as runs from run_totals group by status order by status"
_MODELS: Final = """
    select model, sum(calls)::float8 as calls, sum(seconds) as seconds, sum(cost_usd)::float8 as cost_usd,
        sum(input_tokens)::float8 as input, sum(output_tokens)::float8 as output, sum(cached_tokens)::float8 as cached
    from model_totals group by model order by model
"""


async def render(pool: Pool) -> bytes:
    """The Prometheus text format. When Postgres is away: `trireme_database_up 0` and the process's own figures."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Snapshot(await _read(pool)))
    return generate_latest(registry)


async def _read(pool: Pool) -> list[Metric]:
    up = GaugeMetricFamily("trireme_database_up", "1 when Postgres answered this scrape")
    try:
        async with pool.connection(timeout=_PATIENCE_S) as connection, connection.transaction():
            await connection.execute(f"set local statement_timeout = {int(_PATIENCE_S * 1000)}")
            live = await (await connection.execute(_LIVE)).fetchone() or {}
            finished = await (await connection.execute(_FINISHED)).fetchall()
            models = await (await connection.execute(_MODELS)).fetchall()
    except (psycopg.Error, PoolTimeout):
        up.add_metric([], 0)
        return [up]
    up.add_metric([], 1)
    return [up, *_queue(live), *_runs(live, finished), *_usage(models)]


class _Snapshot:
    """Families read once, handed to a registry that lives for one scrape: no global state."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _queue(live: Row) -> list[Metric]:
    gauges = {
        "trireme_queue_depth": ("Runs that a worker could claim now", "due"),
        "trireme_queue_oldest_seconds": ("How long the oldest of them has waited", "oldest_s"),
        "trireme_leases_active": ("Running runs whose worker's heartbeat is fresh", "leased"),
        "trireme_leases_lapsed": ("Running runs that wait to be taken over", "lapsed"),
        "trireme_approvals_waiting": ("Open questions to a person", "approvals"),
        "trireme_effects_unknown": ("Effects of which nobody knows whether they happened: trireme effects", "unknown"),
    }
    return [GaugeMetricFamily(name, text, value=live[column]) for name, (text, column) in gauges.items()]


def _runs(live: Row, finished: Iterable[Row]) -> list[Metric]:
    now = GaugeMetricFamily("trireme_runs", "Unfinished runs by status", labels=["status"])
    for status in ("pending", "running", "interrupted"):
        now.add_metric([status], live[status])
    ended = CounterMetricFamily("trireme_runs_finished", "Finished runs by status", labels=["status"])
    for row in finished:
        ended.add_metric([row["status"]], row["runs"])
    events = CounterMetricFamily("trireme_events_appended", "Lines written to the run log", value=live["events"])
    return [now, ended, events]


def _usage(models: Iterable[Row]) -> list[Metric]:
    calls = CounterMetricFamily("trireme_model_calls", "Replies of a model", labels=["model"])
    seconds = CounterMetricFamily("trireme_model_seconds", "Time spent waiting for them", labels=["model"])
    cost = CounterMetricFamily("trireme_model_cost_usd", "Money spent on them", labels=["model"])
    tokens = CounterMetricFamily("trireme_model_tokens", "Tokens; cached is a part of input", labels=["model", "kind"])
    for row in models:
        for family, column in ((calls, "calls"), (seconds, "seconds"), (cost, "cost_usd")):
            family.add_metric([row["model"]], row[column])
        for kind in ("input", "output", "cached"):
            tokens.add_metric([row["model"], kind], row[kind])
    return [calls, seconds, cost, tokens]
