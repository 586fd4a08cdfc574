"""LiteLLM's Router, opened once a process: no network at import, no callbacks of ours, no content in its logs."""

import logging
import os
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from copy import deepcopy
from typing import Any, Final

from serving.errors import SettingsError
from serving.models.routes import Deployment, Routes

_salt: Final = ContextVar[str]("cache_salt")

# LiteLLM's error lines quote the provider, which quotes the prompt; openai's debug lines hold the whole request.
_LOGGERS: Final = {
    **dict.fromkeys(("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"), logging.CRITICAL + 1),
    **dict.fromkeys(("openai", "httpx", "httpcore"), logging.WARNING),
}
# Claude caches only up to a marked message: the shared head, and the newest history before the role's instruction.
_CACHE_POINTS: Final = ({"location": "message", "role": "system"}, {"location": "message", "index": -2})


def import_litellm() -> None:
    """Takes 3 s of CPU: for a thread. Without the two variables LiteLLM downloads a price map and a header list."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
    import litellm

    litellm.suppress_debug_info = True
    litellm.turn_off_message_logging = True
    litellm.redact_messages_in_exceptions = True
    # Said once for each type that LiteLLM's streams serialise; means nothing to whoever runs this.
    warnings.filterwarnings("ignore", message="Item '.*' on TypedDict class", category=UserWarning)
    for name, level in _LOGGERS.items():
        logging.getLogger(name).setLevel(level)


def check_providers(routes: Routes) -> None:
    """After `import_litellm`. Raises SettingsError for a model whose provider LiteLLM doesn't know."""
    import litellm
    from litellm.exceptions import BadRequestError

    for each in routes.deployments:
        named = {name: each.params.get(name) for name in ("custom_llm_provider", "api_base")}
        if litellm.declared_authenticating_provider(each.model, named["custom_llm_provider"]):
            continue  # known, and asking further would begin a login
        try:
            litellm.get_llm_provider(model=each.model, **named)
        except BadRequestError:
            what = f'{each.where}: LiteLLM knows no provider for "{each.model}"'
            mend = "write PROVIDER/MODEL; openai/MODEL with an api_base for a server that speaks OpenAI's"
            raise SettingsError(what, mend, "bad_routes") from None


def salt_calls(salt: str) -> None:
    """Hex, for this task's calls from now on: what a deployment that takes a `cache_salt` is sent."""
    _salt.set(salt)


def new_router(routes: Routes) -> Any:
    """`Any`: LiteLLM's own types don't hold under strict."""
    from litellm.router import Router

    class SaltingRouter(Router):
        """A call's own `extra_body` would reach every deployment, and take the place of the deployment's."""

        async def async_get_available_deployment(self, *arguments: Any, **named: Any) -> Any:
            chosen = await super().async_get_available_deployment(*arguments, **named)
            found = routes.by_id(chosen["model_info"]["id"])
            return _salted(chosen) if found and found.cache_salt else chosen

    # A copy, for the Router writes into what it is given; and without empty lists, which it takes for a default.
    settings = {name: deepcopy(value) for name, value in routes.router_settings.items() if value != []}
    if routes.affinity:
        settings["optional_pre_call_checks"] = ["session_affinity"]
    return SaltingRouter(model_list=[_entry(routes, each) for each in routes.deployments], **settings)


async def close_router(router: Any) -> None:
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    router.discard()
    await close_litellm_async_clients()  # type: ignore[no-untyped-call]


def _salted(deployment: Mapping[str, Any]) -> dict[str, Any]:
    params = deployment["litellm_params"]
    body = {**params.get("extra_body", {}), "cache_salt": _salt.get()}
    return {**deployment, "litellm_params": {**params, "extra_body": body}}


def _entry(routes: Routes, deployment: Deployment) -> dict[str, Any]:
    params = {"drop_params": True, **deepcopy(dict(deployment.params))}
    # A call's own header would replace `extra_headers`; LiteLLM merges `headers` with it.
    params["headers"] = {**params.pop("headers", {}), **params.pop("extra_headers", {})}
    if "claude" in deployment.model:
        params.setdefault("cache_control_injection_points", list(_CACHE_POINTS))
    info: dict[str, Any] = {"id": deployment.id}
    if len(routes.behind(deployment.alias)) == 1:
        # Resting the only one would turn its next errors into "no deployments available".
        params.setdefault("cooldown_time", 0)
    else:
        # Rests after its first failure, so that the next try goes to another one.
        info["allowed_fails"] = 0
    return {"model_name": deployment.alias, "litellm_params": params, "model_info": info}
