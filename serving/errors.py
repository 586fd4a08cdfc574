"""Errors of the serving side: each has a stable `code`, an HTTP status, a hint that mends it, and an exit code.

ServingError
├── BadRequest          the caller's input can't be used                  400, exit 2
├── NotFound            no such run, thread, document, memory             404, exit 2
├── Conflict            the state does not allow it (late, doubled)       409, exit 2
├── Gone                retention has taken it away                       410, exit 2
├── TooLarge            over a stated limit                               413, exit 2
├── Unprocessable       a value of the right shape that can't be used     422, exit 2
├── Unauthorized        the API key is missing or wrong                   401, exit 2
├── Forbidden           the API key, or the page, may not do this         403, exit 2
├── SettingsError       a setting or file of ours is wrong                500, exit 2
├── Unreachable         Postgres or the server can't be reached           503, exit 1
├── LogDamaged          a line of a run's log can't be read              500, exit 1
└── StartFailed         a process of ours did not come up                 500, exit 1
"""


class ServingError(Exception):
    """`message` says what and where, `hint` how to mend it. Never holds user content."""

    code = "internal_error"
    status = 500
    exit_code = 1

    def __init__(self, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class BadRequest(ServingError):
    code, status, exit_code = "bad_request", 400, 2


class NotFound(ServingError):
    code, status, exit_code = "not_found", 404, 2


class Conflict(ServingError):
    code, status, exit_code = "conflict", 409, 2


class Gone(ServingError):
    code, status, exit_code = "pruned", 410, 2


class TooLarge(ServingError):
    code, status, exit_code = "too_large", 413, 2


class Unprocessable(ServingError):
    code, status, exit_code = "invalid_request", 422, 2


class Unauthorized(ServingError):
    code, status, exit_code = "unauthorized", 401, 2


class Forbidden(ServingError):
    code, status, exit_code = "forbidden", 403, 2


class SettingsError(ServingError):
    code, status, exit_code = "bad_settings", 500, 2


class Unreachable(ServingError):
    code, status, exit_code = "unreachable", 503, 1


class LogDamaged(ServingError):
    code, status, exit_code = "log_damaged", 500, 1


class StartFailed(ServingError):
    code, status, exit_code = "start_failed", 500, 1
