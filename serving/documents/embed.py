"""Texts as vectors: a hash of their words that needs no weights, or any OpenAI-compatible server."""

import time
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from serving.documents.words import STOP_WORDS, is_exact, words
from serving.errors import ServingError, SettingsError, Unreachable

if TYPE_CHECKING:
    import httpx

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


# ---------------------------------------------------------------- hashing

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


# ---------------------------------------------------------------- a server

_BATCH = 128
_ATTEMPTS = 3


class OpenAIEmbedder:
    """`POST {base_url}/embeddings` of OpenAI, vLLM, Ollama or any other that speaks it.

    Raises SettingsError when the server refuses the key or the model, Unreachable when it fails or talks nonsense.
    """

    def __init__(self, base_url: str, api_key: str, model: str, floor: float = 0.2, timeout_s: float = 30.0) -> None:
        import httpx

        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._model = model
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(headers=headers, timeout=timeout_s)
        self._dimensions = 0
        self.floor = floor

    @property
    def name(self) -> str:
        return f"openai:{self._model}"

    @property
    def dimensions(self) -> int:
        """As the server's vectors have; asks it once."""
        if not self._dimensions:
            self.embed(["dimensions"])
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> Vectors:
        batches = [self._batch(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        return _unit(np.concatenate(batches)) if batches else np.zeros((0, self.dimensions), dtype=np.float32)

    def close(self) -> None:
        self._client.close()

    def _batch(self, texts: Sequence[str]) -> Vectors:
        # Servers refuse an empty input; a space is the smallest text they take.
        reply = self._post({"model": self._model, "input": [text or " " for text in texts], "encoding_format": "float"})
        try:
            rows = sorted(reply.json()["data"], key=lambda row: row["index"])
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError):
            raise Unreachable(f"{self._url} gave no embeddings", "check the address and the model's name") from None
        dimensions = self._dimensions or (vectors.shape[1] if vectors.ndim == 2 else 0)
        if vectors.shape != (len(texts), dimensions) or not dimensions or not np.isfinite(vectors).all():
            raise Unreachable(
                f"{self._url} gave vectors of shape {vectors.shape}, not ({len(texts)}, {dimensions})",
                f"check that {self._model} is an embedding model",
            )
        self._dimensions = dimensions
        return vectors

    def _post(self, body: dict[str, Any]) -> "httpx.Response":
        import httpx

        failure: ServingError = Unreachable(f"{self._url} gave no answer", "check that the server runs")
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(0.2 * 2 ** (attempt - 1))
            try:
                reply = self._client.post(self._url, json=body)
            except httpx.HTTPError as error:
                failure = Unreachable(f"{self._url}: {type(error).__name__}", "check that the server runs")
                continue
            if reply.status_code < 400:
                return reply
            failure = self._refusal(reply.status_code)
            if isinstance(failure, SettingsError):
                break
        raise failure

    def _refusal(self, status: int) -> ServingError:
        if status in (401, 403):
            return SettingsError(f"{self._url} refuses the API key ({status})", "check the key")
        if status == 429 or status >= 500:
            return Unreachable(f"{self._url} failed with {status}", "try again later")
        return SettingsError(f"{self._url} refuses model {self._model} ({status})", "check the address and the model")
