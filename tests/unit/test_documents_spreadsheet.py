"""CSV texts as typed columns."""

import pytest

from serving.documents.catalog import describe, table_names
from serving.documents.spreadsheet import NotATable, read_columns


def shape(text: str) -> list[tuple[str, str]]:
    return [(column.name, column.type) for column in read_columns(text)]


def values(text: str) -> list[tuple[str | None, ...]]:
    return [column.values for column in read_columns(text)]


def test_semicolons_quotes_decimal_commas_and_german_dates_are_understood() -> None:
    text = 'Artikel;Preis;Datum\n"Lampe; groß";1.234,50;05.01.2026\n"Tisch ""Eiche""";12,00;17.02.2026\n'
    assert shape(text) == [("artikel", "VARCHAR"), ("preis", "DECIMAL(18,2)"), ("datum", "DATE")]
    assert values(text) == [
        ("Lampe; groß", 'Tisch "Eiche"'),
        ("1234.50", "12.00"),
        ("2026-01-05", "2026-02-17"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = "\n".join(delimiter.join(row) for row in (["a", "b", "c"], ["1", "x y", "2.5"], ["2", "z", "3.5"]))
    assert shape(text) == [("a", "BIGINT"), ("b", "VARCHAR"), ("c", "DECIMAL(18,1)")]


@pytest.mark.parametrize(
    ("cells", "sql_type"),
    [
        (("1", "-2", "0"), "BIGINT"),
        (("1.5", "2"), "DECIMAL(18,1)"),
        (("1e5", "2.5"), "DOUBLE"),
        (("01234", "99999"), "VARCHAR"),
        (("12345678901234567890", "1"), "VARCHAR"),
        (('"1,234"', '"5,678"'), "VARCHAR"),
        (('"1,234.50"', '"12"'), "DECIMAL(18,2)"),
        (('"1,234,567"', '"12"'), "BIGINT-like"),
        (("2026-01-05", "n/a"), "DATE"),
        (("2026-01-05 10:30", ""), "TIMESTAMP"),
        (("03/04/2026", "05/06/2026"), "VARCHAR"),
        (("13/04/2026", "05/06/2026"), "DATE"),
        (("2026-02-30", "2026-02-28"), "VARCHAR"),
        (("true", "False"), "BOOLEAN"),
        (("$5.00", "$6.00"), "VARCHAR"),
        (("1e999", "1"), "VARCHAR"),
        (("", ""), "VARCHAR"),
    ],
)
def test_a_type_is_given_only_where_every_value_fits(cells: tuple[str, ...], sql_type: str) -> None:
    wanted = "DECIMAL(18,0)" if sql_type == "BIGINT-like" else sql_type
    assert shape("id,value\n" + "\n".join(f"{at},{cell}" for at, cell in enumerate(cells)))[1] == ("value", wanted)


def test_a_thousand_in_a_file_with_decimal_commas_is_not_taken_for_a_fraction() -> None:
    assert shape("name;value\na;1.234\nb;5.678")[1] == ("value", "VARCHAR")


def test_ragged_lines_lose_nothing() -> None:
    text = "a,b\n1,2\n3\n4,5,6,7\n8,9,,\n"
    assert shape(text) == [("a", "BIGINT"), ("b", "BIGINT"), ("extra", "VARCHAR")]
    assert values(text) == [("1", "3", "4", "8"), ("2", None, "5", "9"), (None, None, "6,7", None)]


def test_a_quote_that_is_never_closed_does_not_swallow_the_file() -> None:
    assert values('a,b\n"left open,1\nx,2\ny,3\n')[1] == ("1", "2", "3")


def test_headers_become_unique_sql_names() -> None:
    text = "Unit Price (€),Größe,select,select,,1st\na,b,c,d,e,f\n"
    names = [name for name, _ in shape(text)]
    assert names == ["unit_price", "grosse", "select_", "select__2", "column_5", "n_1st"]


def test_a_file_of_numbers_alone_has_no_header() -> None:
    assert [(column.name, column.values) for column in read_columns("1,2\n3,4\n")] == [
        ("column_1", ("1", "3")),
        ("column_2", ("2", "4")),
    ]


@pytest.mark.parametrize("text", ["", "\n \n", ",,\n,,\n"])
def test_a_text_without_rows_is_no_table(text: str) -> None:
    with pytest.raises(NotATable):
        read_columns(text)


def test_tables_are_named_after_their_files_and_folders_only_where_needed() -> None:
    paths = ["2026 Sales.csv", "a/orders.csv", "b/orders.csv", "order.csv", "B/Orders.csv", "日本.csv"]
    assert table_names(paths) == {
        "2026 Sales.csv": "n_2026_sales",
        "a/orders.csv": "a_orders",
        "B/Orders.csv": "b_orders",
        "b/orders.csv": "b_orders_2",
        "order.csv": "order_",
        "日本.csv": "table_",
    }


def test_samples_are_given_for_columns_of_few_values_commonest_first() -> None:
    rows = "".join(f"{at},{'north' if at % 3 else 'south'},note {at}\n" for at in range(100))
    assert describe(read_columns("id,region,note\n" + rows)) == {
        "columns": [["id", "BIGINT"], ["region", "VARCHAR"], ["note", "VARCHAR"]],
        "rows": 100,
        "samples": {"region": ["north", "south"]},
    }
