"""The one shape of every error, for the documents: what `failures` answers with."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

Responses = dict[int | str, dict[str, Any]]


class Refusal(BaseModel):
    """`code` is for programs and never changes; `hint` says how to mend it. The server's log has the `request_id`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "run_not_found",
                    "message": "no run 0199d2a4-1c5e-7c6b-8d0f-3f9b2a6c1e55",
                    "hint": "GET /runs lists them",
                    "request_id": "9f86d081884c7d65",
                }
            ]
        }
    )

    code: str
    message: str
    hint: str
    request_id: str


_WHEN: Final[Mapping[int | str, str]] = {
    400: "The request can't be read",
    401: "An API key is needed, or this one is wrong",
    403: "This API key, or this page, may not do it",
    404: "There is no such thing",
    405: "The path has no such method",
    409: "The state of things doesn't allow it",
    413: "The request is too large",
    422: "A value can't be used",
    503: "The server or its database is overloaded or away; Retry-After says when to come again",
    "4XX": "Refused",
    "5XX": "Failed; 503 has a Retry-After",
}


def refusals(*statuses: int | str, model: type[BaseModel] = Refusal) -> Responses:
    """What a route answers beside its success."""
    return {status: {"model": model, "description": _WHEN[status]} for status in statuses}


REFUSALS: Final[Responses] = refusals("4XX", "5XX")
_EVENT: Final = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
# `itemSchema` (OpenAPI 3.2, 4.14.3.3) is of each event, not of their whole text. A route that answers so has the plain
# Response for its class: with a class of this media type FastAPI would give its refusals that type too.
EVENTS: Final[dict[str, Any]] = {"text/event-stream": {"itemSchema": _EVENT}}
STREAMS: Final[Responses] = {200: {"content": EVENTS}}
TEXT: Final[Responses] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
