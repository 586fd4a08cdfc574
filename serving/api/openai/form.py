"""The form of an answer as OpenAI's clients ask for it: `response_format`, `text.format`, or a tool they force.

A tool of the client's is never called on the way: where one must be, its arguments are the answer.
"""

from typing import Any

from pydantic import ValidationError

from graph.form import Form
from serving.errors import BadRequest

_EMPTY = {"type": "object", "properties": dict[str, Any]()}


def form_of(field: str, given: Any, tools: Any, choice: Any, about: str) -> Form | None:
    """`given` stands in `field`; `about` is what is said of an object without a schema. None for plain text.

    Raises BadRequest.
    """
    return _called(tools, choice) or _written(field, given, about)


def refuse_call(field: str, choice: Any) -> None:
    """Raises BadRequest for what came before `tool_choice` in OpenAI's API."""
    if choice not in (None, "none", "auto"):
        raise BadRequest(f"`{field}` can't be kept to", "send `tools` and `tool_choice` in its place", "unsupported")


def _written(field: str, given: Any, about: str) -> Form | None:
    match given:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            schema = given.get("schema") or _EMPTY  # as Together and instructor have it
            return _form(field, {"name": "json_object", "json_schema": schema, "about": about})
        case {"type": "json_schema"}:
            place, shape = _inner(field, given, "json_schema")
            if not isinstance(shape.get("schema"), dict):
                raise BadRequest(f"`{place}.schema` is no JSON object", "send the answer's JSON Schema", "bad_schema")
            return _form(place, _options(shape, "schema"))
    raise BadRequest(f"`{field}` is of no type that is known", "send text, json_schema or json_object", "unsupported")


def _called(tools: Any, choice: Any) -> Form | None:
    if choice in (None, "none", "auto"):
        return None
    found = (
        [_inner("tools", tool, "function") for tool in tools if _is_function(tool)] if isinstance(tools, list) else []
    )
    if _is_function(choice):
        name = _inner("tool_choice", choice, "function")[1].get("name")
        found = [each for each in found if each[1].get("name") == name]
    elif choice != "required":
        raise BadRequest("`tool_choice` is of no kind that is known", "name a function of `tools`", "unsupported")
    if len(found) != 1:
        said = "the agent calls tools of its own; it can answer with a call of one of yours"
        raise BadRequest(f"`tool_choice` means {len(found)} functions of `tools`: {said}", "name one", "unsupported")
    place, shape = found[0]
    if not isinstance(shape.get("parameters") or {}, dict):
        raise BadRequest(f"`{place}.parameters` is no JSON object", "send a JSON Schema", "bad_schema")
    return _form(place, {**_options(shape, "parameters"), "called": True})


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "function"


def _inner(field: str, value: dict[str, Any], key: str) -> tuple[str, dict[str, Any]]:
    """A chat's shapes stand one level deeper than a response's."""
    inner = value.get(key)
    return (f"{field}.{key}", inner) if isinstance(inner, dict) else (field, value)


def _options(shape: dict[str, Any], schema: str) -> dict[str, Any]:
    return {
        "name": shape.get("name"),
        "json_schema": shape.get(schema) or _EMPTY,
        "about": shape.get("description") or "",
        "strict": shape.get("strict") or False,
    }


def _form(field: str, options: dict[str, Any]) -> Form:
    try:
        return Form.model_validate(options)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = {"json_schema": "schema", "about": "description"}.get(str(first["loc"][0]), first["loc"][0])
        raise BadRequest(f"{field}.{where}: {first['msg'].lower()}", "", "invalid_request") from None
