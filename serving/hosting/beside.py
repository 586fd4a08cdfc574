"""The ASGI application that langgraph.json names as `http.app`: its routes are served beside ours."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import SettingsError
from serving.hosting.config import Hosting
from serving.hosting.errors import GraphFailed
from serving.hosting.load import load_object

_OURS: Final = "trireme.app"


class Beside:
    """What its lifespan yields is in the state of its requests. `middleware`, outermost first, is for all routes, ours
    as well; so it isn't its own any more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.middleware: tuple[Middleware, ...] = ()
        if isinstance(app, Starlette) and app.user_middleware:
            theirs, app.user_middleware = app.user_middleware, []
            self.middleware = (Middleware(_Into, beside=self), *theirs, Middleware(_OutOf))
        self._state: MutableMapping[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "state": self.state(scope)}, receive, send)

    def document(self) -> dict[str, Any]:
        """Its OpenAPI document, if it has one, as FastAPI's applications do."""
        openapi = getattr(self._app, "openapi", None)
        return dict(openapi()) if callable(openapi) else {}

    def entered(self, scope: Scope) -> Scope:
        """For its middleware, which finds its own application in a request, not the one that it is around."""
        return {**scope, "app": self._app, _OURS: scope["app"], "state": self.state(scope)}

    def state(self, scope: Scope) -> dict[str, Any]:
        return {**self._state, **scope.get("state", {})}

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Around the server's life, for Starlette's applications and their kin."""
        if not isinstance(self._app, Starlette):
            yield
            return
        async with self._app.router.lifespan_context(self._app) as state:
            self._state = dict(state or {})
            yield


class _Into:
    def __init__(self, app: ASGIApp, beside: Beside) -> None:
        self._app, self._beside = app, beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = scope["type"] in ("http", "websocket")
        await self._app(self._beside.entered(scope) if http else scope, receive, send)


class _OutOf:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "app": scope[_OURS]} if _OURS in scope else scope, receive, send)


def load_beside(hosting: Hosting | None) -> Beside | None:
    """Blocks for as long as the import takes: call it in a thread. Raises SettingsError."""
    if hosting is None or hosting.http.app is None:
        return None
    try:
        found = load_object(hosting.http.app, hosting.folder, hosting.roots)
    except GraphFailed as error:
        raise SettingsError(f"http.app of {hosting.folder.name}/langgraph.json: {error.message}", error.hint) from error
    if not callable(found):
        kind = type(found).__name__
        raise SettingsError(f"http.app is a {kind}, no ASGI application", "name the app: ./FILE.py:app")
    return Beside(found)
