"""Questions about tables, as SQL that a real DuckDB answers."""

import json
from collections.abc import Iterator
from decimal import Decimal

import duckdb
import pytest

from graph.ports import Overview, TableInfo
from serving.models.offline.tables import sentence, table_query

ORDERS = """create table orders as from (values
    ('A-1', date '2026-01-10', 1, 'X200', 3, 100.00, 'paid', true),
    ('A-2', date '2026-03-05', 2, 'X100', 1, 250.50, 'open', false),
    ('A-3', date '2026-03-20', 1, 'X200', 2, 80.25, 'paid', false),
    ('A-4', date '2025-12-31', 3, 'X100', 5, 10.00, 'refunded', true)
) as t(order_no, order_date, customer_id, product, quantity, amount_eur, status, express)"""
CUSTOMERS = """create table customers as from (values
    (1, 'Acorn Tools', 'Spain'), (2, 'Bluebell', 'Italy'), (3, 'Cobalt', 'Spain')
) as t(customer_id, name, country)"""


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(ORDERS)
        connection.execute(CUSTOMERS)
        yield connection


@pytest.fixture(scope="module")
def overview(database: duckdb.DuckDBPyConnection) -> Overview:
    return Overview(tables=tuple(_table(database, name) for name in ("orders", "customers")))


def _table(database: duckdb.DuckDBPyConnection, name: str) -> TableInfo:
    columns = tuple((row[0], row[1]) for row in database.execute(f"describe {name}").fetchall())
    samples = {
        column: tuple(
            str(value) for (value,) in database.table(name).select(column).distinct().order(column).fetchall()
        )
        for column, kind in columns
        if kind == "VARCHAR" and column != "order_no"
    }
    return TableInfo(name=name, path=f"{name}.csv", columns=columns, rows=4, samples=samples)


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)


def ask(question: str, overview: Overview, database: duckdb.DuckDBPyConnection) -> str:
    query = table_query(question, overview)
    if query is None:
        return ""
    rows = json.loads(json.dumps(database.execute(query.sql).fetchall(), default=_plain))
    return sentence(query, {"rows": rows})


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the total amount of paid orders in March?", ": 80.25."),
        ("How many orders were refunded?", ": 1."),
        ("How many orders were not paid?", ": 2."),
        ("What is the total of the unpaid orders?", ": 260.5."),
        ("How many X200 were sold in total?", ": 5."),
        ("average amount by status", "- open: 250.5"),
        ("Maximum amount per product", "- X100: 250.5\n- X200: 100"),
        ("Which customer has the highest total amount?", "2: 250.5"),
        ("Which product was ordered most?", "X100: 2"),
        ("How many different customers ordered in 2026?", ": 2."),
        ("What is the status of order A-2?", "A-2: open"),
        ("List the top 2 orders by amount.", "- A-2: 250.5\n- A-1: 100"),
        ("total amount per quarter", "- 2025 Q4: 10"),
        ("Compare the total amount of 2025 and 2026", "- 2025: 10\n- 2026: 430.75"),
        ("In which country is Bluebell?", "Italy"),
        ("How many orders haven't been paid yet?", "Number of entries in orders where status is not paid: 2."),
        ("Which product brought in the most money?", "X100: 260.5"),
        ("How much did we get from customer id 1?", ": 180.25."),
        ("What is the average amount per month?", "- 2026-03: 165.38"),
        ("What is the total amount for customer id 1?", ": 180.25."),
        ("Which order had the highest total?", ": A-2, 2026-03-05, 2, X100, 250.5."),
    ],
)
def test_a_question_is_answered_exactly(
    question: str, said: str, overview: Overview, database: duckdb.DuckDBPyConnection
) -> None:
    assert said in ask(question, overview, database)


@pytest.mark.parametrize(
    "question",
    [
        "How many employees does the company have?",
        "What is the total amount of orders from Norway?",
        "How many orders were delivered by drone?",
        "How long is the warranty on the X200?",
        "What was the total amount in 2019?",
        "average amount by country",
        "How many products does the shop have?",
        "How many orders had 7 returns?",
        "What does an X200 cost?",
        "How much does an X200 cost?",
        "How many orders were placed since March 2026?",
    ],
)
def test_a_word_that_no_table_explains_is_never_left_out(
    question: str, overview: Overview, database: duckdb.DuckDBPyConnection
) -> None:
    assert ask(question, overview, database) == ""


