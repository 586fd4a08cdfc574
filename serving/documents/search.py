"""A run's documents: full text and vectors fused in one query, then reranked. Implements graph.ports.Documents."""

import asyncio
import math
from typing import Any

from graph.ports import Hit, Overview
from graph.state import Source
from serving.database import connected, storage
from serving.documents.rerank import Candidate, Ranked, rerank
from serving.documents.store import DocumentStore, mismatch, vector_text
from serving.documents.words import words

_LONGEST_QUERY = 2_000  # characters
_OF_ONE_TABLE = 2  # chunks

# Any word of the question may match (questions are sentences: all of them never do), rare words weigh more (BM25's
# idf over the collection), and the two orders are fused by reciprocal rank (Cormack et al. 2009, k = 60). The rows of a
# table are alike: only the best chunks of each stand in either order, or they would crowd the passages out.
_SEARCH = r"""
with collection as (
    select collection_id, embedder from collections where tenant = %(tenant)s and name = %(collection)s
), term as (
    select lexeme, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery as pattern
    from unnest(to_tsvector('english', search_words(%(query)s))) limit 48
), match as (
    select document_id, ordinal, lexeme
    from collection join chunks using (collection_id) join term on words @@ pattern
), total as (
    select count(*) as chunks from collection join chunks using (collection_id)
), weight as (
    select lexeme, ln(1 + (total.chunks - count(*) + 0.5) / (count(*) + 0.5)) as weight
    from match, total group by lexeme, total.chunks
), matched as (
    select document_id, ordinal, sum(weight) as weight,
        row_number() over (partition by document_id order by sum(weight) desc, ordinal) as nth
    from match join weight using (lexeme) group by document_id, ordinal
), lexical as (
    select document_id, ordinal, row_number() over (order by weight desc, document_id, ordinal) as place
    from matched join documents using (document_id) where table_info is null or nth <= %(of_one_table)s
    order by place limit 50
), distance as (
    select document_id, ordinal,
        case when embedder = %(embedder)s then embedding <=> %(vector)s::vector end as distance
    from collection join chunks using (collection_id)
), near as (
    select *, row_number() over (partition by document_id order by distance, ordinal) as nth from distance
), semantic as (
    select document_id, ordinal, 1 - distance as similarity,
        row_number() over (order by distance, document_id, ordinal) as place
    from near join documents using (document_id) where table_info is null or nth <= %(of_one_table)s
    order by place limit 50
), fused as (
    select document_id, ordinal, similarity,
        coalesce(1.0 / (60 + lexical.place), 0) + coalesce(1.0 / (60 + semantic.place), 0) as fused
    from lexical full join semantic using (document_id, ordinal)
), found as (
    select path, ordinal, heading, page, content, (fused * 61 / 2)::float as prior, similarity
    from fused join chunks using (document_id, ordinal) join documents using (document_id)
)
select embedder, path, ordinal, heading, page, content, prior, similarity from collection left join found on true
"""

_READ = """
select substr(body, %s, %s) from documents join collections using (collection_id)
where tenant = %s and name = %s and path = %s
"""


class CollectionDocuments:
    """One collection, as a run sees it. A run without one (`collection=None`) finds nothing, which is no error."""

    def __init__(self, store: DocumentStore, collection: str | None) -> None:
        self._store, self._collection = store, collection

    async def overview(self) -> Overview:
        with storage():
            return await self._store.overview(self._collection) if self._collection else Overview()

    async def search(self, query: str, limit: int = 6) -> tuple[Hit, ...]:
        """The chunks that answer best, best first; `score` is in [0, 1], `source.quote` the sentence that fits best.

        Of one table at most four are among them, two by its words and two by their meaning.
        Raises serving.errors.Conflict when the collection was embedded by another embedder.
        """
        query = query.replace("\0", " ")[:_LONGEST_QUERY]
        if not self._collection or limit < 1 or not words(query):
            return ()
        candidates = await self._candidates(self._collection, query)
        floor = self._store.embedder.floor
        ranked = await asyncio.to_thread(rerank, query, candidates, floor)
        return tuple(_hit(item) for item in ranked[:limit])

    async def read(self, path: str, offset: int = 0, limit: int = 8_000) -> str:
        place = (max(0, offset) + 1, max(0, limit), self._store.tenant, self._collection, path)
        async with connected(self._store.pool) as connection:
            row = await (await connection.execute(_READ, place)).fetchone()
        if row is None:
            raise KeyError(path)
        return str(row[0])

    async def _candidates(self, collection: str, query: str) -> list[Candidate]:
        embedder = self._store.embedder
        vector = (await asyncio.to_thread(embedder.embed, [query]))[0]
        values = {
            "tenant": self._store.tenant,
            "collection": collection,
            "query": query,
            "embedder": embedder.name,
            "vector": vector_text(vector),
            "of_one_table": _OF_ONE_TABLE,
        }
        async with connected(self._store.pool) as connection:
            rows = await (await connection.execute(_SEARCH, values)).fetchall()
        if rows and rows[0][0] != embedder.name:
            raise mismatch(collection, rows[0][0], embedder.name)
        return [_candidate(*row[1:]) for row in rows if row[1] is not None]


def _candidate(
    path: str, ordinal: int, heading: str, page: int | None, text: str, prior: float, similarity: Any
) -> Candidate:
    # pgvector's cosine to a zero vector is NaN.
    close = 0.0 if similarity is None or math.isnan(similarity) else float(similarity)
    return Candidate(path, ordinal, heading, page, text, float(prior), close)


def _hit(item: Ranked) -> Hit:
    found = item.candidate
    ref = f"{found.path}#{found.ordinal}"
    source = Source(ref=ref, path=found.path, heading=found.heading, page=found.page, quote=item.quote)
    return Hit(source=source, text=found.text, score=round(item.score, 4))
