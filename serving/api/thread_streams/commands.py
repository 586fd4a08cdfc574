"""Commands of the thread-centric protocol: what a client has a thread do, be it over HTTP or a WebSocket."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from graph.errors import TriremeError
from serving.api.thread_streams.answers import respond
from serving.api.thread_streams.errors import Refused, error_frame, refusal
from serving.api.thread_streams.lookups import fork, get_state, get_tree, list_checkpoints
from serving.api.thread_streams.start import started
from serving.errors import ServingError
from serving.runs.requests.limits import uuid_of
from serving.services import ApiServices

Params = Mapping[str, Any]
Command = Callable[[ApiServices, str, Params], Awaitable[dict[str, Any]]]
_STARTS: Final = {"run.start": started, "state.fork": fork}
_COMMANDS: Final[dict[str, Command]] = {
    **_STARTS,
    "input.respond": respond,
    "agent.getTree": get_tree,
    "state.get": get_state,
    "state.listCheckpoints": list_checkpoints,
}
LOOKS: Final = frozenset({"agent.getTree", "state.get", "state.listCheckpoints"})
_ELSEWHERE: Final = {
    "input.inject": "send the message with run.start; multitask_strategy says what becomes of a run under way",
    "subscription.subscribe": "over HTTP, open /stream/events instead; subscriptions are a WebSocket's",
    "subscription.unsubscribe": "over HTTP, close the stream; subscriptions are a WebSocket's",
    "subscription.reconnect": "open the stream again, with `since`: the seq of the last event you have",
}
_MALFORMED: Final = "a command is a JSON object with `id`, an integer from 0 on, `method`, a text, and `params`"


def read(frame: Any) -> tuple[int, str, Params]:
    """(id, method, params) of what a client sent. Raises Refused for what is no command."""
    given = frame if isinstance(frame, dict) else {}
    id_, method, params = given.get("id"), given.get("method"), given.get("params", {})
    numbered = isinstance(id_, int) and not isinstance(id_, bool) and id_ >= 0
    if not numbered or not isinstance(method, str) or not isinstance(params, dict | None):
        raise Refused("invalid_argument", _MALFORMED)
    return id_, method, params or {}  # type: ignore[return-value]


async def obey(
    services: ApiServices, thread: str, id_: int, method: str, params: Params, key: str | None = None
) -> dict[str, Any]:
    """The command's answer, as a frame: what is wrong with it is one, too. `key`: the Idempotency-Key, under which it
    starts one run; an answer has one of its own."""
    try:
        thread_id = uuid_of(thread, "thread")
        if method not in _COMMANDS:
            raise _unknown(method)
        # What was told before the command is what a client that asks for the rest needn't hear again.
        before = await services.places.end(thread_id)
        if method in _STARTS:
            result = await _STARTS[method](services, thread_id, params, key)
        else:
            result = await _COMMANDS[method](services, thread_id, params)
    except (Refused, ServingError) as error:
        return error_frame(refusal(error), id_)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return error_frame(Refused("invalid_argument", f"params.{where}: {first['msg']}"), id_)
    except TriremeError as error:
        return error_frame(Refused("unknown_error", str(error)), id_)
    return success(id_, result, before.seq)


def success(id_: int, result: Mapping[str, Any], through: int) -> dict[str, Any]:
    return {"type": "success", "id": id_, "result": result, "meta": {"applied_through_seq": through}}


def _unknown(method: str) -> Refused:
    if method in _ELSEWHERE:
        return Refused("not_supported", f"{method}: {_ELSEWHERE[method]}")
    return Refused("unknown_command", f"no such command: {method[:80]!r}; there are {', '.join(sorted(_COMMANDS))}")
