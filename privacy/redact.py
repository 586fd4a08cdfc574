"""The one door to `Redacted`: text that has been scanned, or comes from where only scanned text rests."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Self

from privacy.errors import ValueRefused
from privacy.placeholder import LITERAL, Found, find
from privacy.spans import Span, resolve

if TYPE_CHECKING:
    from privacy.detect import Detector
    from privacy.vault import Vault

_SEAL: Final = object()
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_BLANK: Final = "\ufffc"
_UNBLANK: Final = re.compile(f"[^{_BLANK}]+")


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
    """Text from a place that only takes `Redacted` (run log, document store, memory) or that we ship (prompts)."""
    return Redacted(text, _SEAL)


class Redactor:
    """Redacts against one vault and restores from it. Safe from several threads; sync and CPU-bound.

    NUL and lone surrogates, which no database takes, become U+FFFD as a decoder would make them.
    """

    def __init__(self, detector: "Detector", vault: "Vault", remembered: int = 2_048) -> None:
        self._detector = detector
        self._vault = vault
        self._remembered = remembered
        self._spans: OrderedDict[bytes, tuple[Span, ...]] = OrderedDict()
        self._lock = Lock()

    def against(self, vault: "Vault") -> "Redactor":
        """The same with another vault: what is found in a text doesn't depend on it, so that is remembered for both."""
        other = Redactor(self._detector, vault, self._remembered)
        other._spans, other._lock = self._spans, self._lock
        return other

    def redact(self, text: str) -> Redacted:
        """Replaces each personal value by its placeholder; doing so again changes nothing.

        A placeholder of this vault stays. A text that only looks like one is kept in the vault as `[LITERAL_n]`, so
        that it comes back as it was. Raises DetectionFailed and VaultError; then nothing may be sent.
        """
        return Redacted(self._settled(text, "", self._lookalikes(text)), _SEAL)

    def redact_json(self, value: Any) -> Any:
        """`redact` for each string of a JSON value, keys too; a key is the label of what it holds.

        A whole number that is personal becomes a string. Raises ValueRefused for what isn't JSON or would be lost.
        """
        return self._redact_value(value, "", self._lookalikes(*strings(value)))

    def restore(self, text: str) -> str:
        """Puts the values back, in one pass: what a value itself holds is not restored again."""
        return self._restored(text, str)

    def owns_any(self, text: str) -> bool:
        """Whether a placeholder in it could be one of this vault."""
        return any(self._is_own(found) for found in find(text))

    def restore_json(self, value: Any) -> Any:
        """`restore` for each string of a JSON value, keys too; `restore_answer` for an answer, or what an AI said."""
        return _mapped(value, self.restore, self.restore_answer)

    def restore_answer(self, text: str) -> str:
        """`restore` for what a model wrote: what is put back into a JSON object is written as JSON has it."""
        plain = self.restore(text)
        return self._restored(text, _inside_string) if plain != text and _is_object(text) else plain

    def restore_line(self, line: Any) -> Any:
        """`restore_json` for a line of a run's log, where a piece of a tool's arguments is JSON text."""
        match line:
            case {"kind": "tool_call_delta", "text": str(text)}:
                return {**line, "text": self._restored(text, _inside_string)}
        return self.restore_json(line)

    def _restored(self, text: str, written: Callable[[str], str]) -> str:
        pieces = []
        position = 0
        for found in find(text):
            value = self._vault.value_of(str(found.placeholder))
            if value is not None:
                pieces += [text[position : found.start], written(value)]
                position = found.end
        return "".join([*pieces, text[position:]])

    def _redact_value(self, value: Any, label: str, lookalikes: AbstractSet[str]) -> Any:
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return _pairs(
                value,
                lambda key: self._settled(key, "", lookalikes),
                lambda key, one: self._redact_value(one, key, lookalikes),
            )
        if isinstance(value, list | tuple):
            return [self._redact_value(one, label, lookalikes) for one in value]
        if isinstance(value, str):
            return self._settled(value, label, lookalikes)
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            redacted = self._settled(str(value), label, lookalikes)
            return value if redacted == str(value) else redacted
        raise ValueRefused(f"a {type(value).__name__} here is not JSON: convert it before it is redacted")

    def _lookalikes(self, *texts: str) -> AbstractSet[str]:
        """What looks like a placeholder of this vault before anything of this request got one."""
        places = (str(found.placeholder) for text in texts for found in find(text) if self._is_own(found))
        return {place for place in places if self._vault.value_of(place) is None}

    def _is_own(self, found: Found) -> bool:
        return found.placeholder.realm == self._vault.realm

    def _settled(self, text: str, label: str, lookalikes: AbstractSet[str]) -> str:
        """Redacts until nothing more is found, so that redacting the result again changes nothing."""
        text = self._redact_once(_storable(text), _storable(label), lookalikes)
        while (redacted := self._redact_once(text, _storable(label), frozenset())) != text:
            text = redacted
        return text

    def _redact_once(self, text: str, label: str, lookalikes: AbstractSet[str]) -> str:
        places = list(find(text))
        strange = [Span(one.start, one.end, LITERAL) for one in places if str(one.placeholder) in lookalikes]
        spans = [*self._detected(_blanked(text, places), label), *strange]
        pieces = []
        position = 0
        for span in resolve(spans):
            value = text[span.start : span.end]
            if any(map(str.isalnum, value)):
                pieces += [text[position : span.start], self._vault.placeholder_for(span.kind, value)]
                position = span.end
        return "".join([*pieces, text[position:]])

    def _detected(self, text: str, label: str) -> tuple[Span, ...]:
        """Spans of `text`, read after its label; remembered by hash, since a history is redacted again every turn."""
        if not any(map(str.isalnum, text)):
            return ()
        lead = f"{label}: " if label else ""
        key = sha256((lead + text).encode()).digest() + len(lead).to_bytes(4)
        with self._lock:
            if key in self._spans:
                self._spans.move_to_end(key)
                return self._spans[key]
        found = self._detector.detect(lead + text)
        spans = tuple(piece for span in _shifted(found, len(lead)) for piece in _around_blanks(span, text))
        with self._lock:
            self._spans[key] = spans
            if len(self._spans) > self._remembered:
                self._spans.popitem(last=False)
        return spans


