"""Assistants in Postgres: one tenant's, each version a row that never changes."""

from typing import Any, LiteralString

from serving.assistants.assistant import (
    Assistant,
    AssistantChange,
    AssistantVersion,
    NewAssistant,
    settled,
    system_assistant_id,
)
from serving.auth.filters import EVERYTHING, Held
from serving.database import Pool, Row, fetch_all, new_id
from serving.errors import Conflict, NotFound
from serving.hosting.graphs import Graphs
from serving.jsonb import jsonb
from serving.runs.requests.limits import uuid_of

COLUMNS: LiteralString = """
select assistant_id::text, version, graph_id, config, context, metadata, name, description,
    assistant.created_at, updated_at
from assistants assistant join assistant_versions version using (tenant, assistant_id, version)
"""
_ONE: LiteralString = COLUMNS + "where tenant = %(tenant)s and assistant_id = %(id)s"
_HOLDS: LiteralString = _ONE + " and metadata @> %(held)s::jsonb"
_CREATE: LiteralString = """
with made as (
    insert into assistants (tenant, assistant_id, version) values (%(tenant)s, %(id)s, 1) on conflict do nothing
    returning assistant_id
)
insert into assistant_versions
    (tenant, assistant_id, version, graph_id, name, description, config, context, metadata)
select %(tenant)s, assistant_id, 1, %(graph_id)s, %(name)s, %(description)s, %(config)s::jsonb, %(context)s::jsonb,
    %(metadata)s::jsonb
from made
"""
_HOLD: LiteralString = "select from assistants where tenant = %(tenant)s and assistant_id = %(id)s for update"
_CHANGE: LiteralString = """
with added as (
    insert into assistant_versions
        (tenant, assistant_id, version, graph_id, name, description, config, context, metadata)
    select tenant, assistant_id, (select max(version) from assistant_versions
            where (tenant, assistant_id) = (old.tenant, old.assistant_id)) + 1,
        coalesce(%(graph_id)s, graph_id), coalesce(%(name)s, name), coalesce(%(description)s, description),
        coalesce(%(config)s::jsonb, config), coalesce(%(context)s::jsonb, context),
        metadata || coalesce(%(metadata)s::jsonb, '{}')
    from assistants assistant join assistant_versions old using (tenant, assistant_id, version)
    where tenant = %(tenant)s and assistant_id = %(id)s
    returning version
)
update assistants set version = added.version, updated_at = now() from added
where tenant = %(tenant)s and assistant_id = %(id)s
"""
_SET_LATEST: LiteralString = """
update assistants set version = %(version)s, updated_at = now()
where tenant = %(tenant)s and assistant_id = %(id)s and exists (select from assistant_versions
    where tenant = %(tenant)s and assistant_id = %(id)s and version = %(version)s)
"""
_VERSIONS: LiteralString = """
select assistant_id::text, version, graph_id, config, context, metadata, name, description, created_at
from assistant_versions
where tenant = %(tenant)s and assistant_id = %(id)s
    and (%(metadata)s::jsonb is null or metadata @> %(metadata)s::jsonb)
order by version desc limit %(limit)s offset %(offset)s
"""
_DELETE: LiteralString = "delete from assistants where tenant = %(tenant)s and assistant_id = %(id)s"
_THREADS_OF: LiteralString = """
select count(*) from delete_threads(%(tenant)s, array(select thread_id from threads
    where tenant = %(tenant)s and metadata <> '{}' and metadata @> %(named)s::jsonb))
"""


