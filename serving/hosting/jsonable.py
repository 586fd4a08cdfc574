"""What a graph gives out as JSON that the LangGraph SDK reads and Postgres holds; nothing is refused."""

import base64
import dataclasses
import enum
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
from pydantic import BaseModel

from graph.tools.content import clean

_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
_DEEPEST: Final = 200


def to_json(value: Any) -> bytes:
    """Messages and pydantic models as their fields, sets as lists, bytes in base64, NaN as null. In the place of a
    character that Postgres doesn't hold, a NUL or half a surrogate pair, stands U+FFFD; the checkpoint has it."""
    try:
        data = orjson.dumps(value, plain, _OPTIONS)
    except (TypeError, RecursionError):  # half a surrogate pair, a huge integer, keys of any type, nesting without end
        data = orjson.dumps(_storable(value, 0))
    return orjson.dumps(_storable(orjson.loads(data), 0)) if b"\\u0000" in data else data


def plain(value: Any) -> Any:
    """A value that JSON doesn't have, one step nearer to it."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, BaseException):
        return {"error": type(value).__name__, "message": str(value)}
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and hasattr(value, "__len__"):  # an iterator would be used up by looking at it
        return list(value)
    if names := getattr(value, "__slots__", ()):  # such as LangGraph's Send
        return {name: getattr(value, name, None) for name in names}
    return str(value)


def _storable(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return str(type(value).__name__)
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | float):
        return clean(value)
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, Mapping):
        return {_text(str(key)): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_asdict"):
        return [_storable(item, depth + 1) for item in value]
    if isinstance(value, enum.Enum):
        return _storable(value.value, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _storable(fields, depth + 1)
    return _storable(plain(value), depth + 1)


def _text(value: str) -> str:
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\N{REPLACEMENT CHARACTER}")
