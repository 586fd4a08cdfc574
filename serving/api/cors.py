"""Which pages may use the server from a browser (WHATWG Fetch, CORS protocol), private networks included."""

import re
from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import SettingsError

_STUDIO: Final = "https://smith.langchain.com"
_LOCAL: Final = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
_METHODS: Final = "GET, POST, PUT, PATCH, DELETE"
_EXPOSED: Final = ("x-pagination-total", "x-pagination-next", "content-location", "location", "x-request-id")
_DAY_S: Final = "86400"


class Origins:
    """Pages of this machine and LangGraph Studio always may; `named` adds others, `*` all.

    No cookie or other credential of the browser's own counts here, so an origin that may ask still needs an API key.
    """

    def __init__(
        self,
        named: Collection[str] = (),
        pattern: str | None = None,
        exposed: Collection[str] = (),
        *,
        credentials: bool = False,
    ) -> None:
        """`pattern`: a regular expression of whole origins; `exposed`: headers that pages may see beside ours;
        `credentials`: pages of origins that are named, not by `*`, may send cookies and such along."""
        self._named = {origin.strip().rstrip("/") for origin in named} - {""}
        try:
            self._pattern = re.compile(pattern) if pattern else None
        except re.error as error:
            hint = "write a regular expression of whole origins"
            raise SettingsError(f"http.cors.allow_origin_regex can't be used: {error}", hint) from None
        self._credentials = credentials
        self.exposed = ", ".join(dict.fromkeys([*_EXPOSED, *(name.lower() for name in exposed)]))

    def admits(self, origin: str) -> bool:
        return "*" in self._named or origin == _STUDIO or bool(_LOCAL.fullmatch(origin)) or self._names(origin)

    def allowed(self, origin: str) -> dict[str, str]:
        """The headers that say to an admitted origin's browser what it may."""
        trusted = {"Access-Control-Allow-Credentials": "true"} if self._credentials and self._names(origin) else {}
        return {"Access-Control-Allow-Origin": origin, **trusted}

    def _names(self, origin: str) -> bool:
        return origin in self._named or bool(self._pattern and self._pattern.fullmatch(origin))


class Cors:
    """Answers a browser's preflight, and puts what it asks for on every answer, be it an error."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await self._preflight(origin, headers)(scope, receive, send)
            return
        scope["response_headers"] = [(b"vary", b"Origin")]
        if origin and self._origins.admits(origin):
            told = {**self._origins.allowed(origin), "Access-Control-Expose-Headers": self._origins.exposed}
            scope["response_headers"] += [
                (name.lower().encode(), value.encode("latin-1")) for name, value in told.items()
            ]
        await self._app(scope, receive, _with_headers(send, scope))

    def _preflight(self, origin: str, asked: Headers) -> Response:
        """204 in any case: without the headers the browser doesn't send the request."""
        vary = {"Vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Private-Network"}
        if not self._origins.admits(origin):
            return Response(status_code=204, headers=vary)
        allowed = {
            **self._origins.allowed(origin),
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Max-Age": _DAY_S,
        }
        if names := asked.get("access-control-request-headers"):
            allowed["Access-Control-Allow-Headers"] = names
        if asked.get("access-control-request-private-network") == "true":
            allowed["Access-Control-Allow-Private-Network"] = "true"
        return Response(status_code=204, headers=vary | allowed)


def _with_headers(send: Send, scope: Scope) -> Send:
    """Adds what every answer has; a stream that borrows its connection adds it itself."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *scope["response_headers"]]
        await send(message)

    return sent
