import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest

from serving.database import open_pool
from serving.processes.postgres import EmbeddedPostgres
from serving.telemetry.export import TraceExporter, langfuse_target
from tests.integration.telemetry_receiver import Receiver, exported, receiving, write_run
from tests.unit.telemetry_story import BEGAN, MODEL, RUN_ID, THREAD_ID, TICK


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as it:
        yield it


@asynccontextmanager
async def exporting(
    dsn: str, base_url: str, pool_timeout_s: float = 30.0, **options: Any
) -> AsyncIterator[asyncio.Task[None]]:
    target = langfuse_target("pk-test", "sk-test", base_url)
    assert target
    waits = {"poll_s": 0.02, "backoff_s": 0.02, "refused_s": 0.1}
    async with open_pool(dsn, 3) as pool:
        pool.timeout = pool_timeout_s
        task = asyncio.create_task(TraceExporter(pool, *target, **{**waits, **options}).run())
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.02)


async def once_exported(dsn: str) -> None:
    await until(lambda: all(exported(dsn)))


async def test_a_finished_run_arrives_as_one_trace(database: str, receiver: Receiver) -> None:
    write_run(database)
    async with exporting(database, receiver.base_url):
        await once_exported(database)
    spans = receiver.spans()
    root, step, tool = (spans[n] for n in ("invoke_agent trireme", "step s1", "execute_tool search_documents"))
    assert {span.trace_id for span in spans.values()} == {uuid.UUID(RUN_ID).bytes}
    assert (root.parent_span_id, step.parent_span_id, tool.parent_span_id) == (b"", root.span_id, step.span_id)
    assert step.start_time_unix_nano == int((BEGAN + 4 * TICK).timestamp() * 1e6) * 1000
    chat = {item.key: item.value for item in spans[f"chat {MODEL}"].attributes}
    assert chat["gen_ai.usage.cache_read.input_tokens"].int_value == 960
    assert chat["gen_ai.conversation.id"].string_value == THREAD_ID
    assert spans["step s2"].status.code == 2
    assert "run_claimed" in [event.name for event in root.events]


async def test_the_request_is_the_one_langfuse_takes(database: str, receiver: Receiver) -> None:
    write_run(database)
    async with exporting(database, receiver.base_url):
        await once_exported(database)
    assert receiver.paths == ["/api/public/otel/v1/traces"]
    headers = receiver.headers[0]
    assert headers["authorization"] == "Basic cGstdGVzdDpzay10ZXN0"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["x-langfuse-ingestion-version"] == "4"
    resource = receiver.requests[0].resource_spans[0].resource.attributes
    assert {item.key for item in resource} == {"service.name", "service.version"}


async def test_a_run_that_goes_out_twice_keeps_its_ids(database: str, receiver: Receiver) -> None:
    write_run(database)
    async with exporting(database, receiver.base_url):
        await once_exported(database)
        with psycopg.connect(database) as connection:
            connection.execute("update runs set exported = false")
        await until(lambda: len(receiver.requests) == 2)
    first, second = receiver.spans(0), receiver.spans(1)
    assert {n: (s.trace_id, s.span_id) for n, s in first.items()} == {
        n: (s.trace_id, s.span_id) for n, s in second.items()
    }


async def test_a_run_that_is_not_finished_is_not_sent(database: str, receiver: Receiver) -> None:
    for number, status in enumerate(("pending", "running", "interrupted")):
        write_run(database, str(uuid.UUID(int=number + 1)), status=status)
    async with exporting(database, receiver.base_url):
        await asyncio.sleep(0.3)
    assert receiver.paths == []


async def test_a_worker_that_stops_at_once_still_sends_what_it_finished(database: str, receiver: Receiver) -> None:
    target = langfuse_target("pk", "sk", receiver.base_url)
    assert target
    async with open_pool(database, 3) as pool, TraceExporter(pool, *target, poll_s=60.0).running():
        await asyncio.sleep(0.1)
        await asyncio.to_thread(write_run, database)
    assert exported(database) == [True]
    assert len(receiver.requests) == 1


