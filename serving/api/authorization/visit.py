"""A request on its way to a route: whose it is, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.api.authorization.permits import NOUNS, Permits, Resource
from serving.auth.filters import Held
from serving.errors import Unprocessable
from serving.runs.requests.limits import uuid_of


@dataclass
class Visit:
    """What a door leaves in `body` and `query` is what the route reads; an `answer` is in the route's place. What the
    route would make must hold what is `held`, if it is there already."""

    permits: Permits
    named: Mapping[str, str]
    query: dict[str, str]
    body: Any = None
    answer: Any = None
    held: Held = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """Of the body. Raises Unprocessable."""
        if not isinstance(self.body, dict):
            raise Unprocessable("body: no JSON object", "send one, with Content-Type: application/json")
        return self.body

    def id_of(self, resource: Resource) -> str:
        """Of the row that the path names. Raises Unprocessable."""
        given = self.named[f"{NOUNS[resource]}_id"]
        if resource == "assistants":
            return self.permits.services.assistants.id_of(given)
        return uuid_of(given, NOUNS[resource])
