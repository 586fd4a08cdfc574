"""The form of an answer that a program reads: one JSON object by the caller's schema."""

import json
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

from graph.state import Value
from privacy.placeholder import find

_MOST_FAULTS: Final = 10
_MOST_S: Final = 1.0  # of this thread's own time: a busy machine refuses no answer that another would take
_OF_TEXT: Final = ("pattern", "minLength", "maxLength")


class _TooLong(Exception):
    """The schema asks for more work than any answer is worth."""


def _written(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value


class Form(Value):
    """`json_schema` is text, so that its properties keep their order, which is the answer's. `called`: the answer is
    given as a call of the caller's tool `name`. `strict` is handed on to engines that know it; here all answers are
    checked alike."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    json_schema: Annotated[str, BeforeValidator(_written)] = Field(
        default='{"type": "object"}', description="JSON Schema of an object, as JSON or as its text"
    )
    about: str = Field(default="", max_length=32_000, description="what the caller says of it in words")
    strict: bool = False
    called: bool = False

    @property
    def schema_object(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.json_schema)
        return found

    def faults(self, document: Any) -> tuple[str, ...]:
        """Where in the schema it says what the document isn't; empty for one that fits. None of its words. CPU-bound.

        `format` is not looked at, nor is a pattern with look-around; a text that holds a placeholder has no length yet.
        """
        schema = self.schema_object
        try:
            return tuple(map(_told, islice(_checker(schema).iter_errors(document), _MOST_FAULTS)))
        except (_TooLong, RecursionError):
            return ("#: the answer is too large to be checked by this schema",)
        except Exception as error:  # jsonschema takes a `$ref` into an `enum` for a schema, and a number for a float
            return (f"#: the answer can't be checked by this schema ({type(error).__name__})",)

    def holding(self, text: str) -> dict[str, Any] | None:
        """The object that says `text` and nothing else, where the schema has room for just that."""
        schema = self.schema_object
        names = schema.get("required") or [*schema.get("properties", {})] or ["answer"]
        document = {names[0]: text} if len(names) == 1 else {}
        return None if self.faults(document) or not document else document


def document_in(text: str) -> dict[str, Any]:
    """The JSON object that `text` is, but for what stands around it. Raises ValueError."""
    document = json.loads(text[text.find("{") : text.rfind("}") + 1], parse_constant=_refuse)
    json.dumps(document, allow_nan=False)  # 1e999 is read as infinity, which JSON doesn't have
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _checker(schema: dict[str, Any]) -> Any:
    """jsonschema's, in bounded time, and asking nobody for what a `$ref` names."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
    from jsonschema.validators import extend, validator_for  # type: ignore[import-untyped]
    from referencing import Registry

    draft, ends = validator_for(schema, default=Draft202012Validator), time.thread_time() + _MOST_S

    def bounded(keyword: str, check: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def checked(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
            if time.thread_time() > ends:
                raise _TooLong
            if not (keyword in _OF_TEXT and isinstance(instance, str) and any(find(instance))):
                yield from check(validator, wanted, instance, schema) or ()

        return checked

    checks = {**draft.VALIDATORS, "pattern": _pattern, "uniqueItems": _unique}
    mine = extend(draft, {keyword: bounded(keyword, check) for keyword, check in checks.items()})
    # With `$schema` in it, jsonschema would go on with a class of its own behind a `$ref` to the root.
    return mine({name: value for name, value in schema.items() if name != "$schema"}, registry=Registry())


def _unique(_: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """jsonschema's compares each with each."""
    from jsonschema import ValidationError

    if wanted and isinstance(instance, list) and len(set(map(_as_compared, instance))) < len(instance):
        yield ValidationError("holds one twice")


def _as_compared(value: Any) -> Any:
    """Hashable; 1 and 1.0 are one number, and neither is true."""
    if isinstance(value, dict):
        return frozenset((name, _as_compared(one)) for name, one in value.items())
    if isinstance(value, list):
        return ("list", *map(_as_compared, value))
    return ("bool", value) if isinstance(value, bool) else value


def _pattern(_: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError("does not match")


def _matches(pattern: str, text: str) -> bool:
    expression = _expression(pattern)
    return expression is None or bool(expression.isinstance_python(text))


@lru_cache(16)  # one may hold ten megabytes
def _expression(pattern: str) -> Any:
    """By Rust's engine, which takes linear time. None for what it doesn't know: look-around, references back."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return None


def _told(error: Any) -> str:
    place = "/".join(["#", *map(str, error.absolute_schema_path)])
    if error.validator != "required":
        return place
    return f"{place}: {', '.join(name for name in error.validator_value if name not in error.instance)}"
