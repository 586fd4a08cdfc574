import psycopg
from prometheus_client.parser import text_string_to_metric_families

from serving.database import open_pool
from serving.telemetry.metrics import render
from tests.integration.telemetry_receiver import write_run
from tests.unit.telemetry_story import MODEL

Samples = dict[tuple[str, ...], float]


async def scraped(dsn: str) -> Samples:
    async with open_pool(dsn, 2) as pool:
        return parsed(await render(pool))


def parsed(text: bytes) -> Samples:
    """Values under (sample, *label values by label name)."""
    families = text_string_to_metric_families(text.decode())
    return {
        (s.name, *(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def _run(dsn: str, number: int, status: str, **columns: object) -> None:
    write_run(dsn, f"01900000-0000-7000-8000-{number:012d}", [], status)
    with psycopg.connect(dsn) as connection:
        for column, value in columns.items():
            statement = f"update runs set {column} = now() + %s::interval where run_id::text like %s"  # noqa: S608
            connection.execute(statement.encode(), (value, f"%{number:012d}"))


async def test_queue_leases_and_runs_are_what_the_table_says(database: str) -> None:
    _run(database, 1, "pending", created_at="-90 seconds")
    _run(database, 2, "pending", run_at="1 hour")
    _run(database, 3, "running", lease_until="10 seconds")
    _run(database, 4, "interrupted")
    with psycopg.connect(database) as connection:
        connection.execute("insert into threads (thread_id) values ('01900000-0000-7000-8000-0000000000cc')")
        connection.execute(
            "update runs set thread_id = '01900000-0000-7000-8000-0000000000cc' where status = 'interrupted'"
        )
        connection.execute(
            "insert into approvals (approval_id, run_id, kind, request, digest, expires_at) "
            "select id, run_id, 'tool', '{}', '', now() + expiry::interval from runs, "
            "(values ('open', '1 hour'), ('late', '-1 hour')) as asked (id, expiry) where status = 'interrupted'"
        )
        insert = (
            "insert into effects (run_id, key, tool, arguments_digest, state, fence) select run_id, %s, '', '', %s, 1"
        )
        for key, state in (("gone", "prepared"), ("open", "prepared"), ("asked", "proposed")):
            connection.execute(f"{insert} from runs where status = 'interrupted'".encode(), (key, state))
        connection.execute("update effects set state = 'unknown' where key = 'gone'")
    found = await scraped(database)
    assert found["trireme_database_up",] == 1
    assert [found["trireme_runs", status] for status in ("pending", "running", "interrupted")] == [2, 1, 1]
    assert found["trireme_queue_depth",] == 1
    assert 90 <= found["trireme_queue_oldest_seconds",] < 120
    assert (found["trireme_leases_active",], found["trireme_leases_lapsed",]) == (1, 0)
    assert (found["trireme_approvals_waiting",], found["trireme_effects_unknown",]) == (1, 1)


async def test_tokens_and_cost_are_counted_by_model_as_the_log_is_written(database: str) -> None:
    for number in (1, 2):
        write_run(database, f"01900000-0000-7000-8000-{number:012d}")
    found = await scraped(database)
    assert found["trireme_model_calls_total", MODEL] == 8
    assert found["trireme_model_tokens_total", "input", MODEL] == 8 * 1_200
    assert found["trireme_model_tokens_total", "cached", MODEL] == 8 * 960
    assert abs(found["trireme_model_cost_usd_total", MODEL] - 8 * 0.0021) < 1e-9
    assert abs(found["trireme_model_seconds_total", MODEL] - 0.8) < 1e-9
    assert found["trireme_runs_finished_total", "success"] == 2
    assert found["trireme_events_appended_total",] == 2 * 26


async def test_deleting_a_thread_does_not_turn_a_counter_back(database: str) -> None:
    write_run(database)
    with psycopg.connect(database) as connection:
        connection.execute("delete from threads")
        assert connection.execute("select count(*) from run_events").fetchone() == (0,)
    assert (await scraped(database))["trireme_model_calls_total", MODEL] == 4


async def test_a_line_that_was_rolled_back_is_not_counted(database: str) -> None:
    write_run(database)
    with psycopg.connect(database) as connection:
        connection.execute("""insert into run_events (run_id, seq, kind, body, hash)
            select run_id, 99, 'model_called', '{"model": "ghost", "input_tokens": 5}', '' from runs""")
        connection.rollback()
    assert ("trireme_model_calls_total", "ghost") not in await scraped(database)


async def test_a_scrape_never_reads_the_log(database: str) -> None:
    write_run(database)
    with psycopg.connect(database) as connection:
        connection.execute("lock table run_events in access exclusive mode")
        assert (await scraped(database))["trireme_database_up",] == 1


async def test_a_scrape_without_postgres_still_tells_about_the_process(database: str) -> None:
    pool = open_pool(database, 2)
    await pool.open()
    await pool.close()
    found = parsed(await render(pool))
    assert found["trireme_database_up",] == 0
    assert found["process_resident_memory_bytes",] > 1e6
    assert ("trireme_queue_depth",) not in found
