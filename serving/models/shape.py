"""The shape of routes.yaml: LiteLLM's own `model_list` and `router_settings`, and our `agent:` block."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serving.models.marked import MarkedFile

Fallbacks = list[dict[str, list[str]]]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Open(BaseModel):
    """LiteLLM's part of the file takes more fields than we look at; they are passed on."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    input_cost_per_token: float | None = Field(default=None, ge=0)
    output_cost_per_token: float | None = Field(default=None, ge=0)
    cache_read_input_token_cost: float | None = Field(default=None, ge=0)
    cache_creation_input_token_cost: float | None = Field(default=None, ge=0)


class LitellmParams(Open):
    model: str = Field(min_length=1)
    api_key: str | None = None
    api_base: str | None = None


class ModelInfo(Open):
    """`cache_salt`: the engine takes vLLM's per-tenant salt. `affinity_header`: which header its router sticks to.

    `supports_response_schema`: whether `response_format` goes out; see Deployment.native_schema for the default.
    """

    base_model: str | None = None
    cache_salt: bool = False
    affinity_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    supports_response_schema: bool | None = None


class DeploymentShape(Closed):
    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(min_length=1)
    litellm_params: LitellmParams
    model_info: ModelInfo = ModelInfo()


class RouterSettings(Closed):
    """The settings of LiteLLM's Router that Trireme passes on. Retries live here and nowhere else."""

    routing_strategy: Literal["simple-shuffle", "least-busy", "latency-based-routing"] = "simple-shuffle"
    num_retries: int = Field(default=2, ge=0, le=10)
    timeout: float | None = Field(default=None, gt=0)
    stream_timeout: float | None = Field(default=None, gt=0)
    retry_after: int | None = Field(default=None, ge=0)
    allowed_fails: int | None = Field(default=None, ge=0)
    cooldown_time: float | None = Field(default=None, ge=0)
    disable_cooldowns: bool | None = None
    enable_pre_call_checks: bool | None = None
    max_fallbacks: int | None = Field(default=None, ge=0)
    fallbacks: Fallbacks = []
    context_window_fallbacks: Fallbacks = []
    content_policy_fallbacks: Fallbacks = []
    default_fallbacks: list[str] = []


class RolesShape(Closed):
    """Role -> alias; a role that is not named takes the first alias of `model_list`."""

    planner: str | None = None
    worker: str | None = None
    critic: str | None = None
    writer: str | None = None


class BoundsShape(Closed):
    """Of one model call: seconds with all its retries, and the most it may cost in USD."""

    timeout_s: float = Field(default=300, gt=0)
    max_cost_usd: float | None = Field(default=None, ge=0)


class AgentShape(Closed):
    roles: RolesShape = RolesShape()
    classification: dict[str, list[str]] = {}
    bounds: BoundsShape = BoundsShape()
    affinity: bool = True


class RoutesShape(Closed):
    """The last three blocks are the LiteLLM proxy's, which may read the same file; the gateway leaves them alone."""

    model_config = ConfigDict(protected_namespaces=())

    model_list: list[DeploymentShape] = Field(min_length=1)
    router_settings: RouterSettings = RouterSettings()
    agent: AgentShape = AgentShape()
    litellm_settings: Any = None
    general_settings: Any = None
    environment_variables: Any = None


_BLOCKS: Final[dict[str, type[BaseModel]]] = {
    "": RoutesShape,
    "agent": AgentShape,
    "roles": RolesShape,
    "bounds": BoundsShape,
    "router_settings": RouterSettings,
}


def shaped(file: MarkedFile, data: Any) -> RoutesShape:
    """Raises SettingsError with file, line, field and the mend for the first thing that is wrong."""
    if not isinstance(data, dict):
        raise file.fault((), "no model_list in it", "write a `model_list:` as in LiteLLM's config.yaml")
    try:
        return RoutesShape.model_validate(data)
    except ValidationError as error:
        # A name that we don't know says more than the one that is missing because of it.
        faults = error.errors(include_url=False, include_input=False)
        first = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
        place = tuple(part for part in first["loc"] if part != "[key]")
        if first["type"] == "extra_forbidden":
            raise file.fault(place, "unknown field", _known(place)) from None
        if first["type"] == "missing":
            raise file.fault(place, "missing", "add it") from None
        raise file.fault(place, first["msg"].lower(), "see LiteLLM's config.yaml and the default routes.yaml") from None


def _known(place: tuple[int | str, ...]) -> str:
    block = _BLOCKS.get(str(place[-2]) if len(place) > 1 else "", DeploymentShape)
    return "known: " + ", ".join(block.model_fields)
