"""Collections of documents in Postgres: what is there already, what is new, what is gone."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from graph.ports import DocumentInfo, Overview, TableInfo
from serving.documents.catalog import describe, table_names
from serving.documents.chunk import Chunk, chunks
from serving.documents.document import StoredDocument
from serving.documents.embed import Embedder, Vectors
from serving.documents.spreadsheet import Column, NotATable, read_columns
from serving.errors import Conflict

_MOST_HEADINGS = 20
_LONGEST_HEADING = 200

# Taking the row also makes two ingests into one collection wait for each other.
_TAKE_COLLECTION = """
insert into collections as c (tenant, name, embedder, dimensions) values (%s, %s, %s, %s)
on conflict (tenant, name) do update set updated_at = now()
returning collection_id, embedder, dimensions
"""

# Gives back only what is new or changed; a document with the same digest stays as it is.
_PUT_DOCUMENTS = """
insert into documents as d
    (collection_id, path, media_type, digest, body, characters, headings, table_info)
select %s, path, media_type, digest, body, char_length(body), headings, table_info
from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::jsonb[], %s::jsonb[])
    as new (path, media_type, digest, body, headings, table_info)
on conflict (collection_id, path) do update set
    media_type = excluded.media_type, digest = excluded.digest, body = excluded.body,
    characters = excluded.characters, headings = excluded.headings, table_info = excluded.table_info,
    updated_at = now()
where d.digest <> excluded.digest
returning path, document_id
"""

_DELETE_CHUNKS = "delete from chunks where document_id = any(%s)"
_COPY_CHUNKS = "copy chunks (document_id, ordinal, collection_id, heading, page, content, embedding) from stdin"

_DIGESTS = """
select path, digest from documents join collections using (collection_id)
where tenant = %s and name = %s and path = any(%s)
"""

_PRUNE = """
delete from documents using collections c
where documents.collection_id = c.collection_id and tenant = %s and name = %s and path <> all(%s)
"""

_OVERVIEW = """
select path, media_type, characters, headings, table_info from documents join collections using (collection_id)
where tenant = %s and name = %s order by path collate "C"
"""


@dataclass(frozen=True, slots=True)
class _Prepared:
    document: StoredDocument
    chunks: tuple[Chunk, ...]
    vectors: Vectors
    table_info: dict[str, Any] | None


class DocumentStore:
    """The documents of one tenant. Holds no connection; every method takes one from the pool and gives it back."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection], embedder: Embedder, tenant: str = "default") -> None:
        self.pool, self.embedder, self.tenant = pool, embedder, tenant

    def of(self, tenant: str) -> "DocumentStore":
        """Another tenant's, on the same connections."""
        return DocumentStore(self.pool, self.embedder, tenant)

    async def missing(self, collection: str, digests: Mapping[str, str]) -> set[str]:
        """Which paths of {path: digest} are not stored yet, or stored with another digest."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(_DIGESTS, (self.tenant, collection, list(digests)))
            stored: dict[str, str] = dict(await cursor.fetchall())
        return {path for path, digest in digests.items() if stored.get(path) != digest}

    async def put(self, collection: str, documents: Sequence[StoredDocument]) -> int:
        """Stores a batch in one transaction; returns how many were new or changed. The last of a doubled path wins.

        Raises Conflict when the collection was embedded by another embedder.
        """
        for document in documents:
            if not isinstance(document, StoredDocument):
                raise TypeError(f"the store takes StoredDocument, not {type(document).__name__}")
        prepared = await asyncio.to_thread(self._prepare, {document.path: document for document in documents})
        dimensions = await asyncio.to_thread(lambda: self.embedder.dimensions)
        async with self.pool.connection() as connection, connection.transaction():
            collection_id = await self._take(connection, collection, dimensions)
            changed = await _put_documents(connection, collection_id, prepared.values())
            await connection.execute(_DELETE_CHUNKS, (list(changed.values()),))
            await _copy_chunks(connection, collection_id, [(changed[path], prepared[path]) for path in changed])
        return len(changed)

    async def prune(self, collection: str, keep_paths: Iterable[str]) -> int:
        """Deletes every document whose path is not among `keep_paths`; returns how many."""
        async with self.pool.connection() as connection:
            return (await connection.execute(_PRUNE, (self.tenant, collection, list(keep_paths)))).rowcount

    async def overview(self, collection: str) -> Overview:
        """What the collection holds, by path; empty for one that doesn't exist."""
        async with self.pool.connection() as connection:
            rows = await (await connection.execute(_OVERVIEW, (self.tenant, collection))).fetchall()
        names = table_names(path for path, _, _, _, table in rows if table)
        return Overview(
            documents=tuple(
                DocumentInfo(path=path, media_type=media_type, characters=characters, headings=tuple(headings))
                for path, media_type, characters, headings, _ in rows
            ),
            tables=tuple(_table(names[path], path, table) for path, _, _, _, table in rows if table),
        )

    async def _take(self, connection: AsyncConnection, collection: str, dimensions: int) -> int:
        wanted = (self.embedder.name, dimensions)
        cursor = await connection.execute(_TAKE_COLLECTION, (self.tenant, collection, *wanted))
        row = await cursor.fetchone()
        assert row is not None
        if (row[1], row[2]) != wanted:
            raise mismatch(collection, row[1], self.embedder.name)
        return int(row[0])

    def _prepare(self, documents: Mapping[str, StoredDocument]) -> dict[str, _Prepared]:
        tables = {path: _columns(document) for path, document in documents.items()}
        parts = {path: chunks(document, tables[path]) for path, document in documents.items()}
        texts = [f"{part.heading}\n{part.text}" for path in documents for part in parts[path]]
        vectors, at = self.embedder.embed(texts), 0
        prepared: dict[str, _Prepared] = {}
        for path, document in documents.items():
            until = at + len(parts[path])
            table = describe(tables[path]) if tables[path] else None
            prepared[path] = _Prepared(document, parts[path], vectors[at:until], table)
            at = until
        return prepared


