"""People and places by a model the caller names. Weights are the caller's: nothing is ever downloaded."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from privacy.errors import RecogniserMissing
from privacy.spans import Span

if TYPE_CHECKING:
    from spacy.language import Language

NER_LABELS: Final[Mapping[str, str]] = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION"}
"""What a model calls an entity -> the kind its placeholder shows; other entities stay in clear."""


class SpacyRecogniser:
    """A loaded spaCy pipeline as a `privacy.detect.Recogniser`."""

    def __init__(self, pipeline: "Language", labels: Mapping[str, str] = NER_LABELS) -> None:
        self._pipeline = pipeline
        self._labels = labels

    def recognise(self, text: str) -> Iterator[Span]:
        for entity in self._pipeline(text).ents:
            if entity.label_ in self._labels:
                yield Span(entity.start_char, entity.end_char, self._labels[entity.label_])


def spacy_recogniser(model_name: str, labels: Mapping[str, str] = NER_LABELS) -> SpacyRecogniser:
    """Loads the spaCy model that is installed under `model_name`, or lies in that folder.

    Raises RecogniserMissing when there is none.
    """
    import spacy

    try:
        return SpacyRecogniser(spacy.load(model_name), labels)
    except OSError:
        raise RecogniserMissing(
            f"spaCy has no model {model_name!r} here: install its package into this environment, or give its folder"
        ) from None
