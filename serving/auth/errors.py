"""Errors of langgraph.json's `auth`.

ServingError
├── AuthRefused    its own code says no, with a status and words of its own
└── AuthFailed     its own code failed, or gave back what means nothing     500
    └── AuthSlow   it took too long                                         503
"""

from collections.abc import Mapping

from serving.errors import ServingError


class AuthRefused(ServingError):
    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        hint = "langgraph.json's auth says so; the command line needs an API key of this server: trireme keys create"
        code = {401: "unauthorized", 403: "forbidden", 404: "not_found"}.get(status, "auth_refused")
        super().__init__(message, hint if status == 401 else "", code)
        self.status, self.headers = status, dict(headers or {})


class AuthFailed(ServingError):
    """Nobody is let in by it; the server's log says where it failed."""

    code, status = "auth_failed", 500


class AuthSlow(AuthFailed):
    code, status = "auth_slow", 503
