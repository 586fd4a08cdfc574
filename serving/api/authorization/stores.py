"""The store's items: no row has an owner, so langgraph.json's `auth` keeps people apart by their namespaces."""

from collections.abc import Awaitable, Callable
from typing import Any

from serving.api.authorization.visit import Visit
from serving.api.sdk.store import labels_of
from serving.errors import Forbidden, Unprocessable


def stored(action: str, name: str) -> Callable[[Visit], Awaitable[None]]:
    """`name`: the namespace's, in the body, or of an item that is got in the address."""

    async def door(visit: Visit) -> None:
        if action == "get":
            given = {**visit.query, name: visit.query.get(name, "").split(".")}
            visit.query = {**visit.query, name: ".".join((await _value(visit, action, name, given))[name])}
        else:
            visit.body = await _value(visit, action, name, visit.fields)

    return door


async def _value(visit: Visit, action: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """As it may be done. Raises Forbidden for a handler that filters: there is nothing that its filter could be of."""
    asked = given.get(name)
    if not isinstance(asked, list | None) or not all(isinstance(label, str) for label in asked or ()):
        raise Unprocessable(f"{name}: no list of texts", "a namespace is a list of labels")
    before = None if asked is None and action == "list_namespaces" else tuple(asked or ())
    value = {field: said for field, said in given.items() if field != name} | {"namespace": before}
    held = await visit.permits.held("store", action, value)
    if held and value["namespace"] == before:
        hint = "in @auth.on.store, set value['namespace'] to one of the user's own, or return None"
        raise Forbidden("a filter of langgraph.json's auth can't be held in the store", hint, "auth_filter_on_store")
    labels = value.pop("namespace") or ()
    if action == "list_namespaces" and list(labels).count("*") > (before or ()).count("*"):
        what = "a handler of langgraph.json's auth made '*' a label, which stands for everybody's"
        raise Forbidden(what, "let no user's id be '*'", "auth_filter_on_store")
    return {**value, name: list(labels_of([str(label) for label in labels]))}
