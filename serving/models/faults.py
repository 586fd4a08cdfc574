"""What LiteLLM raises, as our own errors. Providers' texts echo prompts and keys, so none of their words are kept."""

from collections.abc import Iterator
from typing import Final

from graph.errors import BadReply, ModelRefused, ModelUnavailable, TriremeError
from serving.models.routes import Deployment

_REFUSED: Final = frozenset({400, 405, 413, 422})
# Of httpx and httpcore, and of aiohttp.
_CUTS: Final = frozenset({"RemoteProtocolError", "ReadError", "ClientPayloadError", "ServerDisconnectedError"})
# LiteLLM says of a body that is `null` no more than Exception, and of one without choices nothing: we miss the first.
_READING: Final = (
    "litellm",
    "json",
    "builtins.StopIteration",
    "builtins.UnicodeDecodeError",
    "builtins.Exception",
    "builtins.IndexError",
)


def translated(error: Exception, deployment: Deployment) -> TriremeError:
    """`deployment` is where the call failed, or where it was meant to go."""
    status = getattr(error, "status_code", None)
    alias, model = deployment.alias, f"{deployment.model} ({deployment.alias})"
    if status in (401, 403):
        return ModelRefused(f"{model}: the provider refuses the key ({status}); check {_key(deployment)}")
    if status == 402:
        return ModelRefused(f"{model}: the provider wants credit first (402); top it up, or set another key or model")
    if status == 404:
        place = "the server at its api_base" if deployment.self_hosted else deployment.provider
        mend = f'change the model of "{alias}" in routes.yaml, set agent.roles to another alias, or set TRIREME_MODEL'
        return ModelRefused(f'model "{deployment.model}" is not known by {place} (404); {mend}')
    if status in _REFUSED:
        return ModelRefused(f"{model}: the provider refuses the request ({status}); {_mend(error)}")
    if status == 429:
        return ModelUnavailable(f"{model}: rate limit (429) at every try; try later, or add a fallback")
    if missing := next((cause.name for cause in _chain(error) if isinstance(cause, ModuleNotFoundError)), None):
        needs = f"LiteLLM needs the Python package {missing} to ask for it, which isn't installed here"
        return ModelRefused(f"{model}: {needs}; choose another with TRIREME_MODEL or in routes.yaml")
    if _is_garbage(error):
        return BadReply(f"{model}: the reply's body is no chat completion; check api_base, then try again")
    return ModelUnavailable(f"{model}: {_failure(error, status)}; try again, or add a fallback in router_settings")


def is_refused(error: Exception) -> bool:
    """Whether the provider takes offence at how it is asked: not at what, or at how much."""
    return getattr(error, "status_code", None) in _REFUSED and not (_is_too_long(error) or _is_filtered(error))


def broke_off(error: Exception) -> bool:
    """The connection ended in the middle of a reply."""
    return any(isinstance(cause, ConnectionError) or type(cause).__name__ in _CUTS for cause in _chain(error))


def _failure(error: Exception, status: int | None) -> str:
    names = {type(cause).__name__ for cause in _chain(error)}
    if status == 408 or any("Timeout" in name for name in names):
        return "no answer in time"
    if "HTTPStatusError" in names:
        return f"the provider failed ({status})"
    if names & {"ImportError", "ModuleNotFoundError", "TypeError", "AttributeError", "KeyError"}:
        return f"LiteLLM failed inside ({type(error).__name__})"
    return "the provider can't be reached, or the connection broke"


def _is_garbage(error: Exception) -> bool:
    """A body was read and made no sense: no socket and no HTTP status stands in the chain, only the reading."""
    names = [f"{type(cause).__module__}.{type(cause).__name__}" for cause in _chain(error)]
    return all(name.startswith(_READING) for name in names) and not any("Timeout" in name for name in names)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _key(deployment: Deployment) -> str:
    if deployment.key_variable:
        return deployment.key_variable
    place = f'the api_key of "{deployment.alias}" in routes.yaml'
    return place if deployment.self_hosted else f"{deployment.provider.upper()}_API_KEY or {place}"


def _is_too_long(error: Exception) -> bool:
    return type(error).__name__ == "ContextWindowExceededError"


def _is_filtered(error: Exception) -> bool:
    return type(error).__name__ == "ContentPolicyViolationError"


def _mend(error: Exception) -> str:
    if _is_too_long(error):
        return "the prompt is longer than its context: set context_window_fallbacks or another model"
    if _is_filtered(error):
        return "its filter holds the prompt for one that it mustn't answer: say it otherwise, or set another model"
    return "the model may lack tools, or the max_tokens asked for"
