"""SQL over a collection's CSV files, from Postgres to the answer."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from graph.ports import Tables
from privacy.redact import from_record
from serving.documents.document import ParsedDocument, Section, StoredDocument
from serving.documents.embed import HashingEmbedder
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases


def table(path: str, text: str) -> StoredDocument:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ParsedDocument(path, "text/csv", digest, (Section("", None, text),), True).redacted(from_record)


@pytest.fixture
async def store(database: str) -> AsyncIterator[DocumentStore]:
    async with AsyncConnectionPool(database, open=False, min_size=1) as pool:
        store = DocumentStore(pool, HashingEmbedder())
        orders = 'id;Customer;"Amount, net";when\n1;[PERSON_1];1.200,50;2026-01-05\n2;[PERSON_2];99,50;2026-02-01\n'
        await store.put("c", [table("orders.csv", orders), table("x/people.csv", "name,city\n[PERSON_1],Oslo\n")])
        yield store


async def test_files_are_joined_and_summed(store: DocumentStore) -> None:
    tables: Tables = CollectionTables(store, "c", Databases())
    result = await tables.query(
        'select p.city, sum(o."Amount, net") as net from orders o join people p on p.name = o.customer group by p.city'
    )
    assert (result.columns, result.rows, result.truncated) == (("city", "net"), (("Oslo", 1200.5),), False)
    assert result.tables == ("orders.csv", "x/people.csv")


async def test_the_types_that_the_overview_promises_are_the_engines_own(store: DocumentStore) -> None:
    tables = CollectionTables(store, "c", Databases())
    for info in (await store.overview("c")).tables:
        described = await tables.query(f"describe {info.name}")
        assert tuple(row[:2] for row in described.rows) == info.columns


async def test_a_changed_file_is_read_anew_and_an_unchanged_one_is_not(store: DocumentStore) -> None:
    databases = Databases()
    tables = CollectionTables(store, "c", databases)
    assert (await tables.query("select count(*) from orders")).rows == ((2,),)
    loaded = {id(database) for _, database in databases._loaded.values()}
    assert (await tables.query("select count(*) from people")).rows == ((1,),)
    assert {id(database) for _, database in databases._loaded.values()} == loaded
    await store.put("c", [table("orders.csv", "id;Customer\n1;a\n2;b\n3;c\n")])
    assert (await tables.query("select count(*) from orders")).rows == ((3,),)


async def test_the_cache_keeps_only_so_many_collections(store: DocumentStore) -> None:
    databases = Databases(capacity=2)
    for name in ("c1", "c2", "c3"):
        await store.put(name, [table("t.csv", f"a\n{name}\n")])
        result = await CollectionTables(store, name, databases).query("select a from t")
        assert result.rows == ((name,),)
    assert [key for key, _ in databases._loaded.items()] == [("default", "c2"), ("default", "c3")]
    assert (await CollectionTables(store, "c1", databases).query("select a from t")).rows == (("c1",),)


async def test_errors_are_one_line_with_the_tables_there_are(store: DocumentStore) -> None:
    tables = CollectionTables(store, "c", Databases())
    for sql in ("select * from order", "select missing from orders", "copy orders to '/tmp/x'"):
        with pytest.raises(ValueError, match=r"; tables: orders\(id BIGINT, customer VARCHAR, amount_net") as caught:
            await tables.query(sql)
        assert "\n" not in str(caught.value)


async def test_the_time_limit_stops_a_cross_join(store: DocumentStore) -> None:
    tables = CollectionTables(store, "c", Databases(), seconds=0.5)
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"took longer than 0\.5 s"):
        await tables.query("select sum(a.range) from orders, range(1000000) a, range(1000000) b")
    assert time.monotonic() - started < 20


async def test_a_query_that_nobody_waits_for_any_more_is_ended(store: DocumentStore) -> None:
    query = CollectionTables(store, "c", Databases(), seconds=30).query(
        "select sum(a.range) from orders, range(1000000) a, range(1000000) b"
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(query, 0.5)
    started = time.monotonic()
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for its threads
    assert time.monotonic() - started < 20


async def test_a_run_without_tables_says_so(store: DocumentStore) -> None:
    for collection in (None, "nothing"):
        with pytest.raises(ValueError, match="there are no tables"):
            await CollectionTables(store, collection, Databases()).query("select 1")


async def test_a_table_of_twenty_thousand_rows_is_loaded_whole(store: DocumentStore) -> None:
    text = "id,region,amount\n" + "".join(f"{at},r{at % 7},{at}.25\n" for at in range(20_000))
    await store.put("big", [table("big.csv", text)])
    result = await CollectionTables(store, "big", Databases()).query("select count(*), sum(amount) from big")
    assert result.rows == ((20_000, 199_995_000.0),)