class AssistantStore:
    """Each hosted graph gets its assistant when a tenant first asks for any."""

    def __init__(self, pool: Pool, graphs: Graphs, tenant: str = "default") -> None:
        self._pool, self._graphs, self._tenant = pool, graphs, tenant
        self._complete: set[str] = set()  # tenants whose hosted graphs have their assistants

    def of(self, tenant: str) -> "AssistantStore":
        other = AssistantStore(self._pool, self._graphs, tenant)
        other._complete = self._complete
        return other

    async def create(self, new: NewAssistant, held: Held = EVERYTHING) -> Assistant:
        """`held`: by the metadata of one that is there, else its id is taken. Raises UnknownGraph, Conflict."""
        self._graphs.entry(new.graph_id)
        await self.complete_system()
        id_ = uuid_of(new.assistant_id, "assistant") if new.assistant_id else new_id()
        made = await self._execute(_CREATE, {**_content(new), "id": id_, "name": new.name or "Untitled"})
        if not made and (new.if_exists == "raise" or not await self._holds(id_, held)):
            raise Conflict(
                f"assistant {id_} exists already", "leave assistant_id out, or send if_exists=do_nothing", "exists"
            )
        return await self.get(id_)

    async def get(self, assistant: str) -> Assistant:
        """By its id, or by the id of a hosted graph: the graph's own. Raises Unprocessable, NotFound."""
        await self.complete_system()
        id_ = self.id_of(assistant)
        return Assistant(**await self._row(_ONE, id_))

    def id_of(self, assistant: str) -> str:
        if assistant in self._graphs.ids:
            return system_assistant_id(assistant)
        return uuid_of(assistant, "assistant", f"nor is it a graph's: graphs here are {', '.join(self._graphs.ids)}")

    async def update(self, assistant: str, change: AssistantChange) -> Assistant:
        """Adds a version, which counts from now on."""
        if change.graph_id is not None:
            self._graphs.entry(change.graph_id)
        await self.complete_system()
        id_ = self.id_of(assistant)
        values = {**_content(change), "name": change.name, "id": id_, "tenant": self._tenant}
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_HOLD, values)
            if not (await connection.execute(_CHANGE, values)).rowcount:
                raise assistant_not_found(id_)
        return await self.get(id_)

    async def set_latest(self, assistant: str, version: int) -> Assistant:
        found = await self.get(assistant)
        if not await self._execute(_SET_LATEST, {"id": found.assistant_id, "version": version}):
            raise NotFound(
                f"assistant {found.assistant_id} has no version {version}",
                f"POST /assistants/{found.assistant_id}/versions lists them",
                "version_not_found",
            )
        return await self.get(found.assistant_id)

    async def versions(
        self, assistant: str, metadata: dict[str, Any] | None, limit: int, offset: int
    ) -> list[AssistantVersion]:
        """Newest first."""
        found = await self.get(assistant)
        wanted = jsonb(metadata, "metadata") if metadata else None
        values = {"id": found.assistant_id, "metadata": wanted, "limit": limit, "offset": offset}
        return [AssistantVersion(**row) for row in await self.fetch(_VERSIONS, values)]

    async def delete(self, assistant: str, *, threads: bool = False) -> None:
        """Its versions and crons; with `threads` also the threads whose metadata name it. Raises NotFound, Conflict."""
        id_ = self.id_of(assistant)
        if id_ in map(system_assistant_id, self._graphs.ids):
            hint = "take the graph out of langgraph.json; assistants that you created can be deleted"
            raise Conflict(f"assistant {id_} belongs to a hosted graph", hint, "system_assistant")
        values = {"id": id_, "tenant": self._tenant, "named": jsonb({"assistant_id": id_}, "assistant_id")}
        async with self._pool.connection() as connection, connection.transaction():
            if threads:
                await connection.execute(_THREADS_OF, values)
            if not (await connection.execute(_DELETE, values)).rowcount:
                raise assistant_not_found(id_)

    async def fetch(self, query: LiteralString, values: dict[str, Any]) -> list[Row]:
        """Of this tenant, when all hosted graphs have their assistants."""
        await self.complete_system()
        return await fetch_all(self._pool, query, {**values, "tenant": self._tenant})

    async def complete_system(self) -> None:
        if self._tenant in self._complete:
            return
        system = NewAssistant(graph_id="", metadata={"created_by": "system"})
        async with self._pool.connection() as connection:
            for graph_id in self._graphs.ids:
                of_graph = {"graph_id": graph_id, "name": graph_id, "id": system_assistant_id(graph_id)}
                about = {"description": self._graphs.entry(graph_id).description, "tenant": self._tenant}
                await connection.execute(_CREATE, {**_content(system), **of_graph, **about})
        self._complete.add(self._tenant)

    async def _holds(self, id_: str, held: Held) -> bool:
        return bool(await self.fetch(_HOLDS, {"id": id_, "held": jsonb(dict(held), "the filter")}))

    async def _row(self, query: LiteralString, id_: str) -> Row:
        rows = await self.fetch(query, {"id": id_})
        if not rows:
            raise assistant_not_found(id_)
        return rows[0]

    async def _execute(self, query: LiteralString, values: dict[str, Any]) -> bool:
        async with self._pool.connection() as connection:
            return bool((await connection.execute(query, {**values, "tenant": self._tenant})).rowcount)


def _content(given: NewAssistant | AssistantChange) -> dict[str, Any]:
    """Of a new assistant everything; of a change what it changes, else null."""
    config, context = settled(given.config, given.context)
    empty: dict[str, Any] | None = {} if isinstance(given, NewAssistant) else None

    def text(value: Any, what: str) -> str | None:
        chosen = empty if value is None else value
        return None if chosen is None else jsonb(chosen, what)

    return {
        "graph_id": given.graph_id,
        "description": given.description,
        "config": text(config, "config"),
        "context": text(context, "context"),
        "metadata": text(given.metadata, "metadata"),
    }


def assistant_not_found(id_: str) -> NotFound:
    return NotFound(f"assistant {id_} not found", "POST /assistants/search lists them", "assistant_not_found")
