"""What tools take and give as plain JSON: deterministic, bounded, and free of what Postgres can't hold."""

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

LIMIT_BYTES = 16_000
_LARGEST_INTEGER = 2**53
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ABSOLUTE_PATH = re.compile(r"(?<![\w./:])/(?:[\w.@+-]+/)+([\w.@+-]*)")


def clean(value: Any) -> Any:
    """`value` as JSON types: no NUL, lone surrogate or NaN; an integer beyond 2**53 becomes text."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("", str(value))
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return clean(str(value))


def _number(value: Decimal) -> int | float | str | None:
    """A JSON number when that loses nothing, else the exact text."""
    if not value.is_finite():
        return None
    if value == value.to_integral_value() and abs(value) <= _LARGEST_INTEGER:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces."""
    return _written(clean(value))


def _written(plain: Any) -> str:
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def digest(*values: Any) -> str:
    """SHA-256, in hex, of the values' canonical JSON, in which 1.0 and 1 are one number (RFC 8785).

    Text counts as it is, without Unicode normalisation: two spellings of a name can be two files.
    """
    return hashlib.sha256(_written(_one_number(clean(values))).encode()).hexdigest()


def _one_number(value: Any) -> Any:
    """JSON knows one kind of number; Postgres and models write 1.0 and 1 for each other."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_INTEGER:
        return int(value)
    if isinstance(value, dict):
        return {key: _one_number(item) for key, item in value.items()}
    return [_one_number(item) for item in value] if isinstance(value, list) else value


def bounded(data: Mapping[str, Any], limit: int = LIMIT_BYTES) -> str:
    """Canonical JSON of at most `limit` bytes; what was cut is said under the key `cut`."""
    plain = clean(data)
    text = _written(plain)
    size = len(text.encode())
    letters, items = limit // 2, 256
    while len(text.encode()) > limit and letters:
        note = f"{size} bytes are over the limit of {limit}: texts end after {letters} characters, lists after {items}"
        text = _written({**_shortened(plain, letters, items), "cut": f"{note}; ask for less"})
        letters, items = letters // 2, max(items // 2, 1)
    return text if letters else canonical({"cut": f"{size} bytes are over the limit of {limit}; ask for less"})


def _shortened(value: Any, letters: int, items: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= letters else f"{value[:letters]} …"
    if isinstance(value, dict):
        return {key: _shortened(item, letters, items) for key, item in list(value.items())[:items]}
    if isinstance(value, list):
        return [_shortened(item, letters, items) for item in value[:items]]
    return value


def without_paths(text: str) -> str:
    """An error message for the model: absolute paths of the machine shrink to their last part."""
    return _ABSOLUTE_PATH.sub(lambda match: match[1] or "a folder", clean(text))
