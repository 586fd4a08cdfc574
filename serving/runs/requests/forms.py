"""Whether answers can be kept to a form: looked at before anything is stored, so that no run is begun in vain."""

import json
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final
from urllib.parse import unquote

from graph.form import Form
from privacy.redact import Redactor
from serving.errors import BadRequest
from serving.runs.requests.limits import check_json

_LONGEST: Final = 64_000
_MOST_OBJECTS: Final = 2_000  # each takes a fifth of a millisecond to be looked at
_NAMED: Final = ("properties", "$defs", "definitions", "dependentSchemas")
_OTHERS: Final = ("additionalProperties", "additionalItems", "items", "prefixItems", "contains", "propertyNames")
_UNEVALUATED: Final = ("unevaluatedItems", "unevaluatedProperties", "contentSchema")
# What is said of the same value once more; who comes back to where they were by these alone never ends.
_SAME: Final = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_UNUSABLE: Final = ("patternProperties", "dependencies", "$dynamicRef", "$recursiveRef")
_OLD: Final = ("http://json-schema.org/draft-03/schema", "http://json-schema.org/draft-04/schema")
_OF_THE_ROOT: Final = ("$id", "$schema")
Schema = dict[str, Any]


def check_form(form: Form) -> None:
    """Raises BadRequest for what is no JSON Schema of an object, or one that can't be kept to. CPU-bound."""
    if len(form.json_schema) > _LONGEST:
        said = f"the schema has {len(form.json_schema)} characters, at most {_LONGEST} are taken"
        raise _bad(said, "leave out what the answer doesn't need")
    try:
        schema = json.loads(form.json_schema)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise _bad("the schema is no JSON object", "send a JSON Schema")
    check_json(schema, ("json_schema",))
    if form.json_schema.count("{") > _MOST_OBJECTS:
        raise _bad(f"the schema has more than {_MOST_OBJECTS} objects in it", "say what is alike once, under `$defs`")
    _check_draft(schema)
    kind = schema.get("type", "object")
    if "object" not in (kind if isinstance(kind, list) else [kind]):
        raise _bad("the schema's `type` is not `object`", "put the value into a property of an object")
    _check_loops(schema, list(_all(schema)))


def redacted(redactor: Redactor, form: Form) -> Form:
    """The form as it may be stored. CPU-bound. Raises BadRequest where it rests on something personal, such as a name
    that a `$ref` says."""
    schema = redactor.redact_json(given := form.schema_object)
    text = json.dumps(schema, ensure_ascii=False)
    kept = form.model_copy(update={"json_schema": text, "about": redactor.redact(form.about)})
    if schema != given:
        check_form(kept)
    return kept


def _check_draft(schema: Schema) -> None:
    from jsonschema import Draft202012Validator, SchemaError  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    if not isinstance(schema.get("$schema", ""), str):
        raise _bad("the schema's `$schema` is no text", "leave it out")
    if schema.get("$schema", "").rstrip("#") in _OLD:
        raise _bad("the schema's `$schema` is of a draft before 6", "write it by a newer one, or leave `$schema` out")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        where = "/".join(["#", *map(str, error.absolute_path)])
        raise _bad(f"{where[:200]} is no JSON Schema: it breaks `{error.validator}`", "see json-schema.org") from None


def _all(root: Schema) -> Iterator[Schema]:
    """Every schema in it, and those that a `$ref` makes one, once each."""
    seen, left = set[int](), [root]
    while left:
        schema = left.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        for keyword in (*_UNUSABLE, *(_OF_THE_ROOT if schema is not root else ())):
            if keyword in schema:
                raise _bad(f"`{keyword}` can't be used in the schema", "say it with `properties`, `$defs` and `$ref`")
        yield schema
        left += [*_parts(schema, (*_NAMED, *_OTHERS, *_UNEVALUATED, *_SAME)), *_meant(schema, root)]


def _parts(schema: Schema, keywords: tuple[str, ...]) -> Iterator[Schema]:
    for keyword in keywords:
        value = schema.get(keyword)
        if isinstance(value, dict):
            value = list(value.values()) if keyword in _NAMED else [value]
        yield from (part for part in value or () if isinstance(part, dict)) if isinstance(value, list) else ()


def _meant(schema: Schema, root: Schema) -> Iterator[Schema]:
    """What its `$ref` names."""
    named = schema.get("$ref")
    if named is None:
        return
    start, *parts = unquote(named).split("/")
    found: Any = root if start == "#" else None
    for part in parts:
        found = _under(found, part.replace("~1", "/").replace("~0", "~"))
    if not isinstance(found, dict | bool):
        hint = "name a place in the schema, such as #/$defs/NAME"
        raise _bad(f"`$ref` {named[:100]!r} names nothing in the schema", hint)
    if isinstance(found, dict):
        yield found


def _under(found: Any, name: str) -> Any:
    if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
        return found[int(name)]
    return found.get(name) if isinstance(found, dict) else None


def _check_loops(root: Schema, schemas: list[Schema]) -> None:
    steps = {id(each): [id(next_) for next_ in (*_parts(each, _SAME), *_meant(each, root))] for each in schemas}
    try:
        TopologicalSorter(steps).prepare()
    except CycleError:
        raise _bad("a `$ref` of the schema leads back to itself", "put a property or an item between them") from None


def _bad(message: str, hint: str) -> BadRequest:
    return BadRequest(message, hint, "bad_schema")