@pytest.mark.parametrize("question", ["Which supplier has the longest warranty?", "List all trips to Norway."])
def test_a_table_that_knows_no_word_of_a_question_is_not_looked_through(question: str, overview: Overview) -> None:
    assert table_query(question, overview) is None


def test_a_value_or_a_word_with_a_quote_stays_one(database: duckdb.DuckDBPyConnection) -> None:
    columns, samples = (("status", "VARCHAR"),), {"status": ("o'clock",)}
    table = TableInfo(name="orders", path="o.csv", columns=columns, rows=1, samples=samples)
    for question in ("How many orders have the status o'clock?", "How many orders have the status o'hara?"):
        query = table_query(question, Overview(tables=(table,)))
        assert query is not None
        assert database.execute(query.sql).fetchall() == [(0,)]


def test_a_first_column_that_is_called_like_the_rows_numbers_them(database: duckdb.DuckDBPyConnection) -> None:
    columns = (("invoice", "BIGINT"), ("crates", "BIGINT"), ("grade", "VARCHAR"))
    table = TableInfo(name="invoices", path="i.csv", columns=columns, rows=2, samples={"grade": ("A", "B")})
    wanted = {
        "How many invoices are of grade A?": "SELECT count(*) FROM invoices WHERE grade IN ('A') ORDER BY 1 LIMIT 50",
        "What is the total of the invoices?": "SELECT sum(crates) FROM invoices ORDER BY 1 LIMIT 50",
        "How many crates were there in a box of grade B?": "SELECT sum(crates) FROM invoices WHERE",
    }
    for question, sql in wanted.items():
        query = table_query(question, Overview(tables=(table,)))
        assert query is not None
        assert query.sql.startswith(sql)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Which boat is the heaviest?", ": Moth: 90."),
        ("What's the oldest boat in the fleet?", ": Tern: 1994."),
        ("Which costs more, the Tern or the Moth?", "- Moth: 700\n- Tern: 900"),
        ("Which boat is the longest?", ""),
        ("Is the Tern or the Moth cheaper per day?", ""),
        ("How many Terns are there?", ": 1."),
        ("Which boat was the most expensive?", ": Tern: 900."),
        ("Which boat is the dearest?", ": Tern: 900."),
    ],
)
def test_an_adjective_asks_for_its_own_column(question: str, said: str, database: duckdb.DuckDBPyConnection) -> None:
    database.execute("""create or replace table fleet as from (values
        ('Tern', 1994, 60, 900.0, 50.0), ('Moth', 2020, 90, 700.0, 80.0)
    ) as t(boat, year_built, weight_kg, price_eur, total_eur)""")
    answered = ask(question, Overview(tables=(_table(database, "fleet"),)), database)
    assert answered.endswith(said) if said else not answered


def _pets(question: str, column: str) -> str:
    columns, samples = (("name", "VARCHAR"), ("kind", "VARCHAR"), (column, "BIGINT")), {"kind": ("cat", "dog")}
    table = TableInfo(name="pets", path="p.csv", columns=columns, rows=2, samples=samples)
    query = table_query(question, Overview(tables=(table,)))
    return query.sql.partition(" FROM")[0] if query else ""


def test_only_numbers_of_pieces_are_added_unasked() -> None:
    for column in ("born", "rating", "weight_kg"):
        assert _pets("How many cats are there?", column) == "SELECT count(*)"
    assert _pets("How many cats are there?", "quantity") == "SELECT sum(quantity)"
    assert _pets("How many cats lived with pets?", "quantity") == "SELECT sum(quantity)"
    assert _pets("How many cat pets are there?", "quantity") == "SELECT count(*)"


def test_years_have_no_sum() -> None:
    assert _pets("What is the total of the pets?", "score") == "SELECT sum(score)"
    assert _pets("What is the total of the pets?", "born") == ""
    assert _pets("How many born cats are there?", "born") == "SELECT count(*)"


def test_they_are_the_rows_of_the_question_before(overview: Overview, database: duckdb.DuckDBPyConnection) -> None:
    said = ask("what do they sum up to (about: Which orders are paid)", overview, database)
    assert said == "Total amount_eur in orders where status is paid: 180.25."
    said = ask("what is their total (about: How many orders are open)", overview, database)
    assert said == "Total amount_eur in orders where status is open: 250.5."
