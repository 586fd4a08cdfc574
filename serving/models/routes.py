"""Which deployments there are, which role uses which, and what each may see and cost. Needs no LiteLLM import."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from graph.errors import ModelRefused
from serving.models.prices import Price

ROLES: Final = ("planner", "worker", "critic", "writer")
DEFAULT_AFFINITY_HEADER: Final = "X-Session-ID"
Guide = Literal["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"]
GUIDES: Final[tuple[Guide, ...]] = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a model runs. `params` are LiteLLM's, resolved, keys included: never print them.

    `where` says the model's file, line and field.
    """

    id: str
    alias: str
    model: str
    price: Price
    params: Mapping[str, Any] = field(repr=False)
    where: str = ""
    key_variable: str = ""
    cache_salt: bool = False
    response_schema: bool | None = None
    header: str | None = None

    @property
    def self_hosted(self) -> bool:
        return bool(self.params.get("api_base"))

    @property
    def provider(self) -> str:
        return self.model.partition("/")[0] if "/" in self.model else "openai"

    @property
    def native_schema(self) -> bool:
        """Whether `response_format` goes out with a structured reply.

        By default only where the engine constrains the decoding and the prompt stays as it is. OpenAI and Claude
        put the schema before the system prompt, which costs each role its own cached prefix, and LiteLLM closes
        open maps for Claude; there the role's instruction, validation and one repair do it.
        """
        if self.response_schema is not None:
            return self.response_schema
        return "claude" not in self.model and (self.self_hosted or self.provider != "openai")

    @property
    def affinity_header(self) -> str | None:
        return self.header or (DEFAULT_AFFINITY_HEADER if self.self_hosted else None)


@dataclass(frozen=True, slots=True)
class Routes:
    """What routes.yaml says, checked. Without deployments everything goes to the offline model."""

    deployments: tuple[Deployment, ...] = ()
    roles: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    classification: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    timeout_s: float = 300.0
    max_cost_usd: float | None = None
    affinity: bool = True
    router_settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    notices: tuple[str, ...] = ()
    origin: str = "no key and no routes file: the offline model"

    @property
    def offline(self) -> bool:
        return not self.deployments

    def described(self) -> str:
        """Which models answer which role, without keys or addresses: two that differ here may answer differently."""
        models = sorted((deployment.alias, deployment.model) for deployment in self.deployments)
        return repr([sorted(self.roles.items()), models])

    @property
    def aliases(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(deployment.alias for deployment in self.deployments))

    def behind(self, *aliases: str) -> tuple[Deployment, ...]:
        return tuple(deployment for deployment in self.deployments if deployment.alias in aliases)

    def by_id(self, deployment_id: str) -> Deployment | None:
        return next((deployment for deployment in self.deployments if deployment.id == deployment_id), None)

    def reachable(self, alias: str) -> tuple[Deployment, ...]:
        """Every deployment that a call to `alias` can end at, fallbacks of fallbacks included."""
        return self.behind(*reachable(self.router_settings, alias))

    def alias_for(self, role: str, model: str | None, classification: str) -> str:
        """`model`, an alias or a deployment's model name, wins over the role. Raises ModelRefused."""
        alias = self._alias_of(model) if model else self.roles[role]
        allowed = self.classification.get(classification)
        if self.classification and alias not in (allowed or ()):
            raise ModelRefused(
                f"{alias} may not see {classification} data: agent.classification.{classification} allows "
                f"{', '.join(allowed or ()) or 'nothing'}; route the {role} there"
            )
        return alias

    def _alias_of(self, model: str) -> str:
        for deployment in self.deployments:
            if model in (deployment.alias, deployment.model, deployment.model.partition("/")[2]):
                return deployment.alias
        known = ", ".join(self.aliases)
        raise ModelRefused(f'model "{model}" is not in the routes; known: {known}. Add it to model_list in routes.yaml')


def reachable(settings: Mapping[str, Any], alias: str) -> frozenset[str]:
    """The aliases that a call to `alias` can be sent on to, itself included."""
    steps: list[tuple[str, Iterable[str]]] = [
        (source, targets) for guide in GUIDES for rule in settings.get(guide, ()) for source, targets in rule.items()
    ]
    found = frozenset({alias, *settings.get("default_fallbacks", ())})
    while True:
        grown = found.union(*(targets for source, targets in steps if source in found or source == "*"))
        if grown == found:
            return found
        found = grown
