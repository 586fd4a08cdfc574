"""The embedder that needs no weights, and the second stage of search."""

import subprocess
import sys
import time

import numpy as np

from serving.documents.embed import HashingEmbedder
from serving.documents.rerank import Candidate, rerank

EMBEDDER = HashingEmbedder()
FLOOR = EMBEDDER.floor


def similarity(one: str, other: str) -> float:
    first, second = EMBEDDER.embed([one, other])
    return float(first @ second)


def found(text: str, *, ordinal: int = 0, heading: str = "", similarity: float = 0.0, prior: float = 0.5) -> Candidate:
    return Candidate("notes.md", ordinal, heading, None, text, prior, similarity)


def test_vectors_are_unit_length_and_empty_text_is_zero() -> None:
    vectors = EMBEDDER.embed(["Refunds take 30 days.", "", "?!"])
    assert vectors.shape == (3, EMBEDDER.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 0, 0])


def test_another_process_gets_the_same_vectors() -> None:
    text = "Refunds of order ORD-10442 for [EMAIL_1] take 30 days."
    code = f"from serving.documents.embed import HashingEmbedder as E; print(E().embed([{text!r}])[0].tolist())"
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert runs == {f"{EMBEDDER.embed([text])[0].tolist()}\n"}


def test_other_forms_of_a_word_are_close_and_other_subjects_are_below_the_floor() -> None:
    chunk = "Customers may cancel their subscription at any time; cancellation takes effect at the month's end."
    assert similarity("cancelling subscriptions", chunk) > FLOOR
    assert similarity("football championship winner", chunk) < FLOOR


def test_ids_and_placeholders_that_share_letters_are_not_alike() -> None:
    assert similarity("[EMAIL_1]", "[EMAIL_2]") < FLOOR
    assert similarity("ORD-10442", "ORD-10443") < FLOOR
    assert similarity("ord_10442", "ORD-10442") > 0.99


def test_800_kilobytes_take_less_than_three_seconds_of_cpu() -> None:
    words = [f"{stem}{ending}" for stem in map(hex, range(3_000)) for ending in ("ing", "ed", "tion")]
    texts = [" ".join(words[(at * 37 + step * 11) % len(words)] for step in range(120)) for at in range(800)]
    assert sum(map(len, texts)) > 800_000
    started = time.process_time()
    EMBEDDER.embed(texts)
    assert time.process_time() - started < 3


def test_the_chunk_that_covers_the_rare_words_comes_first_with_its_sentence() -> None:
    candidates = [
        found("The order was placed. The order was paid. The order is an order.", ordinal=0),
        found("Intro. The warranty of the X200 lasts 24 months. The order is fine.", ordinal=1),
        found("Nothing to see here.", ordinal=2),
    ]
    ranked = rerank("How long is the warranty of an X200 order?", candidates, FLOOR)
    assert [item.candidate.ordinal for item in ranked] == [1, 0]
    assert ranked[0].quote == "The warranty of the X200 lasts 24 months."
    assert 0 < ranked[1].score < ranked[0].score <= 1


def test_an_exact_id_beats_one_that_is_nearly_it() -> None:
    candidates = [found(f"Order ORD-1044{digit} was shipped to Oslo on Monday.", ordinal=digit) for digit in range(5)]
    ranked = rerank("Where was order ORD-10443 shipped to?", candidates, FLOOR)
    assert ranked[0].candidate.ordinal == 3
    assert ranked[0].score - ranked[1].score > 0.2


def test_neighbouring_words_and_headings_count() -> None:
    near = found("Annual leave is 28 days.", ordinal=0)
    far = found("Leave your keys. The annual party lasts for days.", ordinal=1)
    assert [item.candidate.ordinal for item in rerank("annual leave days", [far, near], FLOOR)] == [0, 1]
    titled = found("It is 28 days.", ordinal=2, heading="Handbook > Annual leave")
    assert rerank("annual leave", [found("It is 12 days."), titled], FLOOR)[0].candidate.ordinal == 2


def test_a_chunk_without_a_shared_word_stays_only_when_it_means_the_same() -> None:
    close, distant = found("Holidays.", ordinal=0, similarity=0.8), found("Invoices.", ordinal=1, similarity=0.1)
    assert [item.candidate.ordinal for item in rerank("vacation", [close, distant], FLOOR)] == [0]


def test_ties_are_broken_by_place() -> None:
    same = [found("Same text.", ordinal=at) for at in (3, 1, 2)]
    assert [item.candidate.ordinal for item in rerank("same", same, FLOOR)] == [1, 2, 3]


def test_a_long_quote_is_cut_between_words() -> None:
    (ranked,) = rerank("lamp", [found("lamp " * 300)], FLOOR)
    assert len(ranked.quote) <= 400
    assert ranked.quote.endswith("lamp")
