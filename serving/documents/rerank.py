"""The second look at what search found: how much of the question each chunk covers, how closely, how exactly."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from serving.documents.words import STOP_WORDS, content_words, is_exact, sentences, words

_LONGEST_QUOTE = 400
_WEIGHTS = {"coverage": 0.35, "sentence": 0.25, "exact": 0.15, "phrase": 0.1, "title": 0.1, "prior": 0.05}
_SIMILARITY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that the first stage found. `prior` is its fused rank in (0, 1], `similarity` the cosine to the query."""

    path: str
    ordinal: int
    heading: str
    page: int | None
    text: str
    prior: float
    similarity: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """`score` is in [0, 1]; `quote` is the sentence of the chunk that covers most of the query."""

    candidate: Candidate
    score: float
    quote: str


def rerank(query: str, candidates: Sequence[Candidate], floor: float) -> list[Ranked]:
    """Best first, ties by path and ordinal. Drops what shares no word with the query and is below `floor`."""
    readings = [_Reading.of(candidate) for candidate in candidates]
    question = _Question.of(query, readings)
    ranked = [_rank(question, reading, floor) for reading in readings if question.touches(reading, floor)]
    return sorted(ranked, key=lambda item: (-item.score, item.candidate.path, item.candidate.ordinal))


@dataclass(frozen=True, slots=True)
class _Reading:
    """A candidate's words: of its text, of its heading and path, of both."""

    candidate: Candidate
    said: Sequence[str]
    title: frozenset[str]
    vocabulary: frozenset[str]

    @classmethod
    def of(cls, candidate: Candidate) -> "_Reading":
        said, title = words(candidate.text), frozenset(words(f"{candidate.heading} {candidate.path}"))
        return cls(candidate, said, title, title.union(said))


@dataclass(frozen=True, slots=True)
class _Question:
    """The query's words in order, and what each weighs: rare among the candidates is heavy (BM25's idf)."""

    words: tuple[str, ...]
    weights: Mapping[str, float]

    @classmethod
    def of(cls, query: str, readings: Sequence[_Reading]) -> "_Question":
        asked, total = tuple(content_words(query)), len(readings)
        held = Counter(word for reading in readings for word in reading.vocabulary.intersection(asked))
        return cls(asked, {w: math.log(1 + (total - held[w] + 0.5) / (held[w] + 0.5)) for w in dict.fromkeys(asked)})

    def share(self, found: Iterable[str]) -> float:
        """Weight of the query's words that are among `found`, of the weight of all."""
        whole = sum(self.weights.values())
        return sum(map(self.weights.__getitem__, self.weights.keys() & found)) / whole if whole else 0.0

    def touches(self, reading: _Reading, floor: float) -> bool:
        return reading.candidate.similarity >= floor or not reading.vocabulary.isdisjoint(self.weights)


def _rank(question: _Question, reading: _Reading, floor: float) -> Ranked:
    candidate = reading.candidate
    quote, sentence = _best_sentence(question, candidate.text)
    parts = {
        "coverage": question.share(reading.vocabulary),
        "sentence": sentence,
        "phrase": _phrases(question.words, reading.said),
        "title": question.share(reading.title),
        "prior": candidate.prior,
    }
    if exact := [word for word in question.weights if is_exact(word)]:
        parts["exact"] = sum(word in reading.vocabulary for word in exact) / len(exact)
    score = sum(_WEIGHTS[name] * value for name, value in parts.items()) / sum(_WEIGHTS[name] for name in parts)
    closeness = max(0.0, candidate.similarity - floor) / (1 - floor)
    return Ranked(candidate, (score + _SIMILARITY_WEIGHT * closeness) / (1 + _SIMILARITY_WEIGHT), quote)


def _best_sentence(question: _Question, text: str) -> tuple[str, float]:
    spans = [text[first:last] for first, last in sentences(text)] or [text]
    shares = [question.share(words(span)) for span in spans]
    best = max(range(len(spans)), key=lambda at: (shares[at], -at))
    return _cut(spans[best]), shares[best]


def _cut(sentence: str) -> str:
    if len(sentence) <= _LONGEST_QUOTE:
        return sentence
    return sentence[: sentence.rfind(" ", 0, _LONGEST_QUOTE) if " " in sentence[:_LONGEST_QUOTE] else _LONGEST_QUOTE]


def _phrases(asked: Sequence[str], said: Sequence[str]) -> float:
    """Share of the query's neighbouring words that are neighbours in the text too, stop words aside."""
    pairs = set(pairwise(asked))
    kept = [word for word in said if word not in STOP_WORDS]
    return len(pairs.intersection(pairwise(kept))) / len(pairs) if pairs else 0.0
