"""What a langgraph.json says that has no effect here: named when a server starts, with what holds instead."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel

_IMAGES: Final = "is for building images, and none is built here"
_SWEPT: Final = "isn't asked: what is due goes within half a minute"
_CORS: Final = "isn't asked: a page that may use the API may use all of it"
_INSTEAD: Final[Mapping[str, str]] = {
    **dict.fromkeys(("python_version", "node_version", "api_version", "base_image", "image_distro"), _IMAGES),
    **dict.fromkeys(("pip_config_file", "pip_installer", "dockerfile_lines", "keep_pkg_tools"), _IMAGES),
    **dict.fromkeys(("source.kind", "source.package"), _IMAGES),
    **dict.fromkeys(("checkpointer.ttl.sweep_interval_minutes", "checkpointer.ttl.sweep_limit"), _SWEPT),
    **dict.fromkeys(("http.cors.allow_methods", "http.cors.allow_headers", "http.cors.max_age"), _CORS),
    "checkpointer.serde": "isn't asked: types come back by their names, from what this deployment has sealed alone",
    "store.ttl.sweep_interval_minutes": "isn't asked: what has expired is never shown",
    "auth.cache": "isn't kept: authenticate is asked for each request",
    "auth.openapi": "isn't shown: /openapi.json says nothing of who may ask",
    "http.logging_headers": "has no effect: no header is logged",
    "priority": "has no effect: runs of graphs are taken in the order in which they came",
    **dict.fromkeys(("ui", "ui_config"), "has no effect: such pages are LangSmith's"),
}
# What is so here in any case.
_ANYWAY: Final = frozenset({"$schema", "http.disable_mcp", "http.disable_a2a", "http.disable_ui"})


def unused(data: Mapping[str, Any], model: type[BaseModel], place: str = "") -> Iterator[str]:
    """`data` is what `model` was made of. A line for each field that is set and not read: its place, and why."""
    for name, value in data.items():
        where, field = f"{place}{name}", model.model_fields.get(name)
        if value in (None, False, {}, [], ["*"], "") or where in _ANYWAY:
            continue
        if where in _INSTEAD:
            yield f"{where} {_INSTEAD[where]}"
        elif field is None:
            yield f"{where} is no field that is known here, and has no effect"
        elif isinstance(value, dict) and (block := _block(field.annotation)):
            named = value if get_origin(field.annotation) is dict else {"": value}
            for id_, each in named.items():
                if isinstance(each, dict):
                    yield from unused(each, block, f"{where}.{id_}." if id_ else f"{where}.")


def _block(annotation: Any) -> type[BaseModel] | None:
    """Of a field that holds one, may hold one, or maps names to such."""
    found = (each for each in (annotation, *get_args(annotation)) if isinstance(each, type))
    return next((each for each in found if issubclass(each, BaseModel)), None)
