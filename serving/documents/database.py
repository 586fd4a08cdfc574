"""CSV texts in a DuckDB that can do nothing but answer: no files, no network, no writes, one thread, bounded memory."""

import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from graph.ports import TableResult
from serving.documents.spreadsheet import Column

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "memory_limit": "256MB",
    "temp_directory": "",
    "threads": "1",
}
# Table functions are the way to files, settings and logs; these only make rows.
_ROW_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "repeat"})
_LONGEST_SQL = 20_000
_LONGEST_CELL = 2_000
_LONGEST_HINT = 1_500
_EXACT_DIGITS = 15
_EXACT_INTEGER = 2**53


@dataclass(frozen=True, slots=True)
class Table:
    """A table to load: `name` is what SQL says, `path` the file it comes from."""

    name: str
    path: str
    columns: tuple[Column, ...]


class Database:
    """A set of tables, loaded once; `query` may be called from several threads at a time.

    Raises ValueError when a table can't be loaded, for want of memory say.
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        import duckdb

        self._paths = {table.name: table.path for table in tables}
        self._hint = _hint(tables)
        self._renamed = _renamed(tables)
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        for table in tables:
            try:
                self._connection.execute(_create(table), [list(column.values) for column in table.columns])
            except duckdb.Error as error:
                raise ValueError(f"{table.path} can't be loaded as a table: {_one_line(str(error))}") from None
        self._connection.execute("set lock_configuration = true")

    def cursor(self) -> "DuckDBPyConnection":
        """For one query, which its `interrupt` ends from another thread."""
        return self._connection.cursor()

    def query(self, sql: str, rows: int, seconds: float, cursor: "DuckDBPyConnection | None" = None) -> TableResult:
        """The first `rows` rows of one SELECT. Raises ValueError: one line, then the tables there are."""
        import duckdb

        cursor = cursor or self.cursor()
        timer = threading.Timer(seconds, cursor.interrupt)
        try:
            statement, paths = self._admit(cursor, sql)
            timer.start()
            # A CTE that inserts counts as a SELECT; the transaction refuses it.
            cursor.execute("begin transaction read only")
            cursor.execute(statement)
            columns = tuple(str(column[0]) for column in cursor.description or ())
            found = cursor.fetchmany(rows + 1)
        except duckdb.InterruptException:
            raise self._error(f"the query took longer than {seconds:g} s: narrow it or aggregate") from None
        except RecursionError:
            raise self._error("the query is nested too deeply") from None
        except (duckdb.Error, RuntimeError) as error:
            raise self._error(_one_line(str(error))) from None
        finally:
            timer.cancel()
            cursor.close()
        values = tuple(tuple(map(plain, row)) for row in found[:rows])
        return TableResult(columns=columns, rows=values, truncated=len(found) > rows, tables=paths)

    def _admit(self, cursor: "DuckDBPyConnection", sql: str) -> tuple[str, tuple[str, ...]]:
        """The statement with titles turned into names, and the paths of the files it reads."""
        import duckdb

        if len(sql) > _LONGEST_SQL or "\0" in sql:
            raise self._error(f"the query is longer than {_LONGEST_SQL} characters or holds a NUL")
        statements = cursor.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise self._error("only one SELECT statement is allowed")
        statement = self._rename(statements[0].query)
        row = cursor.execute("select json_serialize_sql(?::varchar)", [statement]).fetchone()
        tree = json.loads(row[0]) if row else {}
        if tree.get("error"):
            raise self._error(_one_line(str(tree.get("error_message", "the query can't be read"))))
        nodes = list(_nodes(tree))
        for node in nodes:
            function = str(_mapping(node.get("function")).get("function_name", ""))
            if node.get("type") == "TABLE_FUNCTION" and function.lower() not in _ROW_FUNCTIONS:
                raise self._error(f"{function}() is not allowed: query the tables below")
        names = {str(node.get("table_name", "")).lower() for node in nodes if node.get("type") == "BASE_TABLE"}
        return statement, tuple(path for name, path in self._paths.items() if name in names)

    def _rename(self, sql: str) -> str:
        """`"Unit Price"` in quotes, as the file has it, becomes unit_price; strings and comments stay."""
        import duckdb

        raw = sql.encode()
        marks = [0, *(at for at, _ in duckdb.tokenize(sql)), len(raw)]  # in bytes
        return "".join(self._renamed_piece(raw[at:until].decode()) for at, until in pairwise(marks))

    def _renamed_piece(self, piece: str) -> str:
        bare = piece.rstrip()
        if not (len(bare) > 2 and bare[0] == bare[-1] == '"'):
            return piece
        name = self._renamed.get(bare[1:-1].replace('""', '"').lower())
        return f'"{name}"{piece[len(bare) :]}' if name else piece

    def _error(self, message: str) -> ValueError:
        return ValueError(f"{message}; tables: {self._hint}")


def _hint(tables: Sequence[Table]) -> str:
    shown = ", ".join(f"{t.name}({', '.join(f'{c.name} {c.type}' for c in t.columns)})" for t in tables)
    return shown if len(shown) <= _LONGEST_HINT else f"{shown[:_LONGEST_HINT]}..."


def _renamed(tables: Sequence[Table]) -> Mapping[str, str]:
    """Lower-case title -> column name, where that is the same in every table and no column's own name."""
    pairs = {(column.title.lower(), column.name) for table in tables for column in table.columns}
    names = {name for _, name in pairs}
    titles = [title for title, _ in pairs]
    return {title: name for title, name in pairs if title not in names and titles.count(title) == 1}


def _create(table: Table) -> str:
    # Names are identifiers of our own making ([a-z0-9_]), types from a closed list: nothing of the file gets in here.
    columns = ", ".join(f'unnest(?::varchar[])::{column.type} as "{column.name}"' for column in table.columns)
    return f'create table "{table.name}" as select {columns}'


def _nodes(tree: Any) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _one_line(message: str) -> str:
    said = message.split("\nLINE ")[0].split("\nCandidate functions")[0]
    return " ".join(said.split())[:300]


def plain(value: Any) -> Any:
    """A value as JSON has it. Numbers stay numbers up to 15 digits and become text beyond; dates and times are ISO."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= _EXACT_INTEGER else str(value)
        case float():
            return float(f"{value:.{_EXACT_DIGITS}g}") if math.isfinite(value) else str(value)
        case Decimal():
            return _plain_decimal(value)
        case datetime() | date() | time():
            return value.isoformat()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case _:
            return str(value)[:_LONGEST_CELL]


def _plain_decimal(value: Decimal) -> int | float | str:
    if len(value.as_tuple().digits) > _EXACT_DIGITS or not value.is_finite():
        return str(value)
    return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