def mismatch(collection: str, theirs: str, ours: str) -> Conflict:
    return Conflict(
        f"collection {collection} was embedded by {theirs}, this server uses {ours}",
        "ingest into a new collection, or set the embedder back",
        code="embedder_mismatch",
    )


def _columns(document: StoredDocument) -> tuple[Column, ...]:
    try:
        return read_columns(document.body) if document.table else ()
    except NotATable:
        return ()


def _table(name: str, path: str, table: dict[str, Any]) -> TableInfo:
    return TableInfo(
        name=name,
        path=path,
        columns=tuple((column, sql_type) for column, sql_type in table["columns"]),
        rows=table["rows"],
        samples={column: tuple(values) for column, values in table["samples"].items()},
    )


async def _put_documents(
    connection: AsyncConnection, collection_id: int, prepared: Iterable[_Prepared]
) -> dict[str, int]:
    rows = list(prepared)
    documents = [row.document for row in rows]
    cursor = await connection.execute(
        _PUT_DOCUMENTS,
        (
            collection_id,
            [str(document.path) for document in documents],
            [document.media_type for document in documents],
            [document.digest for document in documents],
            [document.body for document in documents],
            [
                Jsonb([heading[:_LONGEST_HEADING] for heading in document.headings[:_MOST_HEADINGS]])
                for document in documents
            ],
            [Jsonb(row.table_info) if row.table_info else None for row in rows],
        ),
    )
    return dict(await cursor.fetchall())


async def _copy_chunks(connection: AsyncConnection, collection_id: int, rows: Sequence[tuple[int, _Prepared]]) -> None:
    async with connection.cursor() as cursor, cursor.copy(_COPY_CHUNKS) as copy:
        for document_id, row in rows:
            for chunk, vector in zip(row.chunks, row.vectors, strict=True):
                place = (document_id, chunk.ordinal, collection_id, chunk.heading, chunk.page)
                await copy.write_row((*place, chunk.text, vector_text(vector)))


def vector_text(vector: Vectors) -> str:
    """A vector as pgvector reads it; six digits are all a float32 is sure of."""
    return "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"
