"""What each route asks of langgraph.json's `auth` before it is gone through. A route that isn't here is shut while
there is an `auth`: nothing can be reached by a way that nobody thought of."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, LiteralString, TypeAlias
from uuid import UUID

from serving.api.authorization.permits import NOUNS, Permits, Resource, mapping, refuse_the_agent
from serving.api.authorization.stores import stored
from serving.api.authorization.visit import Visit
from serving.api.thread_streams.commands import LOOKS, read
from serving.api.thread_streams.errors import Refused
from serving.auth.filters import EVERYTHING, Held, both
from serving.database import fetch_all
from serving.errors import Conflict, Forbidden, NotFound, Unprocessable
from serving.runs.launches import run_not_found
from serving.runs.requests.limits import uuid_of
from serving.threads.store import NOT_THE_AGENTS, thread_not_found

Door: TypeAlias = Callable[[Visit], Awaitable[None]]
_MOST_RUNS: Final = 1_000
_LIVE: LiteralString = (
    """
select run_id::text from runs join threads thread using (thread_id)
where runs.tenant = %(tenant)s and runs.status in ('pending', 'running', 'interrupted')
    and thread.metadata @> %(held)s::jsonb and (%(runs)s::uuid[] is null or run_id = any(%(runs)s)) and """
    + NOT_THE_AGENTS
)
_HIDDEN: LiteralString = (
    """
