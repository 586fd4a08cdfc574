"""Presidio without a model: its analyzer over our recognisers, a regex NLP engine and our reading of labels.

Importing this costs some 2 s of CPU and 110 MB, since Presidio imports spaCy: `privacy.detect` does so on first need.
"""

from collections.abc import Iterable, Iterator, Sequence
from time import monotonic
from typing import Any, Final

from presidio_analyzer import (
    AnalyzerEngine,
    ContextAwareEnhancer,
    EntityRecognizer,
    RecognizerRegistry,
    RecognizerResult,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.pattern_recognizer import REGEX_TIMEOUT_SECONDS

from privacy.context import FILLERS, REACH, Words, label
from privacy.recognisers import all_recognisers
from privacy.spans import Span

LIFT: Final = 0.35
"""What a label beside a value adds to its score when it fits the kind, and takes when it speaks against it."""


class WordEngine(NlpEngine):
    """Tokens and lower-cased lemmas by regex: all that reading labels needs."""

    def load(self) -> None:
        """Nothing to load."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        words = Words.of(text)
        return NlpArtifacts(
            entities=[],
            tokens=words.lemmas,  # type: ignore[arg-type]  # Presidio reads it only in its own enhancer
            tokens_indices=words.starts,
            lemmas=words.lemmas,
            nlp_engine=self,
            language=language,
        )

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **kwargs: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        return word in FILLERS

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return ["en"]


class LabelEnhancer(ContextAwareEnhancer):
    """Lifts what its line or column header names, lowers what they call an order number, a version or an amount.

    Presidio's own enhancer only lifts, reads over line ends, and its time grows with the square of the text.
    """

    def __init__(self) -> None:
        super().__init__(
            context_similarity_factor=LIFT,
            min_score_with_context_similarity=0.0,
            context_prefix_count=REACH,
            context_suffix_count=0,
        )

    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: NlpArtifacts,
        recognizers: list[EntityRecognizer],
        context: list[str] | None = None,
    ) -> list[RecognizerResult]:
        words = Words(nlp_artifacts.lemmas, nlp_artifacts.tokens_indices)
        telling = {recognizer.id: frozenset(recognizer.context or ()) for recognizer in recognizers}
        for result in raw_results:
            found = label(text, words, result.start)
            fitting = telling[result.recognition_metadata[RecognizerResult.RECOGNIZER_IDENTIFIER_KEY]]
            if found.contrary:
                result.score = max(0.0, result.score - LIFT)
            elif not fitting.isdisjoint(found.words):
                result.score = min(1.0, result.score + LIFT)
        return raw_results


class Analyser:
    """One Presidio engine; safe to use from several threads."""

    def __init__(self) -> None:
        registry = RecognizerRegistry(recognizers=all_recognisers())
        self._engine = AnalyzerEngine(
            registry=registry, nlp_engine=WordEngine(), context_aware_enhancer=LabelEnhancer()
        )

    def find(self, text: str, kinds: Sequence[str]) -> list[Span]:
        """What Presidio finds of `kinds`, strong or weak, in no order. Raises TimeoutError."""
        began = monotonic()
        results = self._engine.analyze(text, language="en", entities=list(kinds))
        # Presidio skips a pattern that runs out of time and only logs it: that would let values through.
        if monotonic() - began >= REGEX_TIMEOUT_SECONDS:
            raise TimeoutError("a pattern may have run out of time")
        return [Span(result.start, result.end, result.entity_type, result.score) for result in results if result.score]
