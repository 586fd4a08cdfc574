"""Texts as vectors: a hash of their words that needs no weights."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serving.documents.words import STOP_WORDS, is_exact, words

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Vectors of one kind. `name` and `dimensions` are stored with a collection: its vectors compare with no others.

    `floor` is the cosine similarity below which two texts have nothing to do with each other.
    """

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def floor(self) -> float: ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dimensions). May block: call it in a thread."""


_BUCKETS = 256
_GRAMS = (3, 4, 5)
_GRAM_SHARE = 0.5
_PLACES = 4  # a word in one bucket alone would too often be taken for its neighbour there


class HashingEmbedder:
    """Signed feature hashing (Weinberger et al. 2009) of stems and their character 3-5-grams, sublinear in frequency.

    Deterministic, no weights, no network: it finds shared words and forms of words, not meaning.
    """

    name = "hashing-words-1"
    dimensions = _BUCKETS
    floor = 0.3

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word, times in Counter(words(text)).items():
                row += (1 + np.log(times)) * _word_vector(word)
        return _unit(vectors)


@lru_cache(maxsize=30_000)
def _word_vector(word: str) -> Vectors:
    vector = np.zeros(_BUCKETS, dtype=np.float32)
    for at in range(_PLACES):
        _add(vector, f"{at}={word}", _PLACES**-0.5)
    if is_exact(word) or len(word) < _GRAMS[0]:
        # An id that shares digits with another one is no closer to it.
        return vector
    framed = f"<{word}>"
    grams = [framed[at : at + size] for size in _GRAMS for at in range(len(framed) - size + 1)]
    for gram in grams:
        _add(vector, gram, _GRAM_SHARE / len(grams) ** 0.5)
    return vector * (0.1 if word in STOP_WORDS else 1.0)


def _add(vector: Vectors, feature: str, weight: float) -> None:
    digest = int.from_bytes(blake2b(feature.encode(), digest_size=4).digest())
    vector[digest % _BUCKETS] += weight if digest >> 31 else -weight


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
