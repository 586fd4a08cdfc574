"""What one user may do: asked of langgraph.json's `auth`, and looked up of the rows that a request names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString
from uuid import UUID

from serving.assistants.assistant import system_assistant_id
from serving.assistants.store import assistant_not_found
from serving.auth.custom import CustomAuth
from serving.auth.filters import Held
from serving.auth.user import User
from serving.crons.store import cron_not_found
from serving.database import fetch_all
from serving.errors import Forbidden, Unprocessable
from serving.hosting.config import AGENT
from serving.jsonb import jsonb
from serving.runs.requests.limits import uuid_of
from serving.services import ApiServices
from serving.threads.store import NOT_THE_AGENTS, thread_not_found
from serving.threads.thread import NewThread

Resource = Literal["threads", "assistants", "crons"]
NOUNS: Final[Mapping[Resource, str]] = {"threads": "thread", "assistants": "assistant", "crons": "cron"}
_NOT_FOUND: Final = {"threads": thread_not_found, "assistants": assistant_not_found, "crons": cron_not_found}
# What planner, worker and critic keep is a whole tenant's: to users of it, it isn't there.
_THREAD_HOLDS: LiteralString = (
    """
select metadata @> %(held)s::jsonb and """
    + NOT_THE_AGENTS
    + " as holds from threads thread where tenant = %(tenant)s and thread_id = %(id)s"
)
_HOLDS: Final[Mapping[Resource, LiteralString]] = {
    "threads": _THREAD_HOLDS,
    "assistants": """select metadata @> %(held)s::jsonb and graph_id <> %(agent)s as holds from assistants
        join assistant_versions using (tenant, assistant_id, version)
        where tenant = %(tenant)s and assistant_id = %(id)s""",
    "crons": """select crons.metadata @> %(held)s::jsonb and graph_id <> %(agent)s as holds from crons
        join assistants using (tenant, assistant_id) join assistant_versions using (tenant, assistant_id, version)
        where tenant = %(tenant)s and cron_id = %(id)s""",
}
# What a run is asked with beside what its graph is given.
_OF_A_RUN: Final = ("assistant_id", "metadata", "multitask_strategy", "if_not_exists", "after_seconds")


@dataclass(frozen=True, slots=True)
class Permits:
    auth: CustomAuth
    user: User
    services: ApiServices

    async def held(self, resource: str, action: str, value: dict[str, Any]) -> Held:
        """Raises Forbidden and what the handler does, which may change `value`."""
        return await self.auth.held(self.user, resource, action, value)

    async def row(self, resource: Resource, action: str, id_: str, value: dict[str, Any]) -> None:
        """Raises NotFound for one that is hidden; for one that isn't there, the route does, in the same words."""
        value[f"{NOUNS[resource]}_id"] = UUID(id_)
        await self.check(resource, id_, await self.held(resource, action, value))

    async def check(self, resource: Resource, id_: str, held: Held) -> None:
        if await self.holds(resource, id_, held) is False:
            raise _NOT_FOUND[resource](id_)

    def given(self, held: Held) -> dict[str, Any]:
        """To a statement that looks for what is held."""
        return {"tenant": self.services.runs.tenant, "agent": AGENT, "held": jsonb(dict(held), "the filter")}

    async def holds(self, resource: Resource, id_: str, held: Held) -> bool | None:
        """None: there is no such row."""
        if resource == "assistants":
            await self.services.assistants.complete_system()
        rows = await fetch_all(self.services.pool, _HOLDS[resource], {**self.given(held), "id": id_})
        return bool(rows[0]["holds"]) if rows else None

    async def watch(self, thread_id: str) -> None:
        """A thread that isn't there is made: its stream would tell all that whoever makes it does there."""
        held = await self.held("threads", "read", {"thread_id": UUID(thread_id)})
        if held and await self.holds("threads", thread_id, held) is None:
            new: dict[str, Any] = {"thread_id": UUID(thread_id), "metadata": {}, "if_exists": "do_nothing"}
            await self.held("threads", "create", new)
            made = NewThread(thread_id=thread_id, metadata=new["metadata"], if_exists="do_nothing")
            await self.services.threads.create(made)
        await self.check("threads", thread_id, held)

    async def run(self, thread: str | None, asked: Mapping[str, Any]) -> tuple[dict[str, Any], Held]:
        """The run as it may be made, and what its thread must hold.

        Raises NotFound for a thread, or an assistant, that isn't the user's to use.
        """
        thread_id = uuid_of(thread, "thread") if thread else None
        value = {
            **{"run_id": None, "status": "pending", "prevent_insert_if_inflight": False},
            **{"multitask_strategy": "enqueue", "if_not_exists": "reject", "after_seconds": 0},
            **{name: asked[name] for name in _OF_A_RUN if name in asked},
            "thread_id": UUID(thread_id) if thread_id else None,
            "assistant_id": self._assistant(asked.get("assistant_id")),
            "metadata": mapping(asked, "metadata"),
            "kwargs": {
                **{"input": None, "command": None, "config": {}, "context": None},
                **{name: given for name, given in asked.items() if name not in _OF_A_RUN},
            },
        }
        held = await self.held("threads", "create_run", value)
        if thread_id:
            await self.check("threads", thread_id, held)
        named = {name: value[name] for name in _OF_A_RUN if value.get(name) is not None}
        if assistant := self._assistant(named.get("assistant_id")):
            named["assistant_id"] = str(assistant)
            await self._check_assistant(str(assistant))
        kwargs = {name: given for name, given in value["kwargs"].items() if given or name in asked}
        return {**kwargs, **named}, held

    def _assistant(self, named: Any) -> UUID | None:
        return UUID(self.services.assistants.id_of(str(named))) if named is not None else None

    async def _check_assistant(self, id_: str) -> None:
        """Every hosted graph's own is everybody's to run."""
        if id_ not in map(system_assistant_id, self.services.graphs.ids):
            await self.row("assistants", "read", id_, {})
        refuse_the_agent((await self.services.assistants.get(id_)).graph_id)


def refuse_the_agent(graph_id: Any) -> None:
    """Raises Forbidden."""
    if graph_id == AGENT:
        what = "planner, worker and critic remember and restore for a whole tenant, not for one user"
        raise Forbidden(what, "use a graph of langgraph.json, or an API key of this server", "shut_by_auth")


def mapping(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A field that holds an object, or none. Raises Unprocessable."""
    found = given.get(name)
    if not isinstance(found, dict | None):
        raise Unprocessable(f"{name}: no JSON object", "see /docs for what the route takes")
    return found or {}
