"""Values to bytes and back, exactly: msgpack, with numbered extensions for a closed set of types.

LangGraph's own serialiser makes tuples lists, replaces lone surrogates, stops at 64 bit, and finds types by their
name in the bytes. Here a value comes back equal and of the same type, or is refused with its place in the state;
exceptions become their `repr`, as LangGraph expects, a bytearray becomes bytes, and Redacted text becomes plain text,
as wherever it leaves the process: only privacy.redact makes one.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import ormsgpack

from privacy.redact import Redacted
from serving.runs.checkpoints.errors import CheckpointRefused, NotCarried
from serving.runs.checkpoints.kinds import BIG_INT, NAMED, PAIRS, WIDE_TEXT, allowed_kinds, builtin_kinds
from serving.runs.checkpoints.records import Kind

EXACT = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_DEEPEST = 100
_AS_IT_IS = (type(None), bool, float, bytes, bytearray)
_TRAVELS_IN_64_BITS = range(-(2**63), 2**64)


class Codec:
    """`types`: pydantic models, dataclasses and enums that may be carried too. A serialiser for LangGraph."""

    def __init__(self, types: Iterable[type] = ()) -> None:
        self._kinds, self._by_number, self._by_name = _tables(tuple(types))
        self._depth = 0

    def encode(self, value: Any) -> bytes:
        """Raises NotCarried, which names the place of what can't be kept."""
        try:
            return ormsgpack.packb(value, default=self._extension, option=EXACT)
        except TypeError:
            # Surrogates, keys that aren't text, types that aren't carried: rare, and told apart step by step.
            return self._packed(value, "", 0)

    def decode(self, data: bytes) -> Any:
        """Raises CheckpointRefused when the bytes aren't what `encode` makes."""
        try:
            return ormsgpack.unpackb(data, ext_hook=self._value)
        except (ValueError, TypeError) as error:
            raise CheckpointRefused(
                "a checkpoint holds bytes or a type that this process doesn't know",
                "run the version that wrote it, or allow the type in the saver's `types`",
            ) from error

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        return "trireme", self.encode(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        if data[0] != "trireme":
            raise CheckpointRefused(f"bytes of the form {data[0]!r} are not this codec's")
        return self.decode(data[1])

    def _extension(self, value: Any) -> Any:
        kind = self._kinds.get(type(value))
        if kind is None or self._depth > _DEEPEST:
            if type(value) is Redacted:
                return str(value)
            if type(value) is int:
                return ormsgpack.Ext(BIG_INT, _of_int(value))
            raise TypeError
        self._depth += 1
        try:
            plain = ormsgpack.packb(_named(kind, value), default=self._extension, option=EXACT)
        finally:
            self._depth -= 1
        return ormsgpack.Ext(kind.number, plain)

    def _packed(self, value: Any, path: str, depth: int) -> bytes:
        try:
            return ormsgpack.packb(self._spelled(value, path, depth), option=EXACT)
        except TypeError:
            raise NotCarried(f"{path or 'a value'} is nested too deep for a checkpoint", "keep state flat") from None

    def _spelled(self, value: Any, path: str, depth: int) -> Any:
        """The same in what msgpack carries as it is."""
        kind = type(value)
        if depth > _DEEPEST:
            raise NotCarried(f"{path or 'a value'} is nested too deep for a checkpoint", "keep state flat")
        if kind in _AS_IT_IS:
            return value
        if kind is str:
            return value if _is_unicode(value) else ormsgpack.Ext(WIDE_TEXT, value.encode("utf-8", "surrogatepass"))
        if kind is int:
            return value if value in _TRAVELS_IN_64_BITS else ormsgpack.Ext(BIG_INT, _of_int(value))
        if kind is list:
            return [self._spelled(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(value)]
        if kind is dict:
            return self._spelled_dict(value, path, depth)
        return self._spelled_other(value, path, depth)

    def _spelled_dict(self, value: dict[Any, Any], path: str, depth: int) -> Any:
        if all(type(key) is str and _is_unicode(key) for key in value):
            return {key: self._spelled(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
        pairs = [list(pair) for pair in value.items()]
        return ormsgpack.Ext(PAIRS, self._packed(pairs, path, depth + 1))

    def _spelled_other(self, value: Any, path: str, depth: int) -> Any:
        kind = self._kinds.get(type(value))
        if kind is not None:
            return ormsgpack.Ext(kind.number, self._packed(_named(kind, value), path, depth + 1))
        if type(value) is Redacted:
            return self._spelled(str(value), path, depth)
        if isinstance(value, BaseException):
            return self._spelled(repr(value), path, depth)
        type_ = type(value)
        raise NotCarried(
            f"{path.lstrip('.') or 'a value'} is of type {type_.__module__}.{type_.__qualname__}, which a checkpoint "
            "doesn't carry",
            "keep plain JSON in the state, or allow the type in the saver's `types`",
        )

    def _value(self, number: int, data: bytes) -> Any:
        if number == BIG_INT:
            return int.from_bytes(data, "big", signed=True)
        if number == WIDE_TEXT:
            return data.decode("utf-8", "surrogatepass")
        plain = ormsgpack.unpackb(data, ext_hook=self._value)
        if number == PAIRS:
            return dict(plain)
        if number == NAMED:
            return self._by_name[plain[0]].together(plain[1])
        return self._by_number[number].together(plain)


@cache
def _tables(types: tuple[type, ...]) -> tuple[Mapping[type, Kind], Mapping[int, Kind], Mapping[str, Kind]]:
    """The kinds by type, number and name: one set for all savers of a process."""
    allowed = allowed_kinds(types)
    kinds = {**builtin_kinds(), **allowed}
    by_number = {kind.number: kind for kind in kinds.values() if not kind.name}
    return kinds, by_number, {kind.name: kind for kind in allowed.values()}


def _named(kind: Kind, value: Any) -> Any:
    return [kind.name, kind.apart(value)] if kind.name else kind.apart(value)


def _of_int(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