def strings(value: Any) -> Iterator[str]:
    """Every string of a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from strings([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)


def _is_object(text: str) -> bool:
    try:
        return text.startswith("{") and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _inside_string(value: str) -> str:
    """As it stands between the quotes of a JSON string."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def _blanked(text: str, places: Iterable[Found]) -> str:
    """Placeholders covered by characters that no pattern matches, so that none is found inside or across one."""
    pieces = []
    position = 0
    for found in places:
        pieces += [text[position : found.start], _BLANK * (found.end - found.start)]
        position = found.end
    return "".join([*pieces, text[position:]])


def _around_blanks(span: Span, text: str) -> Iterator[Span]:
    for piece in _UNBLANK.finditer(text, span.start, span.end):
        yield Span(piece.start(), piece.end(), span.kind, span.score)


def _shifted(spans: Iterable[Span], lead: int) -> Iterator[Span]:
    for span in spans:
        if span.end > lead:
            yield Span(max(span.start - lead, 0), span.end - lead, span.kind, span.score)


def _mapped(value: Any, change: Callable[[str], str], answer: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        written = _written(value)
        return _pairs(value, change, lambda key, one: _mapped(one, answer if key == written else change, answer))
    if isinstance(value, list | tuple):
        return [_mapped(one, change, answer) for one in value]
    return change(value) if isinstance(value, str) else value


def _written(value: dict[str, Any]) -> str | None:
    """The key of what a model wrote, in a message or an answer."""
    if value.get("type") == "ai":
        return "content"
    return "text" if value.keys() >= {"text", "sources"} else None


def _pairs(
    value: dict[str, Any], new_key: Callable[[str], str], new_value: Callable[[str, Any], Any]
) -> dict[str, Any]:
    changed = {new_key(key): new_value(key, one) for key, one in value.items()}
    if len(changed) != len(value):
        raise ValueRefused("two keys of one object stand for the same value: give them different names")
    return changed
