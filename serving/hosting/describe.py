"""What a graph takes, gives and is made of, for those who draw it or make forms for it."""

import typing
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typing_extensions

if TYPE_CHECKING:
    from serving.hosting.factory import Graph

_QUALIFIERS: Final = (typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly)


def schemas(graph_id: str, graph: "Graph") -> dict[str, Any]:
    """JSON schemas; null where the graph has none, or none can be made."""
    return {"graph_id": graph_id, **_schemas(graph, graph_id)}


def drawing(graph: "Graph", xray: bool | int) -> dict[str, Any]:
    """Nodes and edges; with `xray` those of subgraphs too, with a number down to that depth."""
    drawn: dict[str, Any] = graph.get_graph(xray=xray).to_json()
    for node in drawn["nodes"]:
        if isinstance(data := node.get("data"), dict):
            data.pop("id", None)  # which class of LangGraph's the node is
    return drawn


def subgraphs(graph: "Graph", namespace: str | None, recurse: bool) -> dict[str, Any]:
    """Schemas by namespace, such as `outer|inner`."""
    found = graph.get_subgraphs(namespace=namespace, recurse=recurse)
    return {name: _schemas(subgraph, name) for name, subgraph in found}


def _schemas(graph: Any, name: str) -> dict[str, Any]:
    context = _made(graph.get_context_jsonschema)
    return {
        "input_schema": _made(graph.get_input_jsonschema),
        "output_schema": _made(graph.get_output_jsonschema),
        "state_schema": _made(lambda: _state(graph, name)),
        "config_schema": context or {},  # `configurable` is the context by its older name
        "context_schema": context,
    }


def _made(make: Callable[[], Any]) -> Any:
    """A user's types may have no JSON schema: then there is none, and the rest is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make()
        except Exception:
            return None


def _state(graph: Any, name: str) -> Any:
    """Of all that it keeps, whatever that is called: pydantic takes names with a `_` before them for its own."""
    from pydantic import Field, create_model

    fields: dict[str, Any] = {
        f"channel_{at}": (_plain(graph.channels[each].UpdateType), Field(default=None, alias=each))
        for at, each in enumerate(graph.stream_channels_list)
    }
    return create_model(f"{name}_state", **fields).model_json_schema()


def _plain(type_: Any) -> Any:
    """Without what says that a key may be missing, which is no type."""
    inner = typing.get_args(type_)
    if typing.get_origin(type_) is Annotated:
        return Annotated[(_plain(inner[0]), *inner[1:])]
    return inner[0] if typing.get_origin(type_) in _QUALIFIERS else type_
