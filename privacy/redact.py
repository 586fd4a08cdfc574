"""The one door to `Redacted`: text that has been scanned, or comes from where only scanned text rests."""

from typing import Any, Final, Self

_SEAL: Final = object()


class Redacted(str):
    """Text in which every detected personal value is a placeholder such as `[EMAIL_1]`.

    Only this module makes one; the model gateway and the graph take nothing else.
    """

    __slots__ = ()

    def __new__(cls, text: str, seal: object = None) -> Self:
        if seal is not _SEAL:
            raise TypeError("Redacted text is made by privacy.redact alone: call Redactor.redact(text)")
        return super().__new__(cls, text)

    def __reduce__(self) -> tuple[Any, ...]:
        return (str, (str(self),))


def from_record(text: str) -> Redacted:
    """Text read back from a place that only takes `Redacted` (run log, document store, memory) or that we ship (prompts)."""
    return Redacted(text, _SEAL)
