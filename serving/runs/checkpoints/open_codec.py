"""For graphs that aren't ours: their state may hold any type, carried by its name or as LangGraph would.

That a type is found by a name in the bytes is safe here alone: rows are sealed, so only a server of this deployment
has written them.
"""

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.kinds import allowed_kinds
from serving.runs.checkpoints.records import Kind

_OTHER = 126
_LANGGRAPHS = JsonPlusSerializer(allowed_msgpack_modules=True)


class OpenCodec(Codec):
    """Pydantic models, dataclasses and enums come back equal and of the same type; what is none of these, and isn't
    carried exactly, as LangGraph's own serialiser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._by_name = _Found()

    def _extension(self, value: Any) -> Any:
        return super()._extension(value) if self._carries(type(value)) else self._other(value)

    def _carries(self, type_: type) -> bool:
        if type_ not in self._kinds and _is_found(type_):
            with suppress(TypeError):  # it is none of the three
                self._kinds = {**self._kinds, **allowed_kinds([type_])}
        return type_ in self._kinds or issubclass(type_, str | int | BaseException)

    def _other(self, value: Any) -> Any:
        """Raises TypeError, as a `default` of ormsgpack does for what can't be carried."""
        if type(value) is dict:  # with keys or texts that the exact way carries
            raise TypeError
        name, data = _LANGGRAPHS.dumps_typed(value)
        return ormsgpack.Ext(_OTHER, ormsgpack.packb([name, data]))

    def _spelled_other(self, value: Any, path: str, depth: int) -> Any:
        if not self._carries(type(value)):
            with suppress(TypeError):
                return self._other(value)
        return super()._spelled_other(value, path, depth)

    def _value(self, number: int, data: bytes) -> Any:
        if number != _OTHER:
            return super()._value(number, data)
        name, content = ormsgpack.unpackb(data)
        return _LANGGRAPHS.loads_typed((name, content))


class _Found(dict[str, Kind]):
    """Types by MODULE:NAME, looked up when one is first met."""

    def __missing__(self, name: str) -> Kind:
        module, _, path = name.partition(":")
        try:
            found: Any = sys.modules.get(module) or import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            raise TypeError(f"there is no {name}") from None
        kind = self[name] = allowed_kinds([found])[found]
        return kind


def _is_found(type_: type) -> bool:
    """Whether its name leads to it: that of a class within a function doesn't."""
    found: Any = sys.modules.get(type_.__module__)
    for part in type_.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is type_
