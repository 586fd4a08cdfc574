"""The second look at what search found: how much of the question each chunk covers, how closely, how exactly."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from serving.documents.words import content_words, is_exact, sentences, words

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
    question = _Question.of(query, candidates)
    ranked = [_rank(question, candidate, floor) for candidate in candidates if question.touches(candidate, floor)]
    return sorted(ranked, key=lambda item: (-item.score, item.candidate.path, item.candidate.ordinal))


@dataclass(frozen=True, slots=True)
class _Question:
    """The query's words in order, and what each weighs: rare among the candidates is heavy (BM25's idf)."""

    words: tuple[str, ...]
    weights: Mapping[str, float]

    @classmethod
    def of(cls, query: str, candidates: Sequence[Candidate]) -> "_Question":
        asked = tuple(content_words(query))
        held = Counter(word for candidate in candidates for word in _vocabulary(candidate))
        total = len(candidates)
        return cls(asked, {w: math.log(1 + (total - held[w] + 0.5) / (held[w] + 0.5)) for w in dict.fromkeys(asked)})

    def share(self, found: Iterable[str]) -> float:
        """Weight of the query's words that are among `found`, of the weight of all."""
        there = set(found)
        whole = sum(self.weights.values())
        return sum(weight for word, weight in self.weights.items() if word in there) / whole if whole else 0.0

    def touches(self, candidate: Candidate, floor: float) -> bool:
        return candidate.similarity >= floor or not _vocabulary(candidate).isdisjoint(self.weights)


def _rank(question: _Question, candidate: Candidate, floor: float) -> Ranked:
    quote, sentence = _best_sentence(question, candidate.text)
    found = _vocabulary(candidate)
    parts = {
        "coverage": question.share(found),
        "sentence": sentence,
        "phrase": _phrases(question.words, candidate.text),
        "title": question.share(_title_words(candidate)),
        "prior": candidate.prior,
    }
    if exact := [word for word in question.weights if is_exact(word)]:
        parts["exact"] = sum(word in found for word in exact) / len(exact)
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


def _phrases(asked: Sequence[str], text: str) -> float:
    """Share of the query's neighbouring words that are neighbours in the text too."""
    pairs = set(pairwise(asked))
    said = content_words(text)
    return len(pairs.intersection(pairwise(said))) / len(pairs) if pairs else 0.0


def _vocabulary(candidate: Candidate) -> set[str]:
    return {*words(candidate.text), *_title_words(candidate)}


def _title_words(candidate: Candidate) -> set[str]:
    return set(words(f"{candidate.heading} {candidate.path}"))
