"""Errors as clients of OpenAI's API read them: `{"error": {message, type, param, code}}`."""

from typing import Any, Final

from pydantic import BaseModel

from serving.api.refusal import Responses, refusals

PREFIX: Final = "/v1/"
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}

# For routes of OpenAI's that people try here.
INSTEAD: Final = {
    "/v1/embeddings": "nothing is embedded here: PUT documents to /collections/NAME/documents, and ask the model "
    "trireme:NAME",
    "/v1/completions": "POST /v1/chat/completions",
}


class OpenAIError(BaseModel):
    """`param`: the field that it is about."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIRefusal(BaseModel):
    error: OpenAIError


REFUSALS: Final[Responses] = refusals("4XX", "5XX", model=OpenAIRefusal)


def status_of(status: int) -> int:
    """A body that doesn't fit is 400 there."""
    return 400 if status == 422 else status


def error_body(status: int, code: str, message: str, hint: str = "") -> dict[str, Any]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    said = f"{message} ({hint})" if hint else message
    return {"error": {"message": said, "type": kind, "param": None, "code": code}}
