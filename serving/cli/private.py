"""The command line's privacy half: one vault per home, so that the same value has the same placeholder in every run."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from privacy.client import PrivateSession
from privacy.detect import Detector
from privacy.redact import Redactor
from privacy.stream import StreamRestorer
from privacy.vault import FileVault
from serving.documents.document import ParsedDocument
from serving.known_names import read_known_names
from serving.settings import Settings

_PARSER_VERSION = "4"  # another when parsing, finding or chunking changes: what is stored is then read anew


class Private:
    def __init__(self, redactor: Redactor, vault: str, names: str) -> None:
        self._redactor = redactor
        self._session = PrivateSession(redactor)
        self._vault = vault
        self._salt = hashlib.sha256(f"{_PARSER_VERSION}\0{names}\0{vault}".encode()).hexdigest()

    def redact(self, text: str) -> str:
        """What may leave this process; counts what it replaced."""
        return str(self._session.outgoing(text))

    def redact_json(self, value: Any) -> Any:
        return self._session.outgoing(value)

    def restore(self, text: str) -> str:
        return self._redactor.restore(text)

    def restore_json(self, value: Any) -> Any:
        return self._session.incoming(value)

    def restorer(self) -> StreamRestorer:
        return self._session.restorer()

    @property
    def counts(self) -> dict[str, int]:
        """Distinct values replaced in what was sent, by kind."""
        return self._session.counts

    def document(self, document: ParsedDocument) -> dict[str, Any]:
        """The document as it is sent: parsed, with every text redacted."""
        sections = [
            {"heading": self.redact(part.heading), "page": part.page, "text": self.redact(part.text)}
            for part in document.sections
        ]
        return {
            "path": self.redact(document.path),
            "media_type": document.media_type,
            "digest": self.digest(document),
            "table": document.table,
            "sections": sections,
        }

    def digest(self, document: ParsedDocument) -> str:
        """Changes with the file, with the names to redact and with the vault, since placeholders are the vault's."""
        return hashlib.sha256(f"{self._salt}\0{document.digest}".encode()).hexdigest()

    def collection(self, folder: Path) -> str:
        """A name for a folder that says nothing about it; what is read anew replaces what was read before."""
        return "docs-" + hashlib.sha256(f"{self._vault}\0".encode() + os.fsencode(folder)).hexdigest()[:16]


@contextmanager
def open_private(settings: Settings) -> Iterator[Private]:
    """Raises VaultError when the vault can't be read or written: then nothing is sent."""
    known = read_known_names(settings.known_names)
    vault = FileVault(settings.home / "vault.db")
    try:
        yield Private(Redactor(Detector(known), vault), vault.identity, "\n".join(sorted(known)))
    finally:
        vault.close()
