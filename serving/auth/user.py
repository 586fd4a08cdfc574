"""Whom `authenticate` of langgraph.json lets in, as handlers and graphs know them."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

OF_WHO_ASKS: Final = "langgraph_auth_"  # begins the names of what says so, in `configurable`
USER: Final = "langgraph_auth_user"  # in `configurable`, with their id and permissions beside it
_FIELDS: Final = ("identity", "permissions", "display_name", "is_authenticated")


class User(dict[str, Any]):
    """JSON, for it is kept with runs; its fields are attributes as well, as LangGraph's `BaseUser` has them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def configurable(self) -> dict[str, Any]:
        """What a run's graph finds of them."""
        beside = {f"{USER}_id": self["identity"], "langgraph_auth_permissions": self["permissions"]}
        return {USER: dict(self), **beside}

    @property
    def lasting(self) -> "User":
        """Of who asks for what is done later, without what they are allowed, or have with them, today."""
        return User({**{name: self[name] for name in _FIELDS}, "permissions": []})


def user_of(said: Any) -> User | None:
    """What `authenticate` may return: an id, a mapping with an `identity`, or an object that has one. None for what is
    nothing of these, or can't be kept as JSON."""
    if isinstance(said, str):
        said = {"identity": said}
    if not isinstance(said, Mapping):
        own = {name: value for name, value in getattr(said, "__dict__", {}).items() if not name.startswith("_")}
        said = own | {name: getattr(said, name) for name in _FIELDS if hasattr(said, name)}
    if not isinstance(said.get("identity"), str) or not said["identity"]:
        return None
    given = {"is_authenticated": True, "display_name": said["identity"], **said}
    try:
        return User(orjson.loads(orjson.dumps({**given, "permissions": list(said.get("permissions") or ())})))
    except TypeError:
        return None


def with_configurable(config: Mapping[str, Any] | None, told: Mapping[str, Any]) -> dict[str, Any]:
    given = config or {}
    return {**given, "configurable": {**(given.get("configurable") or {}), **told}}


def in_graph(configurable: Mapping[str, Any]) -> dict[str, Any]:
    """As a run's graph is given what was kept."""
    user = configurable.get(USER)
    return {**configurable, USER: User(user)} if isinstance(user, dict) else dict(configurable)


def shown(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as callers see it: what `authenticate` says of somebody may hold what is that person's alone."""
    configurable = config.get("configurable") or {}
    if USER not in configurable:
        return dict(config)
    return {**config, "configurable": {name: value for name, value in configurable.items() if name != USER}}
