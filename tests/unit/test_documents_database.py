"""The DuckDB that a model may query: it answers, and it does nothing else."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graph.ports import TableResult
from serving.documents.database import Database, Table, plain
from serving.documents.spreadsheet import read_columns

SALES = "Order;Unit Price;Region;Sold On\nA-1;1.234,50;North;05.01.2026\nA-2;12,10;South;17.02.2026\nA-3;12,20;North;\n"


@pytest.fixture(scope="module")
def database() -> Database:
    notes = "id,note\n1,'; drop table sales --\n"
    return Database(
        [Table("sales", "x/sales.csv", read_columns(SALES)), Table("notes", "notes.csv", read_columns(notes))]
    )


def ask(database: Database, sql: str, rows: int = 200, seconds: float = 5.0) -> TableResult:
    return database.query(sql, rows, seconds)


def test_sums_are_exact_dates_are_iso_and_the_files_read_are_named(database: Database) -> None:
    result = ask(database, "select region, sum(unit_price) as total, min(sold_on) from sales group by 1 order by 1")
    assert result.rows == (("North", 1246.7, "2026-01-05"), ("South", 12.1, "2026-02-17"))
    assert result.columns[:2] == ("region", "total")
    assert result.tables == ("x/sales.csv",)


def test_titles_as_the_file_has_them_work_in_quotes(database: Database) -> None:
    sql = """select "Unit Price" from sales where "Order" = 'A-2' and '"Unit Price" ü' <> 'x' -- "Order" """
    assert ask(database, sql).rows == ((12.1,),)


def test_a_cte_is_no_file(database: Database) -> None:
    result = ask(database, "with north as (select * from sales where region = 'North') select count(*) from north")
    assert (result.rows, result.tables) == (((2,),), ("x/sales.csv",))


def test_more_rows_than_the_limit_are_cut_and_said_so(database: Database) -> None:
    assert ask(database, "select * from range(201)").truncated
    assert len(ask(database, "select * from range(201)").rows) == 200
    assert not ask(database, "select * from range(200)").truncated


def test_a_cross_join_is_stopped_at_the_time_limit(database: Database) -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"longer than 0\.5 s"):
        ask(database, "select sum(a.range * b.range) from range(1000000) a, range(1000000) b", seconds=0.5)
    assert time.monotonic() - started < 20
    assert ask(database, "select 1").rows == ((1,),)


def test_a_query_that_wants_all_memory_is_an_error_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(ValueError, match="Out of Memory"):
        ask(database, "select list(range) from range(100000000)")
    assert ask(database, "select count(*) from sales").rows == ((3,),)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('{secret}')",
        "select * from '{secret}'",
        "select * from read_text('{secret}')",
        "select content from read_blob('{secret}')",
        "select * from glob('/*')",
        "select * from query_table('{secret}')",
        "select * from sniff_csv('{secret}')",
        "select * from json_execute_serialized_sql(json_serialize_sql('select * from read_text(''{secret}'')'))",
        "copy sales to '{written}'",
        "copy (select 1) to '{written}'",
        "export database '{written}'",
        "attach '{written}' as other",
        "install httpfs",
        "load httpfs",
        "set threads = 8",
        "reset lock_configuration",
        "pragma database_list",
        "call pragma_version()",
        "select 1; select 2",
        "select 1; copy sales to '{written}'",
        "drop table sales",
        "create table other (a int)",
        "insert into sales values ('x', 1, 'y', null)",
        "update sales set region = 'x'",
        "with gone as (delete from sales returning *) select * from gone",
        "with more as (insert into notes values (2, 'x') returning *) select * from more",
        "select * from enable_logging()",
        "select * from duckdb_settings()",
        "select * from secret",
        "explain analyze select 1",
        "prepare p as select 1",
        "begin",
        "",
        "-- nothing",
        "select",
        "selekt 1",
        "select '\0'",
        "select " + "(" * 9_000 + "1" + ")" * 9_000,
        "select 1 -- " + "x" * 30_000,
    ],
)
def test_whatever_is_not_one_read_of_the_tables_is_refused_in_one_line(
    database: Database, tmp_path: Path, sql: str
) -> None:
    secret = tmp_path / "secret.csv"  # also what a replacement scan of Python variables would find
    secret.write_text("a,b\n1,2\n")
    written = tmp_path / "written"
    with pytest.raises(ValueError) as caught:
        ask(database, sql.replace("{secret}", str(secret)).replace("{written}", str(written)))
    assert "\n" not in str(caught.value)
    assert "tables: sales(order_ VARCHAR, unit_price DECIMAL(18,2)" in str(caught.value)
    assert not written.exists()
    assert ask(database, "select count(*), (select count(*) from notes) from sales").rows == ((3, 1),)


def test_an_error_says_what_the_engine_says(database: Database) -> None:
    with pytest.raises(ValueError, match=r'column "unit_pric" not found .* Candidate bindings: "unit_price"; tables: '):
        ask(database, "select unit_pric from sales")


def test_several_queries_run_at_a_time_and_one_timeout_stops_only_its_own(database: Database) -> None:
    slow = "select sum(a.range) from range(1000000) a, range(1000000) b"
    with ThreadPoolExecutor(4) as pool:
        stopped = pool.submit(ask, database, slow, 200, 0.5)
        answers = [pool.submit(ask, database, "select count(*) from sales") for _ in range(20)]
        assert {answer.result().rows for answer in answers} == {((3,),)}
        assert isinstance(stopped.exception(), ValueError)


def test_values_are_json_safe(database: Database) -> None:
    sql = """select 1, 9007199254740993, 0.1::double + 0.2::double, 1234567890123456.78, 'nan'::double, null, true,
        timestamp '2026-01-05 10:30:00', interval 1 day, [1.5, 2.5], {'day': date '2026-01-05'}, 'x'::blob"""
    row = ask(database, sql).rows[0]
    assert row[:8] == (1, "9007199254740993", 0.3, "1234567890123456.78", "nan", None, True, "2026-01-05T10:30:00")
    assert row[9:11] == ([1.5, 2.5], {"day": "2026-01-05"})
    json.dumps(row, allow_nan=False)
    assert len(plain("x" * 100_000)) == 2_000
