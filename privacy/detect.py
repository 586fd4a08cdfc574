"""Finding personal values in text: Presidio's patterns, secrets, what the caller knows, and any NER model it brings.

Fails closed: when any part of detection fails, `DetectionFailed` is raised and nothing may go out.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

from privacy.credentials import Credentials
from privacy.errors import DetectionFailed
from privacy.known import KnownNames
from privacy.spans import Span, resolve

if TYPE_CHECKING:
    from privacy.analysis import Analyser

THRESHOLDS: Final[Mapping[str, float]] = {
    "EMAIL": 0.5,
    "PHONE": 0.4,
    "CREDIT_CARD": 0.7,
    "IBAN": 0.5,
    "SSN": 0.5,
    "PASSPORT": 0.5,
    "IP": 0.5,
    "CRYPTO": 0.5,
    "NHS": 0.5,
    "MEDICAL_LICENSE": 0.5,
    "BANK_ACCOUNT": 0.5,
}
"""The least score at which a find of Presidio counts, per kind."""

# What a window must hold for a kind to be possible; without any, Presidio is not even loaded.
_DATE: Final = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4})(?![0-9-])"
_NUMBER: Final = re.compile(
    rf"(?<![0-9])(?!{_DATE})(?:[0-9](?: / |[ ().\-/]{{0,2}})){{7}}|[0-9]{{2}}[A-Za-z]{{2}}[0-9]{{5}}"
)
_HINTS: Final = (
    (re.compile(r"@|%40"), ("EMAIL",)),
    (_NUMBER, ("PHONE", "CREDIT_CARD", "IBAN", "SSN", "NHS", "MEDICAL_LICENSE", "BANK_ACCOUNT", "PASSPORT")),
    (re.compile(r"(?i:passport|passeport|reisepass|passnummer)"), ("PASSPORT",)),
    (re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]|:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:"), ("IP",)),
    (re.compile(r"(?:[bB][cC]1|[13]|0[xX])[A-Za-z0-9]{25}"), ("CRYPTO",)),
)

# Spaces and hyphens that typesetters and web pages set between groups, and full-width forms: one character for one, so
# that what is found stands in the text at the same place.
_TYPED: Final[dict[int, int | str]] = {
    **dict.fromkeys((*range(0x2010, 0x2014), 0x2212), "-"),
    **dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **{0xFEE0 + code: code for code in range(0x21, 0x7F)},
}

# Where a line may be broken, or its direction turns: nobody sees them, and pages and PDFs hold them inside words.
_UNSEEN: Final = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")

WINDOW: Final = 8_000
OVERLAP: Final = 400
"""Characters: Presidio's cost grows with the square of its finds, so long texts are read in windows of whole lines."""


class Recogniser(Protocol):
    """Finds values that need a model (people, places): see `privacy.ner`; GLiNER or transformers fit as well."""

    def recognise(self, text: str) -> Iterable[Span]: ...


class Detector:
    """Detects with a process-wide Presidio engine, loaded when a text first needs it. Safe from several threads.

    `known`: names and ids to find by exact matching, as kind NAME.
    """

    def __init__(self, known: Sequence[str] = (), recognisers: Sequence[Recogniser] = ()) -> None:
        self._exact = (KnownNames(known), Credentials())
        self._recognisers = tuple(recognisers)

    def detect(self, text: str) -> tuple[Span, ...]:
        """The personal values in `text`, in order, without overlap. Raises DetectionFailed. Sync and CPU-bound."""
        try:
            return resolve(self._find(text))
        except Exception as error:
            # The cause is left out on purpose: its message may quote the text.
            cause = type(error).__name__
            raise DetectionFailed(
                f"personal data could not be looked for ({cause}), so nothing was sent: "
                "check that presidio-analyzer and the recognisers given to the detector work"
            ) from None

    def _find(self, text: str) -> Iterator[Span]:
        yield from self._find_in(text)
        if _UNSEEN.search(text):
            seen = [place for place, character in enumerate(text) if not _UNSEEN.match(character)]
            for span in self._find_in("".join(text[place] for place in seen)):
                yield Span(seen[span.start], seen[span.end - 1] + 1, span.kind, span.score)
        for recogniser in self._recognisers:
            for span in recogniser.recognise(text):
                if span.end > len(text):
                    raise ValueError("a recogniser's span ends after the text")
                yield span

    def _find_in(self, text: str) -> Iterator[Span]:
        for finder in self._exact:
            yield from finder.find(text)
        for offset, lead, window in _windows(text):
            for span in _find_by_pattern(window):
                if span.start >= lead:
                    yield Span(span.start + offset, span.end + offset, span.kind, span.score)


def _find_by_pattern(text: str) -> list[Span]:
    text = text.translate(_TYPED)
    kinds = sorted({kind for hint, kinds in _HINTS if hint.search(text) for kind in kinds})
    if not kinds:
        return []
    return [span for span in _analyser().find(text, kinds) if span.score >= THRESHOLDS[span.kind]]


def _windows(text: str) -> Iterator[tuple[int, int, str]]:
    """(offset, lead, window): `window[i]` is `text[i + offset]` from `lead` on; before it stands a table's header."""
    if len(text) <= WINDOW:
        yield 0, 0, text
        return
    header = text[: text.find("\n") + 1]
    start = 0
    while start < len(text):
        end = _window_end(text, start)
        lead = header if start and len(header) <= OVERLAP else ""
        yield start - len(lead), len(lead), lead + text[start:end]
        start = end if end == len(text) or text[end - 1] == "\n" else _overlap_start(text, end)


def _window_end(text: str, start: int) -> int:
    """After the last line that fits; in the middle of a line when it is longer than half a window."""
    limit = start + WINDOW
    if limit >= len(text):
        return len(text)
    line_end = text.rfind("\n", start + WINDOW // 2, limit) + 1
    return line_end or limit


def _overlap_start(text: str, end: int) -> int:
    """A window that ends inside a line is followed by one that repeats its last words."""
    return text.find(" ", end - OVERLAP, end) + 1 or end - OVERLAP


@functools.cache
def _build_analyser() -> "Analyser":
    from privacy.analysis import Analyser

    return Analyser()


_loading = Lock()


def _analyser() -> "Analyser":
    with _loading:
        return _build_analyser()
