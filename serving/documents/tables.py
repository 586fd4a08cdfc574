"""A run's CSV files as SQL tables. Implements graph.ports.Tables."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from graph.ports import TableResult
from serving.database import connected
from serving.documents.catalog import table_names
from serving.documents.database import Database, Table
from serving.documents.spreadsheet import read_columns
from serving.documents.store import DocumentStore

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS = 200
_SECONDS = 5.0
_AGAIN_S = (0.1, 0.3, 0.6)  # an interrupt that comes just before its query has begun is lost

_VERSIONS = """
select path, digest from documents join collections using (collection_id)
where tenant = %s and name = %s and table_info is not null order by path collate "C"
"""

_BODIES = """
select path, body from documents join collections using (collection_id)
where tenant = %s and name = %s and path = any(%s) order by path collate "C"
"""

Versions = tuple[tuple[str, str], ...]


class Databases:
    """Loaded collections, shared by the runs of a process; the one unused for longest goes first."""

    def __init__(self, capacity: int = 4) -> None:
        self._capacity = capacity
        self._loaded: OrderedDict[tuple[str, str], tuple[Versions, Database]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str], versions: Versions) -> Database | None:
        """The database of (tenant, collection) if it holds exactly these (path, digest) pairs."""
        with self._lock:
            held = self._loaded.get(key)
            if held is None or held[0] != versions:
                return None
            self._loaded.move_to_end(key)
            return held[1]

    def load(self, key: tuple[str, str], versions: Versions, bodies: Mapping[str, str]) -> Database:
        """Reads the CSV texts {path: text} and keeps the result. Takes seconds for megabytes: call it in a thread."""
        names = table_names(bodies)
        database = Database([Table(names[path], path, read_columns(body)) for path, body in bodies.items()])
        with self._lock:
            self._loaded[key] = (versions, database)
            self._loaded.move_to_end(key)
            while len(self._loaded) > self._capacity:
                self._loaded.popitem(last=False)
        return database


class CollectionTables:
    """The CSV files of one collection. A run without one (`collection=None`) has no tables."""

    def __init__(
        self, store: DocumentStore, collection: str | None, databases: Databases, seconds: float = _SECONDS
    ) -> None:
        self._store, self._collection, self._databases, self._seconds = store, collection, databases, seconds

    async def query(self, sql: str) -> TableResult:
        """The first 200 rows of one SELECT, within 5 s. Raises ValueError with one line on what to mend."""
        database = await self._database()
        if database is None:
            raise ValueError("there are no tables: no CSV file is among the documents")
        cursor = database.cursor()
        try:
            return await asyncio.to_thread(database.query, sql, _ROWS, self._seconds, cursor)
        except asyncio.CancelledError:
            for later_s in (0.0, *_AGAIN_S):
                asyncio.get_running_loop().call_later(later_s, _interrupt, cursor)
            raise

    async def _database(self) -> Database | None:
        if not self._collection:
            return None
        key = (self._store.tenant, self._collection)
        versions = await self._rows(_VERSIONS, key)
        if not versions:
            return None
        if held := self._databases.get(key, versions):
            return held
        bodies = dict(await self._rows(_BODIES, (*key, [path for path, _ in versions])))
        return await asyncio.to_thread(self._databases.load, key, versions, bodies)

    async def _rows(self, statement: str, values: Sequence[object]) -> Versions:
        async with connected(self._store.pool) as connection:
            rows = await (await connection.execute(statement.encode(), values)).fetchall()
        return tuple((str(first), str(second)) for first, second in rows)


def _interrupt(cursor: "DuckDBPyConnection") -> None:
    """Ends a query that nobody waits for any more."""
    import duckdb

    with suppress(duckdb.Error):  # it has ended, and its cursor is closed
        cursor.interrupt()
