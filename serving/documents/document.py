"""A document on its way in: parsed on the client, redacted, then stored. Everything is frozen."""

from collections.abc import Callable
from dataclasses import dataclass

from privacy.redact import Redacted

MOST_SECTIONS = 20_000


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document under one heading. `heading` is a path ("Policy > Refunds"), `page` counts from 1."""

    heading: str
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read, and why, in words for the person who owns it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A file as its owner has it, personal data and all: stays in the client's process.

    `path` is relative to the folder, with `/`; `digest` is the sha256 of the raw bytes, in hex; `table` marks CSV.
    """

    path: str
    media_type: str
    digest: str
    sections: tuple[Section, ...]
    table: bool = False

    def redacted(self, redact: Callable[[str], Redacted]) -> "StoredDocument":
        """The same document with every text run through `redact`."""
        sections = tuple(StoredSection(redact(s.heading), s.page, redact(s.text)) for s in self.sections)
        return StoredDocument(redact(self.path), self.media_type, self.digest, sections, self.table)


@dataclass(frozen=True, slots=True)
class StoredSection:
    """A `Section` that may leave the client. Raises TypeError for text that privacy.redact did not make."""

    heading: Redacted
    page: int | None
    text: Redacted

    def __post_init__(self) -> None:
        _admit("heading", self.heading)
        _admit("text", self.text)


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What the store takes and nothing else: every text is `Redacted`, checked at run time as this is a trust border.

    Raises TypeError for text that is not Redacted, ValueError for text that Postgres can't hold.
    """

    path: Redacted
    media_type: str
    digest: str
    sections: tuple[StoredSection, ...]
    table: bool = False

    def __post_init__(self) -> None:
        _admit("path", self.path)
        if not self.path:
            raise ValueError("a document needs a path")

    @property
    def body(self) -> str:
        """The whole text: CSV as it is; else sections one after the other, each under its page and heading."""
        if self.table:
            return "".join(section.text for section in self.sections)
        return "\n\n".join(_titled(section) for section in self.sections)

    @property
    def headings(self) -> tuple[str, ...]:
        """Distinct headings in the order they come."""
        return tuple(dict.fromkeys(str(s.heading) for s in self.sections if s.heading))


def _titled(section: StoredSection) -> str:
    page = f"[page {section.page}]" if section.page is not None else ""
    heading = f"# {section.heading}" if section.heading else ""
    return "\n".join(part for part in (page, heading, section.text) if part)


def _admit(name: str, text: object) -> None:
    if not isinstance(text, Redacted):
        raise TypeError(f"a document's {name} is {type(text).__name__}, not Redacted: run it through privacy.redact")
    # A NUL ends a Postgres text early, a lone surrogate has no UTF-8: both are refused here, by name.
    if "\0" in text or not _encodes(text):
        raise ValueError(f"a document's {name} holds a NUL or a lone surrogate: clean it before it is stored")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
