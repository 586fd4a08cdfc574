"""Questions about tables, as SQL that a real DuckDB answers."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from graph.ports import Overview, TableInfo
from serving.models.offline.lookup import ask_tables, table_question
from serving.models.offline.sql import select

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
    looking, result = ask_tables(question, overview), None
    try:
        call = next(looking)
        while True:
            cursor = database.execute(call[1]["sql"])
            rows: list[Any] = json.loads(json.dumps(cursor.fetchall(), default=_plain))
            result = {"rows": rows}
            call = looking.send(result)
    except StopIteration as end:
        return str(end.value.text) if end.value else ""


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the total amount of paid orders in March?", ": 80.25 EUR"),
        ("How many orders were refunded?", ": 1"),
        ("How many orders were not paid?", ": 2"),
        ("How many X200 were sold in total?", ": 5"),
        ("average amount by status", "- open: 250.5 EUR"),
        ("Which customer has the highest total amount?", "2: 250.5"),
        ("How many orders were placed since March 2026?", ": 2"),
        ("Which product was ordered most?", "X100: 6"),
        ("How many different customers ordered in 2026?", ": 2"),
        ("What is the status of order A-2?", "status open"),
        ("How many orders were above 90 EUR?", ": 2"),
        ("What percentage of orders were express?", ": 50 %"),
        ("List the top 2 orders by amount.", "A-2, amount 250.5 EUR\n- order no A-1"),
        ("total amount per quarter", "- 2025 Q4: 10 EUR"),
        ("Compare the total amount of 2025 and 2026", "- 2025: 10 EUR\n- 2026: 430.75 EUR"),
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
        "What was the total amount between 1 January 2026 and 5 March 2026?",
        "What is the total amount on 2026-03-05?",
        "average amount by country",
    ],
)
def test_a_word_that_no_table_explains_is_never_left_out(
    question: str, overview: Overview, database: duckdb.DuckDBPyConnection
) -> None:
    assert ask(question, overview, database) == ""


def test_a_value_with_a_quote_stays_a_value(database: duckdb.DuckDBPyConnection) -> None:
    table = TableInfo(
        name="orders", path="o.csv", columns=(("status", "VARCHAR"),), rows=1, samples={"status": ("o'clock",)}
    )
    asked = table_question("How many orders have the status o'clock?", Overview(tables=(table,)))
    assert asked is not None
    assert database.execute(select(asked)).fetchall() == [(0, 0)]


def test_amounts_in_two_currencies_are_not_added_up() -> None:
    columns = (("amount", "DECIMAL(18,2)"), ("currency", "VARCHAR"))
    table = TableInfo(name="bills", path="b.csv", columns=columns, rows=2, samples={"currency": ("EUR", "USD")})
    asked = table_question("What is the total amount of the bills?", Overview(tables=(table,)))
    assert asked is not None
    assert "GROUP BY 1" in select(asked)
    assert 't."currency" AS grouped' in select(asked)
