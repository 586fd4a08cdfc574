"""The `Auth` of langgraph_sdk that langgraph.json names: who comes in, and what they may do, as its code says."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request

from serving.auth.errors import AuthFailed, AuthRefused, AuthSlow
from serving.auth.filters import Held, held_of
from serving.auth.user import User, user_of
from serving.errors import Forbidden, SettingsError
from serving.hosting.config import Hosting
from serving.hosting.errors import GraphFailed
from serving.hosting.load import load_object

if TYPE_CHECKING:
    from langgraph_sdk import Auth

_PATIENCE_S: Final = 10.0
_TOLD: Final = ("request", "path", "method", "path_params", "query_params", "headers", "authorization")
log = logging.getLogger(__name__)


class CustomAuth:
    """`studio`: who sits at the machine of an open server may come as LangGraph Studio does, without credentials."""

    def __init__(self, auth: "Auth", studio: bool, patience_s: float = _PATIENCE_S) -> None:
        """Raises SettingsError for an `authenticate` that isn't there, or asks for what nobody can tell."""
        self._auth, self.studio, self._patience_s = auth, studio, patience_s
        if (authenticate := auth._authenticate_handler) is None:
            raise SettingsError("auth has no authenticate handler", "decorate an async function: @auth.authenticate")
        self._authenticate: Callable[..., Awaitable[Any]] = authenticate
        self._wanted = _wanted(authenticate)

    async def user(self, request: HTTPConnection, path_params: Mapping[str, Any]) -> User:
        """Raises AuthRefused, AuthFailed."""
        scope = request.scope
        told = {
            "request": Request({**scope, "method": scope.get("method", "GET"), "type": "http"}),
            "path": scope["path"],
            "method": scope.get("method", "GET"),
            "path_params": dict(path_params),
            "query_params": dict(request.query_params),
            "headers": dict(scope["headers"]),
            "authorization": request.headers.get("authorization"),
        }
        given = {name: told[name] for name in self._wanted}
        said = await self._said(lambda: self._authenticate(**given), "authenticate")
        if (user := user_of(said)) is None:
            raise _nonsense("authenticate", said, "an id, or what has an `identity`, a text, and can be kept as JSON")
        return user

    async def held(self, user: User, resource: str, action: str, value: dict[str, Any]) -> Held:
        """What must be held by what is seen. The handler may change `value`.

        Raises Forbidden, AuthRefused, AuthFailed.
        """
        from langgraph_sdk.auth import is_studio_user, types

        handler = self._handler(resource, action)
        if handler is None:
            return {}
        name = f"the handler for {resource}.{action}"
        asks: Any = types.StudioUser(user["identity"], True) if is_studio_user(user) else user
        context = types.AuthContext(user["permissions"], asks, resource, action)  # type: ignore[arg-type]
        said = await self._said(lambda: handler(ctx=context, value=value), name)
        if said is False:
            raise Forbidden(f"langgraph.json's auth doesn't let you {action} {resource}")
        held = held_of(said) if isinstance(said, Mapping) else {} if said is None or said is True else None
        if held is None:
            raise _nonsense(name, said, "None, a boolean or a filter")
        return held

    def _handler(self, resource: str, action: str) -> Any:
        """The nearest one."""
        for place in ((resource, action), (resource, "*"), ("*", action)):
            if found := self._auth._handlers.get(place):
                return found[-1]
        return self._auth._global_handlers[-1] if self._auth._global_handlers else None

    async def _said(self, call: Callable[[], Awaitable[Any]], name: str) -> Any:
        from langgraph_sdk.auth import exceptions

        try:
            async with asyncio.timeout(self._patience_s):
                return await call()
        except (exceptions.HTTPException, HTTPException) as error:
            status = error.status_code if 400 <= error.status_code < 600 else 500
            raise AuthRefused(status, str(error.detail), error.headers) from None
        except TimeoutError:
            log.error("action=auth at=%s outcome=refused after_s=%s", name, self._patience_s)
            raise AuthSlow(f"{name} takes too long", "try again later") from None
        except AssertionError as error:
            if name == "authenticate":
                raise _failed(name, error) from error
            raise Forbidden(str(error) or "langgraph.json's auth doesn't let you do that") from None
        except Exception as error:
            raise _failed(name, error) from error


def load_auth(hosting: Hosting | None) -> CustomAuth | None:
    """Blocks for as long as the import takes: call it in a thread. Raises SettingsError, so that no server begins
    without what protects it."""
    if hosting is None or hosting.auth is None:
        return None
    from langgraph_sdk import Auth

    try:
        found = load_object(hosting.auth.path, hosting.folder, hosting.roots)
    except GraphFailed as error:
        raise SettingsError(f"auth of {hosting.folder.name}/langgraph.json: {error.message}", error.hint) from error
    if not isinstance(found, Auth):
        kind = type(found).__name__
        raise SettingsError(f"auth.path names a {kind}", "name an object of langgraph_sdk's Auth: ./FILE.py:auth")
    return CustomAuth(found, not hosting.auth.disable_studio_auth)


def _wanted(authenticate: Callable[..., Any]) -> tuple[str, ...]:
    if not inspect.iscoroutinefunction(authenticate):
        raise SettingsError("auth: authenticate is no async function", "write: async def authenticate(...)")
    parameters = inspect.signature(authenticate).parameters.values()
    for each in parameters:
        if each.name not in _TOLD and each.default is each.empty and each.kind is not each.VAR_KEYWORD:
            mend = f"it is told: {', '.join(_TOLD)}; a body is read behind it"
            raise SettingsError(f"auth: authenticate asks for {each.name!r}", mend)
    return tuple(each.name for each in parameters if each.name in _TOLD)


def _nonsense(name: str, said: Any, wanted: str) -> AuthFailed:
    log.error("action=auth at=%s outcome=refused returned=%s wanted=%s", name, type(said).__name__, wanted)
    return AuthFailed(f"{name} returned a {type(said).__name__}", f"it returns {wanted}")


def _failed(name: str, error: Exception) -> AuthFailed:
    """Frames only: the message of an error may hold content."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("action=auth at=%s error=%s outcome=refused\n%s", name, type(error).__name__, frames)
    return AuthFailed(f"{name} failed with {type(error).__name__}", "the server's log has where")
