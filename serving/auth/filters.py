"""What an `@auth.on` handler lets be seen, as what metadata must hold: one JSON object, for Postgres' `@>`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Held: TypeAlias = Mapping[str, Any]
"""Of each field its value, or a list of which every member is in the field's list."""
EVERYTHING: Final[Held] = MappingProxyType({})


def held_of(said: Mapping[Any, Any]) -> Held | None:
    """Of LangGraph's filter: {"owner": "a"}, {"owner": {"$eq": "a"}}, {"members": {"$contains": "a" or ["a", "b"]}}.
    None for what is no filter."""
    held: dict[str, Any] = {}
    for field, wanted in said.items():
        match wanted:
            case {"$eq": value, **more} if not more and _is_plain(value):
                held[field] = value
            case {"$contains": [*values], **more} if not more and all(map(_is_plain, values)):
                held[field] = values
            case {"$contains": value, **more} if not more and _is_plain(value):
                held[field] = [value]
            case _ if _is_plain(wanted):
                held[field] = wanted
            case _:
                return None
    return held if all(isinstance(field, str) for field in held) else None


def both(asked: Held, held: Held) -> Held | None:
    """What holds all that a caller looks for, and what must be held. None when nothing can."""
    merged = dict(asked)
    for field, wanted in held.items():
        own = merged.get(field, wanted)
        if isinstance(own, list) and isinstance(wanted, list):
            merged[field] = [*own, *wanted]
        elif own == wanted and type(own) is type(wanted):
            merged[field] = wanted
        else:
            return None
    return merged


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)
