"""Chooses the models of this installation: a routes file, else the provider whose key is given, else offline."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from graph.errors import ModelRefused
from graph.ports import Models
from serving.errors import SettingsError
from serving.models.marked import read_marked
from serving.models.prices import PriceList
from serving.models.routes import ROLES, Routes
from serving.models.routes_file import VARIABLE, load_routes, routes_of

DEFAULT_FILE: Final = Path(__file__).with_name("routes.yaml")
OFFLINE: Final = "offline"
_SELF_HOSTED: Final = "hosted_vllm"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the environment says about models; empty means not given. `model` as LiteLLM names it, or `offline`."""

    anthropic_api_key: str = field(default="", repr=False)
    openai_api_key: str = field(default="", repr=False)
    gemini_api_key: str = field(default="", repr=False)
    openai_base_url: str = ""
    model: str = ""

    @property
    def self_hosted(self) -> bool:
        host = urlsplit(self.openai_base_url).hostname or ""
        return bool(self.openai_base_url) and not host.endswith(".openai.com")

    def variables(self) -> dict[str, str]:
        """Under the names that the default routes.yaml asks for. A server without a key still gets a bearer token."""
        given = {"ANTHROPIC_API_KEY": self.anthropic_api_key, "GEMINI_API_KEY": self.gemini_api_key}
        given["OPENAI_API_KEY"] = self.openai_api_key
        if self.self_hosted:
            given["OPENAI_API_KEY"] = self.openai_api_key or "none"
            given["OPENAI_BASE_URL"] = self.openai_base_url
            given["TRIREME_MODEL"] = _prefixed(_SELF_HOSTED, self.model.removeprefix(f"{_SELF_HOSTED}/"))
        return given


def select_routes(
    credentials: Credentials, file: Path | None = None, environ: Mapping[str, str] = MappingProxyType({})
) -> Routes:
    """Raises SettingsError that says what to set. `environ` resolves `os.environ/NAME` of a file that is named."""
    if credentials.model == OFFLINE:
        return Routes(origin="the model is set to offline")
    if file is not None:
        return _with_model(load_routes(file, environ), credentials.model)
    if credentials.self_hosted and not credentials.model:
        raise SettingsError("OPENAI_BASE_URL is set, but no model", "set TRIREME_MODEL to a name that server knows")
    return _default_routes(credentials)


def models_for(routes: Routes, *, secret: bytes) -> Models:
    """The offline model or the gateway; only the gateway imports LiteLLM, at its first call."""
    if routes.offline:
        from serving.models.offline import OfflineModel

        return OfflineModel()
    from serving.models.gateway import Gateway

    return Gateway(routes, secret=secret)


def _with_model(routes: Routes, model: str) -> Routes:
    if not model:
        return routes
    try:
        alias = routes.alias_for("planner", model, next(iter(routes.classification), ""))
    except ModelRefused as error:
        raise SettingsError(f"TRIREME_MODEL: {error}", code="bad_routes") from None
    return replace(routes, roles=MappingProxyType(dict.fromkeys(ROLES, alias)))


def _default_routes(credentials: Credentials) -> Routes:
    file, variables = read_marked(DEFAULT_FILE), credentials.variables()
    usable = [entry for entry in file.data["model_list"] if _resolves(entry["litellm_params"], variables)]
    if not usable and credentials.model:
        raise SettingsError(
            f'TRIREME_MODEL is "{credentials.model}", but there is no key for it',
            "set ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY or OPENAI_BASE_URL, or TRIREME_MODEL=offline",
        )
    if not usable:
        return Routes()
    entry = _chosen(usable, credentials.model)
    origin = f"the default routes, {entry['model_name']}"
    return routes_of(file, {**file.data, "model_list": [entry]}, variables, origin)


def _resolves(params: Mapping[str, Any], variables: Mapping[str, str]) -> bool:
    names = [value.removeprefix(VARIABLE) for value in params.values() if str(value).startswith(VARIABLE)]
    return all(variables.get(name) for name in names)


def _chosen(usable: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """The first entry, or with a model the first of its provider, which then takes that model."""
    first = usable[0]
    if not model or first["model_name"] == "self-hosted":
        return first
    providers = {entry["litellm_params"]["model"].partition("/")[0]: entry for entry in usable}
    prefix = model.partition("/")[0] if "/" in model else PriceList().provider(model)
    if prefix not in providers:
        raise SettingsError(
            f'TRIREME_MODEL is "{model}", but the keys given are for {", ".join(providers)}',
            f"name a model of theirs, write it as PROVIDER/MODEL, or set the key of {prefix or 'its provider'}",
        )
    entry = providers[prefix]
    return {**entry, "litellm_params": {**entry["litellm_params"], "model": _prefixed(prefix, model)}}


def _prefixed(provider: str, model: str) -> str:
    return model if model.startswith(f"{provider}/") else f"{provider}/{model}"
