"""Our OpenAPI document, with the paths of the application that langgraph.json puts beside ours."""

import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

if TYPE_CHECKING:
    from serving.hosting.beside import Beside

log = logging.getLogger(__name__)
_SCHEMA = "#/components/schemas/"


class Documented(FastAPI):
    beside: "Beside | None" = None

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None and self.beside:
            self.openapi_schema = merged(super().openapi(), self._theirs(self.beside))
        return super().openapi()

    def _theirs(self, beside: "Beside") -> dict[str, Any]:
        """What can't be described is served all the same."""
        try:
            return beside.document()
        except Exception as error:
            log.warning("action=describe what=http.app error=%s outcome=left_out", type(error).__name__)
            return {}


def merged(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """A path of ours is ours with every method. A schema of theirs whose name ours has gets another one."""
    text, known = json.dumps(theirs), ours["components"]["schemas"]
    names = {name: f"app.{name}" for name in theirs.get("components", {}).get("schemas", {}) if name in known}
    for name, other in names.items():
        text = text.replace(f'"{_SCHEMA}{name}"', f'"{_SCHEMA}{other}"')
    told = json.loads(text)
    parts = told.get("components", {})
    schemas = {names.get(name, name): schema for name, schema in parts.get("schemas", {}).items()}
    components = {**parts, **ours["components"], "schemas": {**schemas, **known}}
    return {**ours, "paths": {**told.get("paths", {}), **ours["paths"]}, "components": components}
