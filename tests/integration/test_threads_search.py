"""A search that would have to look into every thread, or at every run, ends in time, and says what to ask instead."""

import psycopg
import pytest

from serving.database import Pool
from serving.errors import Unprocessable
from serving.runs.search import RunSearch
from serving.runs.search import search as search_runs
from serving.threads.search import ThreadFilter, ThreadSearch, count, search
from serving.threads.store import ThreadStore

_MANY = """
insert into threads (thread_id, metadata, values) select gen_random_uuid(), jsonb_build_object('n', n),
    jsonb_build_object('n', n, 'said', (select jsonb_agg(md5(n::text || part)) from generate_series(1, 60) part))
from generate_series(1, 3000) n
"""


_RUNS = """
insert into runs (run_id, thread_id, request, request_digest, metadata, status)
select gen_random_uuid(), %(thread)s, '{"goal": "x"}', '', jsonb_build_object('n', n), 'success'
from generate_series(1, 5000) n
"""


async def test_values_are_searched_for_a_bounded_time(pool: Pool, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_MANY)
    hasty, patient = ThreadStore(pool, patience_s=0.001), ThreadStore(pool)
    wanted = {"n": 17}
    for asked in (search(hasty, ThreadSearch(values=wanted)), count(hasty, ThreadFilter(values=wanted))):
        with pytest.raises(Unprocessable) as caught:
            await asked
        assert (caught.value.code, "metadata" in caught.value.hint) == ("search_too_wide", True)
    (found,) = (await search(patient, ThreadSearch(values=wanted))).rows
    assert found["metadata"] == wanted
    assert await count(patient, ThreadFilter(values=wanted, metadata=wanted)) == 1
    async with pool.connection() as connection_after:
        row = await (await connection_after.execute("show statement_timeout")).fetchone()
    assert row == {"statement_timeout": "0"}


async def test_runs_are_searched_for_a_bounded_time(pool: Pool, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        thread = connection.execute("insert into threads (thread_id) values (gen_random_uuid()) returning thread_id")
        values = {"thread": (thread.fetchone() or ("",))[0]}
        connection.execute(_RUNS, values)
    wanted = RunSearch(metadata={"n": 17})
    with pytest.raises(Unprocessable) as caught:
        await search_runs(pool, "default", wanted, None, goals=True, patience_s=0.001)
    assert (caught.value.code, "thread_id" in caught.value.hint) == ("search_too_wide", True)
    (found,) = await search_runs(pool, "default", wanted, None, goals=True)
    assert found["metadata"] == {"n": 17}
