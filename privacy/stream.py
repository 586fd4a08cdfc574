"""Restoring text that arrives in pieces: a placeholder may be cut anywhere."""

from collections.abc import Callable

from privacy.placeholder import unfinished


class StreamRestorer:
    """Feed it chunks of one text; what it returns, joined, is `restore` of the whole, however the text was cut.

    It holds back only what could still become a placeholder (at most some 60 characters).
    """

    def __init__(self, restore: Callable[[str], str]) -> None:
        self._restore = restore
        self._held = ""

    def feed(self, chunk: str) -> str:
        """The text that is ready to print; empty while all of it may still be part of a placeholder."""
        text = self._held + chunk
        cut = unfinished(text)
        self._held = text[cut:]
        return self._restore(text[:cut])

    def flush(self) -> str:
        """What was held back when the text ended. The restorer can take another text afterwards."""
        held, self._held = self._held, ""
        return self._restore(held)
