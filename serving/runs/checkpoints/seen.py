"""A list's item that is plainly what it was when it was stored: it needn't be encoded again to be known."""

from dataclasses import dataclass
from operator import is_
from typing import Any

import ormsgpack
from pydantic import BaseModel

from serving.runs.checkpoints.codec import EXACT

_IMMUTABLE = (str, int, float, bool, bytes, type(None))


@dataclass(frozen=True, slots=True)
class Seen:
    """A model with the very values it had: immutable ones, and `parts` of plain JSON that pack to the same bytes."""

    model: BaseModel
    values: tuple[Any, ...]
    given: int
    parts: list[Any]
    packed: bytes
    mark: int

    def is_still(self, item: Any) -> bool:
        if item is not self.model or len(item.__pydantic_fields_set__) != self.given or item.__pydantic_private__:
            return False
        values = item.__dict__.values()
        return len(values) == len(self.values) and all(map(is_, values, self.values)) and self._packs_alike()

    def _packs_alike(self) -> bool:
        try:
            return ormsgpack.packb(self.parts, option=EXACT) == self.packed
        except TypeError:
            return False


def seen(item: Any, mark: int) -> Seen | None:
    """`mark`: the hash of its bytes as they are stored. None where only those can tell."""
    if not isinstance(item, BaseModel) or item.__pydantic_private__:
        return None
    values = tuple(item.__dict__.values())
    parts = [value for value in (*values, item.__pydantic_extra__) if type(value) not in _IMMUTABLE]
    if not all(type(part) in (dict, list) for part in parts):
        return None
    try:
        packed = ormsgpack.packb(parts, option=EXACT)
    except TypeError:
        return None
    return Seen(item, values, len(item.__pydantic_fields_set__), parts, packed, mark)
