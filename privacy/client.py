"""The client's half: redacts what a client sends and restores what it gets, in the caller's own process.

session = PrivateSession(Redactor(Detector(known=customers), FileVault(path)))
reply = session.incoming(client.runs.create(**session.outgoing(request)))
"""

from collections import Counter
from typing import Any

from privacy.placeholder import LITERAL, Placeholder, find
from privacy.redact import Redactor, strings
from privacy.stream import StreamRestorer


class PrivateSession:
    """Wraps the calls of one request (or one conversation) to any client."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sent: set[Placeholder] = set()

    def outgoing(self, json: Any) -> Any:
        """The value with every personal text replaced; this is what may be sent."""
        redacted = self._redactor.redact_json(json)
        self._sent.update(found.placeholder for text in strings(redacted) for found in find(text))
        return redacted

    def incoming(self, json: Any) -> Any:
        """The value as a person should read it; a line of a run's log too."""
        return self._redactor.restore_line(json)

    def restorer(self) -> StreamRestorer:
        """For text that arrives in pieces; take a new one for each stream."""
        return StreamRestorer(self._redactor.restore)

    @property
    def counts(self) -> dict[str, int]:
        """How many distinct values of each kind were replaced in all that went out, by kind."""
        kinds = Counter(one.kind for one in self._sent if one.kind != LITERAL)
        return dict(sorted(kinds.items()))
