"""Finds the JSON object that a role, or the caller, asked for in the text of a reply, and validates it."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from graph.form import Form, document_in
from graph.ports import Wanted
from serving.models.reply import clean

_MAX_STARTS: Final = 200


class Unparsable(Exception):
    """The text holds no such object. `for_model` goes back to the model; the message holds none of its words."""

    def __init__(self, message: str, for_model: str) -> None:
        super().__init__(message)
        self.for_model = for_model


def parse(text: str, reply: Wanted) -> BaseModel | dict[str, Any]:
    """The first JSON object in `text` that validates, whatever stands around it; in a caller's form the one object
    that it is, for a part of it might fit a lax schema too. Raises Unparsable. CPU-bound where it is a form."""
    if isinstance(reply, Form):
        return _formed(text, reply)
    failure: ValidationError | None = None
    for candidate in _objects(text):
        try:
            return reply.model_validate(clean(candidate))
        except ValidationError as error:
            failure = failure or error
    if failure is None:
        raise Unparsable(f"no JSON object for {reply.__name__}", "there was no JSON object in it")
    raise Unparsable(_named(reply, failure), _told(failure))


def _formed(text: str, form: Form) -> dict[str, Any]:
    try:
        document: dict[str, Any] = clean(document_in(text))
    except (ValueError, RecursionError):
        raise Unparsable("it is no JSON object", "it was not one JSON object") from None
    if faults := form.faults(document):
        raise Unparsable(f"it breaks {faults[0]}", f"it breaks the schema at {'; '.join(faults)}")
    return document


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder, position = json.JSONDecoder(), 0
    for _ in range(_MAX_STARTS):
        position = text.find("{", position)
        if position < 0:
            return
        try:
            found, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
            continue
        yield found


def _named(reply: type[BaseModel], error: ValidationError) -> str:
    """Only our own field names and pydantic's error types: what the model wrote stays out of errors and logs."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    top = str(first["loc"][0]) if first["loc"] else ""
    field = f"{reply.__name__}.{top}" if top in reply.model_fields else reply.__name__
    more = error.error_count() - 1
    return f"{field}: {first['type']}" + (f" and {more} more" if more else "")


def _told(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)[:10]
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'the object'}: {fault['msg']}" for fault in faults)


def name_of(reply: Wanted) -> str:
    return reply.name if isinstance(reply, Form) else reply.__name__


def schema_of(reply: Wanted) -> dict[str, Any]:
    return reply.schema_object if isinstance(reply, Form) else reply.model_json_schema()


def repair_request(problem: Unparsable, reply: Wanted) -> str:
    """The one message that asks for the object again."""
    schema = reply.json_schema if isinstance(reply, Form) else json.dumps(reply.model_json_schema(), sort_keys=True)
    return (
        f"Your reply can't be used: {problem.for_model}.\n"
        f"Reply again with one JSON object and nothing else, valid against this JSON Schema:\n{schema}"
    )
