"""Search in a real Postgres: full text and vectors in one round trip, reranked."""

import hashlib
from collections.abc import AsyncIterator

import pytest
from psycopg_pool import AsyncConnectionPool

from graph.ports import Documents, Overview
from privacy.redact import from_record
from serving.documents.document import ParsedDocument, Section, StoredDocument
from serving.documents.embed import HashingEmbedder
from serving.documents.search import CollectionDocuments
from serving.documents.sections import markdown_sections
from serving.documents.store import DocumentStore

POLICY = """# Returns policy

## Refunds

Customers may return any lamp within 30 days of delivery. Refunds are paid to the original card.

## Exceptions

Custom orders, such as ORD-10442, can't be returned. Model X200 is covered by a 24-month warranty.
"""
CONTACTS = """# Contacts

The accountant is [PERSON_1]; write to [EMAIL_1].

# Sales

Orders go to [EMAIL_12]. Urgent ones go to [EMAIL_2] and [US_SSN_1] is on file.
"""
TRAVEL = """# Travel

Trains are booked in second class. Black/white copies of tickets are kept for user_42 until 2026-05-01.
"""


def document(path: str, sections: tuple[Section, ...], table: bool = False) -> StoredDocument:
    digest = hashlib.sha256(repr(sections).encode()).hexdigest()
    return ParsedDocument(path, "text/markdown", digest, sections, table).redacted(from_record)


@pytest.fixture
async def documents(database: str) -> AsyncIterator[CollectionDocuments]:
    async with AsyncConnectionPool(database, open=False, min_size=1) as pool:
        store = DocumentStore(pool, HashingEmbedder())
        texts = {"policy.md": POLICY, "contacts.md": CONTACTS, "travel.md": TRAVEL}
        batch = [document(path, markdown_sections(text)) for path, text in texts.items()]
        pages = (Section("", 1, "Cover page."), Section("", 2, "Revenue in 2025 was 4,200,000 EUR."))
        csv = "sku;price\nLAMP-7;19,90\nLAMP-77;29,90\n"
        table = document("prices.csv", (Section("", None, csv),), table=True)
        await store.put("c", [*batch, document("report.pdf", pages), table])
        yield CollectionDocuments(store, "c")


async def words_found(documents: CollectionDocuments, query: str) -> set[str]:
    """What full text alone finds, asked of Postgres with the store's own functions."""
    statement = """
        select path || '#' || ordinal from chunks join documents using (document_id)
        where words @@ plainto_tsquery('english', search_words(%s))
    """
    async with documents._store.pool.connection() as connection:
        return {row[0] for row in await (await connection.execute(statement, (query,))).fetchall()}


async def test_it_is_the_port_that_the_graph_asks_for(documents: CollectionDocuments) -> None:
    port: Documents = documents
    assert {info.path for info in (await port.overview()).documents} >= {"policy.md", "report.pdf"}


async def test_a_question_finds_the_sentence_with_heading_and_ref(documents: CollectionDocuments) -> None:
    hit = (await documents.search("Within how many days can customers return a lamp?"))[0]
    assert hit.source.ref == "policy.md#0"
    assert hit.source.heading == "Returns policy > Refunds"
    assert hit.source.quote == "Customers may return any lamp within 30 days of delivery."
    assert hit.source.quote in hit.text
    assert 0.5 < hit.score <= 1


async def test_a_page_is_kept(documents: CollectionDocuments) -> None:
    hit = (await documents.search("What was the revenue in 2025?"))[0]
    assert (hit.source.path, hit.source.page) == ("report.pdf", 2)


async def test_a_placeholder_an_id_or_a_date_finds_itself_alone(documents: CollectionDocuments) -> None:
    cases = {
        "[EMAIL_1]": ("[EMAIL_1]", "[EMAIL_12]"),
        "[EMAIL_2]": ("[EMAIL_2]", "[EMAIL_1];"),
        "[US_SSN_1]": ("[US_SSN_1]", "[PERSON_1]"),
        "ORD-10442": ("ORD-10442", "[EMAIL_1]"),
        "x200": ("X200", "LAMP"),
        "user_42": ("user_42", "X200"),
        "2026-05-01": ("2026-05-01", "2025"),
        "white": ("Black/white", "LAMP"),
    }
    for query, (wanted, unwanted) in cases.items():
        assert len(await words_found(documents, query)) == 1, query
        (hit,) = await documents.search(query)
        assert wanted in hit.text, query
        assert unwanted not in hit.source.quote, query