async def test_a_receiver_that_is_down_is_asked_again_and_the_run_marked_once(
    database: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(database)
    receiver.answers = [503] * 10_000
    async with exporting(database, receiver.base_url):
        await until(lambda: len(receiver.paths) >= 2)
        assert exported(database) == [False]
        receiver.answers[:] = [429]
        await once_exported(database)
        await asyncio.sleep(0.2)
    assert len(receiver.requests) == 1
    said = [record.getMessage() for record in caplog.records if record.name == "trireme.telemetry"]
    assert [("503" in line, "429" in line, "works again" in line) for line in said] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


async def test_nobody_listening_fails_nothing(database: str, caplog: pytest.LogCaptureFixture) -> None:
    write_run(database)
    async with exporting(database, "http://127.0.0.1:9") as task:
        await until(lambda: "can't be reached" in caplog.text)
        await asyncio.sleep(0.2)
        assert not task.done()
    assert exported(database) == [False]
    assert caplog.text.count("can't be reached") == 1


async def test_a_refused_key_is_said_once_and_clearly(
    database: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(database)
    receiver.answers = [401] * 10_000
    async with exporting(database, receiver.base_url):
        await until(lambda: len(receiver.paths) >= 3)
        assert exported(database) == [False]
        receiver.answers.clear()
        await once_exported(database)
    assert caplog.text.count("Langfuse refused the key (401): check LANGFUSE_PUBLIC_KEY") == 1
    assert "sk-test" not in caplog.text


async def test_a_redirect_is_not_taken_for_success(
    database: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(database)
    receiver.answers = [302] * 10_000
    async with exporting(database, receiver.base_url):
        await until(lambda: "answered 302: check LANGFUSE_BASE_URL" in caplog.text)
        assert exported(database) == [False]


async def test_a_run_that_the_receiver_cannot_take_holds_back_no_other(database: str, receiver: Receiver) -> None:
    bad, good = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    write_run(database, bad)
    write_run(database, good)
    receiver.refuse_trace = uuid.UUID(bad).bytes
    async with exporting(database, receiver.base_url, refused_s=60.0):
        await until(lambda: exported(database) == [False, True])


async def test_a_log_with_a_line_from_a_newer_version_still_makes_a_trace(database: str, receiver: Receiver) -> None:
    write_run(database)
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into run_events (run_id, seq, kind, body, hash) values (%s, 99, 'novel', %s, '')",
            (RUN_ID, '{"kind": "novel"}'),
        )
    async with exporting(database, receiver.base_url):
        await once_exported(database)
    assert "invoke_agent trireme" in receiver.spans()


async def test_two_exporters_send_every_run_once(database: str, receiver: Receiver) -> None:
    ids = [str(uuid.UUID(int=number + 1)) for number in range(12)]
    for run_id in ids:
        write_run(database, run_id)
    receiver.delay_s = 0.03
    async with exporting(database, receiver.base_url), exporting(database, receiver.base_url):
        await once_exported(database)
        await asyncio.sleep(0.2)
    assert sorted(receiver.trace_ids()) == [uuid.UUID(run_id).bytes for run_id in ids]


async def test_resuming_a_run_does_not_wait_for_a_receiver_that_hangs_and_the_run_goes_out_again(
    database: str, receiver: Receiver
) -> None:
    write_run(database, status="error")
    receiver.hangs = threading.Event()
    async with exporting(database, receiver.base_url):
        await until(lambda: receiver.asked == 1)
        await asyncio.to_thread(_execute, database, "update runs set status = 'pending', finished_at = null")
        receiver.hangs.set()
        await until(lambda: len(receiver.requests) == 1)
        await asyncio.sleep(0.1)
        assert exported(database) == [False]
        await asyncio.to_thread(_execute, database, "update runs set status = 'success', finished_at = now()")
        await once_exported(database)
    assert len(receiver.requests) == 2


async def test_the_loop_outlives_a_database_that_is_away(
    postgres: EmbeddedPostgres, database: str, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    write_run(database)
    name = database.split("/")[3].partition("?")[0]
    async with exporting(database, receiver.base_url, pool_timeout_s=0.5):
        await once_exported(database)
        await asyncio.to_thread(_execute, postgres.dsn, f"alter database {name} allow_connections false")
        ending = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        await asyncio.to_thread(_execute, postgres.dsn, ending, name)
        await until(lambda: "while reading the log" in caplog.text)
        await asyncio.to_thread(_execute, postgres.dsn, f"alter database {name} allow_connections true")
        await asyncio.to_thread(write_run, database, str(uuid.UUID(int=7)))
        await once_exported(database)


def _execute(dsn: str, statement: str, *values: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode(), values or None)
