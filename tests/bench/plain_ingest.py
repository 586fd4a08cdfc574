"""What one writes first: Presidio as it comes, and an INSERT for each chunk. The same chunks and the same vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from privacy.redact import from_record
from serving.documents.chunk import Chunk, chunks
from serving.documents.document import ParsedDocument
from serving.documents.embed import HashingEmbedder
from serving.documents.parse import read_folder
from serving.documents.store import vector_text

_TABLE = """
create table plain_chunks (
    path text, ordinal int, heading text, content text, embedding vector,
    words tsvector generated always as (to_tsvector('english', content)) stored,
    primary key (path, ordinal)
)
"""
_INSERT = "insert into plain_chunks (path, ordinal, heading, content, embedding) values (%s, %s, %s, %s, %s)"


def plain_ingest(folder: Path, dsn: str) -> int:
    """Returns how many chunks it stored."""
    stored = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_TABLE)
        for path, chunk in _redacted_chunks(folder):
            vector = vector_text(HashingEmbedder().embed([f"{chunk.heading}\n{chunk.text}"])[0])
            connection.execute(_INSERT, (path, chunk.ordinal, chunk.heading, chunk.text, vector))
            stored += 1
    return stored


def _redacted_chunks(folder: Path) -> Iterator[tuple[str, Chunk]]:
    analyzer = _analyzer()
    for document in read_folder(folder):
        if isinstance(document, ParsedDocument):
            stored = document.redacted(lambda text: from_record(_redacted(analyzer, text)))
            yield from ((document.path, chunk) for chunk in chunks(stored))


def _redacted(analyzer: Any, text: str) -> str:
    found = analyzer.analyze(text=text, language="en")
    return _replaced(text, sorted(found, key=lambda span: -span.start))


def _replaced(text: str, spans: Sequence[Any]) -> str:
    for span in spans:
        text = f"{text[: span.start]}<{span.entity_type}>{text[span.end :]}"
    return text


def _analyzer() -> Any:
    """Presidio's own engine and recognisers. Its default spaCy model is a download, so the tokenizer stands alone."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # else it fetches a list
    words: Any = SpacyNlpEngine()
    words.nlp = {"en": spacy.blank("en")}
    return AnalyzerEngine(nlp_engine=words, supported_languages=["en"])
