"""What the thread-centric protocol answers with when something is wrong: its own codes, in its own shape."""

from typing import Any, Final, Literal

from serving.errors import ServingError

Code = Literal[
    "invalid_argument",
    "unknown_command",
    "unknown_error",
    "no_such_run",
    "no_such_subscription",
    "no_such_namespace",
    "no_such_interrupt",
    "no_such_checkpoint",
    "permission_denied",
    "not_supported",
]
_BY_CODE: Final[dict[str, Code]] = {
    "run_not_found": "no_such_run",
    "thread_not_found": "no_such_run",
    "checkpoint_not_found": "no_such_checkpoint",
    "no_decision_pending": "no_such_interrupt",
}
_BY_STATUS: Final[dict[int, Code]] = {
    400: "invalid_argument",
    404: "invalid_argument",
    413: "invalid_argument",
    422: "invalid_argument",
    401: "permission_denied",
    403: "permission_denied",
}


class Refused(Exception):
    """A command or a subscription that can't be taken; `message` says why, and how to mend it."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def refusal(error: Refused | ServingError) -> Refused:
    if isinstance(error, Refused):
        return error
    code = _BY_CODE.get(error.code) or _BY_STATUS.get(error.status, "unknown_error")
    return Refused(code, str(error))


def error_frame(refused: Refused, id_: Any = None) -> dict[str, Any]:
    return {"type": "error", "id": id_, "error": refused.code, "message": refused.message}
