"""How a dataclass or a pydantic model is taken apart and put together again, field by field and without validators."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

_IMMUTABLE = (str, int, float, bool, bytes, type(None))
_REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is given for types that the host allows: those share one number."""

    number: int
    apart: Callable[[Any], Any]
    together: Callable[[Any], Any]
    name: str = ""


def record_kind(number: int, type_: type, fields: tuple[str, ...], name: str = "") -> Kind:
    """For dataclasses and slotted records: all fields in order, put back without `__init__`."""

    def apart(value: Any) -> list[Any]:
        return [getattr(value, field) for field in fields]

    def together(values: list[Any]) -> Any:
        record: Any = object.__new__(type_)
        for field, value in zip(fields, values, strict=True):
            object.__setattr__(record, field, value)
        return record

    return Kind(number, apart, together, name)


def model_kind(number: int, type_: type[BaseModel], name: str = "") -> Kind:
    model = _Model(type_)
    return Kind(number, model.apart, model.together, name)


class _Model:
    """A model becomes `[fields, names among them that weren't set, extra fields, private attributes]`.

    Fields at their default are left out, and so are empty parts at the end: a plain message is one short dict.
    """

    def __init__(self, type_: type[BaseModel]) -> None:
        self._type, self._fields = type_, tuple(type_.model_fields)
        self._extra_allowed = type_.model_config.get("extra") == "allow"
        self._defaults: dict[str, Any] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        for field, info in type_.model_fields.items():
            if info.is_required() or info.default_factory_takes_validated_data:
                continue
            default = self._defaults[field] = info.get_default(call_default_factory=True)
            if not isinstance(default, _IMMUTABLE):
                self._makers[field] = type(default) if default in ([], {}) else partial(deepcopy, default)

    def apart(self, model: BaseModel) -> list[Any]:
        given, fields, unset = model.model_fields_set, {}, []
        for field, value in model.__dict__.items():
            if field in given:
                fields[field] = value
            elif (default := self._defaults.get(field, _REQUIRED)) is not value and not _same(default, value):
                # A validator or a method filled what nobody set.
                fields[field] = value
                unset.append(field)
        extra, private = model.__pydantic_extra__, model.__pydantic_private__
        if private:
            return [fields, unset, extra, private]
        if extra:
            return [fields, unset, extra]
        return [fields, unset] if unset else [fields]

    def together(self, parts: list[Any]) -> BaseModel:
        fields, unset, extra, private = parts + [None] * (4 - len(parts))
        values = {field: fields[field] if field in fields else self._default(field) for field in self._fields}
        model = self._type.__new__(self._type)
        model.__setstate__(
            {
                "__dict__": values,
                "__pydantic_fields_set__": set(fields).difference(unset or ()).union(extra or ()),
                "__pydantic_extra__": extra or ({} if self._extra_allowed else None),
                "__pydantic_private__": private,
            }
        )
        return model

    def _default(self, field: str) -> Any:
        return self._makers[field]() if field in self._makers else self._defaults[field]


def _same(default: Any, value: Any) -> bool:
    return type(default) is type(value) and bool(default == value)
