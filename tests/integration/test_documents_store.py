"""Collections in a real Postgres: ingest, change, prune, overview, and what is refused."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from privacy.redact import from_record
from serving.documents.document import ParsedDocument, Section, StoredDocument
from serving.documents.embed import HashingEmbedder, Vectors
from serving.documents.parse import read_folder
from serving.documents.search import CollectionDocuments
from serving.documents.store import DocumentStore
from serving.errors import Conflict


class OtherEmbedder(HashingEmbedder):
    """Shorter vectors under another name, as another model would give."""

    name = "other-1"
    dimensions = 128

    def embed(self, texts: Sequence[str]) -> Vectors:
        return super().embed(texts)[:, :128]


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(database, open=False, min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
def store(pool: AsyncConnectionPool) -> DocumentStore:
    return DocumentStore(pool, HashingEmbedder())


def document(path: str, text: str, table: bool = False, heading: str = "") -> StoredDocument:
    digest = hashlib.sha256(text.encode()).hexdigest()
    media_type = "text/csv" if table else "text/markdown"
    return ParsedDocument(path, media_type, digest, (Section(heading, None, text),), table).redacted(from_record)


async def count(pool: AsyncConnectionPool, table: str) -> int:
    async with pool.connection() as connection:
        row = await (await connection.execute(f"select count(*) from {table}".encode())).fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


async def test_putting_twice_changes_nothing_and_a_new_digest_replaces(
    store: DocumentStore, pool: AsyncConnectionPool
) -> None:
    first, second = document("a.md", "Refunds take 30 days."), document("b.md", "Shipping is free.")
    assert await store.missing("c", {"a.md": first.digest, "b.md": second.digest}) == {"a.md", "b.md"}
    assert await store.put("c", [first, second]) == 2
    assert await store.put("c", [first, second]) == 0
    assert await store.missing("c", {"a.md": first.digest, "b.md": "changed", "c.md": "new"}) == {"b.md", "c.md"}
    assert await store.put("c", [first, document("b.md", "Shipping costs 5 EUR.")]) == 1
    assert (await count(pool, "documents"), await count(pool, "chunks")) == (2, 2)
    documents = CollectionDocuments(store, "c")
    assert await documents.read("b.md") == "Shipping costs 5 EUR."
    assert [hit.text for hit in await documents.search("shipping")] == ["Shipping costs 5 EUR."]


async def test_pruning_removes_what_the_folder_no_longer_holds(store: DocumentStore, pool: AsyncConnectionPool) -> None:
    await store.put("c", [document(f"{name}.md", f"About {name}.") for name in "abc"])
    await store.put("other", [document("a.md", "Elsewhere.")])
    assert await store.prune("c", ["b.md", "never.md"]) == 2
    assert [info.path for info in (await store.overview("c")).documents] == ["b.md"]
    assert (await count(pool, "documents"), await count(pool, "chunks")) == (2, 2)
    assert await store.prune("c", []) == 1
    assert await store.prune("nothing", []) == 0


async def test_the_overview_lists_documents_and_tables_by_path(store: DocumentStore) -> None:
    csv = "Order;Region;Amount\nA-1;North;12,50\nA-2;South;7,00\n"
    await store.put(
        "c", [document("x/sales.csv", csv, table=True), document("a.md", "Thirty days.", heading="Refunds")]
    )
    overview = await store.overview("c")
    assert [(info.path, info.headings) for info in overview.documents] == [("a.md", ("Refunds",)), ("x/sales.csv", ())]
    assert overview.documents[0].characters == len("# Refunds\nThirty days.")
    (table,) = overview.tables
    assert (table.name, table.path, table.rows) == ("sales", "x/sales.csv", 2)
    assert table.columns == (("order_", "VARCHAR"), ("region", "VARCHAR"), ("amount", "DECIMAL(18,2)"))
    assert table.samples == {"order_": ("A-1", "A-2"), "region": ("North", "South")}
    assert await store.overview("nothing") == type(overview)()


async def test_a_csv_file_without_rows_is_stored_as_a_text(store: DocumentStore) -> None:
    await store.put("c", [document("odd.csv", ",,", table=True)])
    overview = await store.overview("c")
    assert ([info.path for info in overview.documents], overview.tables) == (["odd.csv"], ())


async def test_collections_and_tenants_do_not_see_each_other(pool: AsyncConnectionPool, store: DocumentStore) -> None:
    other = DocumentStore(pool, HashingEmbedder(), tenant="other")
    await store.put("c", [document("a.md", "The code word is heron.")])
    await other.put("c", [document("a.md", "The code word is otter.")])
    assert (await CollectionDocuments(store, "c").search("code word"))[0].text.endswith("heron.")
    assert (await CollectionDocuments(other, "c").search("code word"))[0].text.endswith("otter.")
    assert await CollectionDocuments(store, "d").search("code word") == ()


async def test_another_embedder_is_refused_with_the_way_out(pool: AsyncConnectionPool, store: DocumentStore) -> None:
    await store.put("c", [document("a.md", "Refunds take 30 days.")])
    other = DocumentStore(pool, OtherEmbedder())
    message = r"collection c was embedded by hashing-words-1, this server uses other-1 \(ingest into a new collection"
    with pytest.raises(Conflict, match=message) as caught:
        await other.put("c", [document("b.md", "More.")])
    assert caught.value.code == "embedder_mismatch"
    with pytest.raises(Conflict, match=message):
        await CollectionDocuments(other, "c").search("refunds")
    assert [info.path for info in (await store.overview("c")).documents] == ["a.md"]


async def test_the_store_takes_nothing_that_was_not_redacted(store: DocumentStore) -> None:
    parsed = ParsedDocument("a.md", "text/plain", "0", (Section("", None, "jane@example.com"),))
    with pytest.raises(TypeError, match="takes StoredDocument, not ParsedDocument"):
        await store.put("c", [parsed])  # type: ignore[list-item]


async def test_a_megabyte_of_heading_and_one_word_without_end_are_stored(store: DocumentStore) -> None:
    heading = " ".join(f"word{at}" for at in range(150_000))
    await store.put("c", [document("a.md", "endless" * 100_000 + " tail.", heading=heading)])
    (info,) = (await store.overview("c")).documents
    assert len(info.headings[0]) == 200
    assert (await CollectionDocuments(store, "c").search("tail"))[0].source.path == "a.md"


async def test_a_batch_with_nothing_in_it_and_a_doubled_path_are_fine(store: DocumentStore) -> None:
    assert await store.put("c", []) == 0
    assert await store.put("c", [document("a.md", "Old."), document("a.md", "New.")]) == 1
    assert await CollectionDocuments(store, "c").read("a.md") == "New."


async def test_two_ingests_at_once_leave_every_document_whole(store: DocumentStore, pool: AsyncConnectionPool) -> None:
    batch = [document(f"{at}.md", f"Document {at} speaks of subject {at}. " * 40) for at in range(30)]
    done = await asyncio.gather(*(store.put("c", list(reversed(batch)) if at % 2 else batch) for at in range(4)))
    assert sum(done) == 30
    assert await count(pool, "documents") == 30
    assert await count(pool, "chunks") == 60


async def test_200_markdown_files_of_4_kb_cost_less_than_4_seconds_of_cpu(store: DocumentStore, tmp_path: Path) -> None:
    for at in range(200):
        lines = [f"Order ORD-{at}{line} of customer{at * line % 977} costs {line}.50 EUR.\n" for line in range(90)]
        (tmp_path / f"{at:03}.md").write_text(f"# Report {at}\n\n## Orders\n\n" + "".join(lines))
    started = time.process_time()
    parsed = [entry for entry in read_folder(tmp_path) if isinstance(entry, ParsedDocument)]
    for at in range(0, 200, 50):
        await store.put("c", [entry.redacted(from_record) for entry in parsed[at : at + 50]])
    assert time.process_time() - started < 4
    assert len((await store.overview("c")).documents) == 200
    (hit, *_) = await CollectionDocuments(store, "c").search("What does order ORD-1427 cost?")
    assert "ORD-1427 of" in hit.source.quote
