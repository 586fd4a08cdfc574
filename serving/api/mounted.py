"""The path under which everything is served once more, as langgraph.json may ask for, and which routes are served."""

from collections.abc import Collection
from typing import Final

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.agent_protocol.place import PREFIX

_META: Final = frozenset({"/info", "/metrics"})
_GROUPS: Final = {
    "assistants": "assistants",
    "agents": "assistants",
    "threads": "threads",
    "runs": "runs",
    "store": "store",
}
_OF_RUNS: Final = ("/runs", "/stream", "/commands")  # below a thread
_MAKING_RUNS: Final = ("/v1/chat", "/v1/responses")


class Mounted:
    """`prefix`: such as /api. What comes without it is served too: probes and the command line ask there."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if f"{scope.get('path', '')}/".startswith(f"{self._prefix}/"):
            scope["root_path"] = scope.get("root_path", "") + self._prefix
        await self._app(scope, receive, send)


def own_path(scope: Scope) -> str:
    """What the request asks for, without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("app_root_path", scope.get("root_path", "")))


def without(router: APIRouter, off: Collection[str]) -> APIRouter:
    """What isn't switched off of its routes."""
    if not off:
        return router
    return APIRouter(routes=[route for route in router.routes if _group(getattr(route, "path", "")) not in off])


def _group(path: str) -> str | None:
    """To which of the groups that can be switched off a route belongs, ours and the Agent Protocol's."""
    path = path.removeprefix(PREFIX)
    group = _GROUPS.get("".join(path.split("/")[1:2]))
    if path in _META:
        return "meta"
    if path.startswith(_MAKING_RUNS) or (group == "threads" and any(part in path for part in _OF_RUNS)):
        return "runs"
    return group