select thread_id::text from threads thread
where tenant = %(tenant)s and thread_id = any(%(ids)s::uuid[]) and not (metadata @> %(held)s::jsonb and """
    + NOT_THE_AGENTS
    + ")"
)


def row(resource: Resource, action: str) -> Door:
    """The row that the path names, or a run of that thread."""

    async def door(visit: Visit) -> None:
        id_, run = visit.id_of(resource), visit.named.get("run_id")
        if run is None:
            await visit.permits.row(resource, action, id_, {})
            return
        run_id = uuid_of(run, "run")
        how = {"action": visit.query.get("action", "interrupt")} if action == "update" else {}
        try:
            await visit.permits.row(resource, action, id_, {"run_id": UUID(run_id), **how})
        except NotFound:
            raise run_not_found(run_id) from None

    return door


def changed(resource: Resource) -> Door:
    """The row that the path names, as the body has it."""

    async def door(visit: Visit) -> None:
        value = {**visit.fields, "metadata": mapping(visit.fields, "metadata")}
        await visit.permits.row(resource, "update", visit.id_of(resource), value)
        _refuse_the_agents(resource, value)
        visit.body = value

    return door


def created(resource: Resource) -> Door:
    async def door(visit: Visit) -> None:
        name, noun = f"{NOUNS[resource]}_id", NOUNS[resource]
        given = visit.fields.get(name)
        own = {name: given and UUID(uuid_of(str(given), noun)), "metadata": mapping(visit.fields, "metadata")}
        value = {"if_exists": "raise", **visit.fields, **own}
        held = await visit.permits.held(resource, "create", value)
        _refuse_the_agents(resource, value)
        if (id_ := value.get(name)) and await visit.permits.holds(resource, str(id_), held) is False:
            raise Conflict(f"{noun} {id_} exists already", f"leave {name} out")
        visit.body, visit.held = value, held

    return door


def _refuse_the_agents(resource: Resource, value: dict[str, Any]) -> None:
    """A thread says in its metadata whose it is."""
    said = value.get("metadata") or {} if resource == "threads" else value
    refuse_the_agent(said.get("graph_id"))


def searched(resource: Resource, nothing: Any) -> Door:
    """`nothing`: the answer where what is looked for and what may be seen can't both be."""

    async def door(visit: Visit) -> None:
        value = {"limit": 10, "offset": 0, **visit.fields, "metadata": mapping(visit.fields, "metadata")}
        held = await visit.permits.held(resource, "search", value)
        wanted = both(value["metadata"], held)
        visit.answer, visit.body = (nothing if wanted is None else None), {**value, "metadata": wanted}

    return door


async def run(visit: Visit) -> None:
    if not visit.fields.get("assistant_id"):
        raise shut()
    visit.body, visit.held = await visit.permits.run(visit.named.get("thread_id"), visit.fields)


async def runs(visit: Visit) -> None:
    if not isinstance(visit.body, list) or len(visit.body) > _MOST_RUNS:
        raise Unprocessable(f"body: no list of at most {_MOST_RUNS} runs", "send them in parts")
    if not all(isinstance(each, dict) and each.get("assistant_id") for each in visit.body):
        raise Unprocessable("assistant_id: missing", "each run names an assistant, or a graph")
    visit.body = [(await visit.permits.run(None, each))[0] for each in visit.body]


async def followed(visit: Visit) -> None:
    """A run, by its thread or alone. Who may end it by going away does more than read."""
    thread = visit.named.get("thread_id")
    found = await visit.permits.services.launches.get(thread, visit.named["run_id"])
    thread_id, run_id = str(found["thread_id"]), str(found["run_id"])
    ends = visit.query.get("cancel_on_disconnect", "false").lower() not in ("false", "0")
    try:
        for action in ("read", "update") if ends else ("read",):
            await visit.permits.row("threads", action, thread_id, {"run_id": UUID(run_id)})
    except NotFound:
        raise run_not_found(run_id) from None


async def cancelled(visit: Visit) -> None:
    """Of those that are asked for, or of all, those of threads that the user may change."""
    fields, services = visit.fields, visit.permits.services
    thread, ids = fields.get("thread_id"), fields.get("run_ids")
    if thread is None and ids is None and fields.get("status") is None:
        return  # the route refuses it: nobody means all by naming none
    if not isinstance(ids, list | None):
        raise Unprocessable("run_ids: no list", "send the ids of runs")
    runs = None if ids is None else [uuid_of(str(each), "run") for each in ids]
    value = {
        "thread_id": UUID(uuid_of(str(thread), "thread")) if thread else None,
        "action": visit.query.get("action", "interrupt"),
        "metadata": {"run_ids": runs, "status": fields.get("status")},
    }
    held = await visit.permits.held("threads", "update", value)
    found = await fetch_all(services.pool, _LIVE, {**visit.permits.given(held), "runs": runs})
    visit.body = {**fields, "run_ids": [each["run_id"] for each in found]}


async def pruned(visit: Visit) -> None:
    ids, services = visit.fields.get("thread_ids"), visit.permits.services
    if not isinstance(ids, list):
        raise Unprocessable("thread_ids: no list", "send the ids of threads")
    named = [uuid_of(str(each), "thread") for each in ids]
    held = await visit.permits.held("threads", "delete", {"thread_ids": [UUID(each) for each in named]})
    for hidden in await fetch_all(services.pool, _HIDDEN, {**visit.permits.given(held), "ids": named}):
        raise thread_not_found(hidden["thread_id"])


async def copied(visit: Visit) -> None:
    """A copy has the metadata of what it is of, so that both must be the user's."""
    thread_id = visit.id_of("threads")
    await visit.permits.row("threads", "read", thread_id, {})
    await visit.permits.check("threads", thread_id, await visit.permits.held("threads", "create", {"metadata": {}}))


async def assistant_deleted(visit: Visit) -> None:
    if visit.query.get("delete_threads", "false").lower() != "false":
        hint = "delete your own: DELETE /threads/{thread_id}"
        raise Forbidden("delete_threads would take other people's threads along", hint)
    await visit.permits.row("assistants", "delete", visit.id_of("assistants"), {})


async def cron_created(visit: Visit) -> None:
    """It is asked for as a cron, and as the run that it makes."""
    fields, thread = visit.fields, visit.named.get("thread_id")
    value: dict[str, Any] = {
        "payload": {name: given for name, given in fields.items() if name != "metadata"},
        "schedule": fields.get("schedule"),
        "thread_id": UUID(uuid_of(thread, "thread")) if thread else None,
        "user_id": visit.permits.user["identity"],
        "end_time": fields.get("end_time"),
        "metadata": mapping(fields, "metadata"),
    }
    await visit.permits.held("crons", "create", value)
    beside = {name: value[name] for name in ("schedule", "end_time", "metadata") if value[name] is not None}
    visit.body, _ = await visit.permits.run(thread, {**value["payload"], **beside})


async def cron_changed(visit: Visit) -> None:
    """It is asked for as a cron, and as the runs that it makes from then on."""
    await changed("crons")(visit)
    given, cron = visit.fields, await visit.permits.services.crons.get(visit.id_of("crons"))
    thread = cron["thread_id"] and str(cron["thread_id"])
    asked, _ = await visit.permits.run(thread, {**cron["payload"], **given})
    visit.body = {name: asked[name] for name in given if name in asked}


async def watched(visit: Visit) -> None:
    await visit.permits.watch(visit.id_of("threads"))


async def commanded(visit: Visit) -> None:
    try:
        _, method, params = read(visit.body)
    except Refused:
        return  # the route refuses it as well, in its own words
    params, visit.held = await command(visit.permits, visit.id_of("threads"), method, params)
    visit.body = {**visit.fields, "params": params}


async def command(
    permits: Permits, thread_id: str, method: str, params: Mapping[str, Any]
) -> tuple[Mapping[str, Any], Held]:
    """The params of a command of the thread-centric protocol, as they may be obeyed, and what the thread must hold."""
    if method in LOOKS:
        await permits.row("threads", "read", thread_id, {})
        return params, EVERYTHING
    return await permits.run(thread_id, params)


def shut() -> Forbidden:
    hint = "use the LangGraph SDK's routes, or an API key of this server: trireme keys create"
    return Forbidden("langgraph.json's auth can't be held here, so this way is shut", hint, "shut_by_auth")


_THREAD: Final = "/threads/{thread_id}"
_RUN: Final = "/threads/{thread_id}/runs/{run_id}"
_ASSISTANT: Final = "/assistants/{assistant_id}"
_CRON: Final = "/runs/crons/{cron_id}"
_SEES: Final = row("threads", "read")
_KNOWS: Final = row("assistants", "read")
OPEN: Final = frozenset({("GET", "/ok"), ("GET", "/info"), ("GET", "/")})
DOORS: Final[Mapping[tuple[str, str], Door]] = {
    ("POST", "/threads"): created("threads"),
    ("POST", "/threads/search"): searched("threads", []),
    ("POST", "/threads/count"): searched("threads", 0),
    ("POST", "/threads/prune"): pruned,
    ("GET", _THREAD): _SEES,
    ("PATCH", _THREAD): changed("threads"),
    ("DELETE", _THREAD): row("threads", "delete"),
    ("POST", f"{_THREAD}/copy"): copied,
    ("GET", f"{_THREAD}/state"): _SEES,
    ("POST", f"{_THREAD}/state/checkpoint"): _SEES,
    ("GET", f"{_THREAD}/state/{{checkpoint_id}}"): _SEES,
    ("POST", f"{_THREAD}/state"): row("threads", "update"),
    ("PATCH", f"{_THREAD}/state"): changed("threads"),
    ("POST", f"{_THREAD}/history"): _SEES,
    ("GET", f"{_THREAD}/history"): _SEES,
    ("GET", f"{_THREAD}/stream"): _SEES,
    ("POST", f"{_THREAD}/stream/events"): watched,
    ("WEBSOCKET", f"{_THREAD}/stream/events"): watched,
    ("POST", f"{_THREAD}/commands"): commanded,
    **{("POST", f"{place}{how}"): run for place in ("/runs", f"{_THREAD}/runs") for how in ("", "/stream", "/wait")},
    ("POST", "/runs/batch"): runs,
    ("POST", "/runs/cancel"): cancelled,
    ("GET", "/runs/{run_id}/stream"): followed,
    ("GET", f"{_THREAD}/runs"): _SEES,
    ("GET", _RUN): _SEES,
    ("DELETE", _RUN): row("threads", "delete"),
    ("GET", f"{_RUN}/stream"): followed,
    ("GET", f"{_RUN}/join"): followed,
    ("POST", f"{_RUN}/cancel"): row("threads", "update"),
    ("POST", "/assistants"): created("assistants"),
    ("POST", "/assistants/search"): searched("assistants", []),
    ("POST", "/assistants/count"): searched("assistants", 0),
    ("GET", _ASSISTANT): _KNOWS,
    ("PATCH", _ASSISTANT): changed("assistants"),
    ("DELETE", _ASSISTANT): assistant_deleted,
    ("POST", f"{_ASSISTANT}/versions"): _KNOWS,
    ("POST", f"{_ASSISTANT}/latest"): changed("assistants"),
    ("GET", f"{_ASSISTANT}/schemas"): _KNOWS,
    ("GET", f"{_ASSISTANT}/graph"): _KNOWS,
    ("GET", f"{_ASSISTANT}/subgraphs"): _KNOWS,
    ("GET", f"{_ASSISTANT}/subgraphs/{{namespace}}"): _KNOWS,
    ("POST", "/runs/crons"): cron_created,
    ("POST", f"{_THREAD}/runs/crons"): cron_created,
    ("POST", "/runs/crons/search"): searched("crons", []),
    ("POST", "/runs/crons/count"): searched("crons", 0),
    ("GET", _CRON): row("crons", "read"),
    ("PATCH", _CRON): cron_changed,
    ("DELETE", _CRON): row("crons", "delete"),
    ("PUT", "/store/items"): stored("put", "namespace"),
    ("GET", "/store/items"): stored("get", "namespace"),
    ("DELETE", "/store/items"): stored("delete", "namespace"),
    ("POST", "/store/items/search"): stored("search", "namespace_prefix"),
    ("POST", "/store/namespaces"): stored("list_namespaces", "prefix"),
}