async def test_a_placeholder_an_id_or_a_date_is_one_word_to_the_index(documents: CollectionDocuments) -> None:
    async with documents._store.pool.connection() as connection:
        for text in ("[EMAIL_1]", "[US_SSN_1]", "[CREDIT_CARD_12]", "ORD-10442", "2026-05-01", "user_42", "X200"):
            row = await (await connection.execute("select length(search_vector('', %s))", (text,))).fetchone()
            assert row == (1,), text


async def test_what_is_nowhere_is_not_found(documents: CollectionDocuments) -> None:
    for query in ("[EMAIL_3]", "[EMAIL_11]", "ORD-10443", "X20", "football championship"):
        assert await documents.search(query) == (), query


async def test_a_row_of_a_csv_file_is_found_by_its_value(documents: CollectionDocuments) -> None:
    hit = (await documents.search("What is the price of LAMP-7?"))[0]
    assert hit.source.quote == "sku: LAMP-7; price: 19.90"


async def test_other_forms_of_a_word_are_found(documents: CollectionDocuments) -> None:
    assert (await documents.search("refunding"))[0].source.path == "policy.md"


async def test_the_limit_holds_and_the_order_is_the_same_every_time(documents: CollectionDocuments) -> None:
    query = "orders, refunds, trains, lamps and revenue"
    hits = await documents.search(query, limit=3)
    assert len(hits) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert await documents.search(query, limit=3) == hits
    assert await documents.search(query, limit=0) == ()


async def test_no_query_breaks_the_search(documents: CollectionDocuments) -> None:
    queries = (
        "",
        "   ",
        "?!",
        "the of and",
        "' | & ! ( ) : * <->",
        "\\ \0 %s {} --",
        "a:b & !c",
        "x" * 300_000,
        "it''s",
    )
    for query in queries:
        assert isinstance(await documents.search(query), tuple), query


async def test_one_search_is_one_round_trip(documents: CollectionDocuments) -> None:
    pool = documents._store.pool
    before = pool.get_stats().get("requests_num", 0)
    await documents.search("refunds")
    assert pool.get_stats()["requests_num"] - before == 1


async def test_reading_gives_characters_of_the_whole_text(documents: CollectionDocuments) -> None:
    whole = await documents.read("policy.md")
    assert whole.startswith("# Returns policy > Refunds\nCustomers may return")
    assert await documents.read("policy.md", offset=2, limit=7) == "Returns"
    assert await documents.read("policy.md", offset=10_000) == ""
    assert await documents.read("policy.md", offset=-5, limit=-1) == ""
    assert (await documents.read("report.pdf")).startswith("[page 1]\nCover page.")
    with pytest.raises(KeyError):
        await documents.read("nothing.md")


async def test_a_run_without_documents_finds_nothing(documents: CollectionDocuments) -> None:
    for collection in (None, "", "nothing"):
        none = CollectionDocuments(documents._store, collection)
        assert await none.search("refunds") == ()
        assert await none.overview() == Overview()
        with pytest.raises(KeyError):
            await none.read("policy.md")


async def test_the_rows_of_a_table_do_not_crowd_the_passages_out(database: str) -> None:
    async with AsyncConnectionPool(database, open=False, min_size=1) as pool:
        store = DocumentStore(pool, HashingEmbedder())
        rows = "".join(f"O-{number},lamp returned by customer within days\n" for number in range(200))
        table = document("orders.csv", (Section("", None, f"order,note\n{rows}"),), table=True)
        await store.put("rows", [document("policy.md", markdown_sections(POLICY)), table])
        hits = await CollectionDocuments(store, "rows").search("lamp returned by a customer within days", 20)
    paths = [hit.source.path for hit in hits]
    assert 1 <= paths.count("orders.csv") <= 4
    assert "policy.md" in paths
