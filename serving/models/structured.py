"""Finds the JSON object that a role was asked for in the text of a reply, and validates it."""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from serving.models.reply import clean

_MAX_STARTS: Final = 200


class Unparsable(Exception):
    """The text holds no such object. `for_model` goes back to the model; the message holds none of its words."""

    def __init__(self, message: str, for_model: str) -> None:
        super().__init__(message)
        self.for_model = for_model


def parse(text: str, reply: type[BaseModel]) -> BaseModel:
    """The first JSON object in `text` that validates, whatever stands around it. Raises Unparsable."""
    failure: ValidationError | None = None
    for candidate in _objects(text):
        try:
            return reply.model_validate(clean(candidate))
        except ValidationError as error:
            failure = failure or error
    if failure is None:
        raise Unparsable(f"no JSON object for {reply.__name__}", "there was no JSON object in it")
    raise Unparsable(_named(reply, failure), _told(failure))


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


def repair_request(problem: Unparsable, reply: type[BaseModel]) -> str:
    """The one message that asks for the object again."""
    schema = json.dumps(reply.model_json_schema(), sort_keys=True)
    return (
        f"Your reply can't be used: {problem.for_model}.\n"
        f"Reply again with one JSON object and nothing else, valid against this JSON Schema:\n{schema}"
    )
