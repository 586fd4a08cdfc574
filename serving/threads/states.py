"""The state of threads: read, edited and looked back at through their graph and our saver, without a run.

Graphs and LangGraph itself are imported when somebody first asks. What planner, worker and critic keep is redacted on
its way in and restored on its way out, as everywhere; the state of other graphs is passed on as it is.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, LiteralString

import orjson

from privacy.redact import Redactor
from serving.database import Connection, Pool, fetch_one
from serving.errors import Unprocessable
from serving.hosting.config import AGENT
from serving.hosting.graphs import Graphs
from serving.items.stores import Stores
from serving.jsonb import metadata_jsonb
from serving.runs.requests.limits import uuid_of
from serving.threads.checkpoint import CheckpointRef, checkpoint_of
from serving.threads.saved import Saved, no_checkpoint
from serving.threads.snapshot import check_select, interrupts_of, nothing, selected, shown
from serving.threads.store import thread_not_found
from serving.threads.talks import standing, told_by_id
from serving.threads.thread import Superstep, SuperstepUpdate
from serving.threads.update import applied, check_names, readable

if TYPE_CHECKING:
    from langgraph.types import StateSnapshot

    from serving.hosting.factory import Access, Graph
    from serving.runs.checkpoints import PostgresSaver

_GRAPH: LiteralString = """
select coalesce(metadata ->> 'graph_id', (select coalesce(graph, %(agent)s) from runs
    where runs.thread_id = thread.thread_id order by created_at desc limit 1)) as graph, config,
    array(select status from runs where runs.thread_id = thread.thread_id
        and status in ('pending', 'running', 'interrupted')) as live
from threads thread where tenant = %(tenant)s and thread_id = %(id)s
"""
# A run of the agent goes on behind the messages that were written by hand before its thread's first.
_LEFT: LiteralString = """
update threads set brought = case when %(graph)s::text = %(agent)s
        and not exists (select from runs where runs.thread_id = threads.thread_id)
        then %(values)s::jsonb -> 'messages' else brought end,
    values = %(values)s::jsonb, interrupts = %(interrupts)s::jsonb, status = %(status)s, error = null,
    metadata = metadata || jsonb_build_object('graph_id', %(graph)s::text) || %(metadata)s::jsonb,
    updated_at = now(), state_updated_at = now()
where tenant = %(tenant)s and thread_id = %(id)s
"""


class States:
    """One tenant's. `told`: what graphs find in `configurable` of who asks."""

    def __init__(
        self, pool: Pool, graphs: Graphs, saved: Saved, stores: Stores, redactor: Redactor, told: Mapping[str, Any] = {}
    ) -> None:
        self._pool, self._graphs, self.saved, self._stores, self._redactor = pool, graphs, saved, stores, redactor
        self._told = told

    def of(self, tenant: str, redactor: Redactor) -> "States":
        return States(self._pool, self._graphs, self.saved.of(tenant), self._stores, redactor)

    def told(self, told: Mapping[str, Any]) -> "States":
        return States(self._pool, self._graphs, self.saved, self._stores, self._redactor, told)

    async def get(self, thread: str, at: CheckpointRef, *, subgraphs: bool, select: Collection[str] = ()) -> bytes:
        """As JSON. A thread that no graph has worked on has an empty state. Raises NotFound, Unprocessable."""
        id_ = uuid_of(thread, "thread")
        check_select(select)
        config = at.config(id_)
        graph_id, settings, live = await self._graph_of(id_)
        if graph_id is None:
            if at.checkpoint_id:
                raise no_checkpoint(id_, at.checkpoint_id)
            return orjson.dumps(nothing(config))
        async with self._opened(graph_id, "threads.read", config, settings) as graph:
            found = await readable(graph.aget_state(config, subgraphs=subgraphs))
        if found.metadata is None and at.checkpoint_id:
            raise no_checkpoint(id_, at.checkpoint_id)
        state = shown(found)
        if graph_id == AGENT:
            state = told_by_id(state) if at.checkpoint_id else standing(state, live)
        return await self._out(graph_id, selected(state, select))

    async def history(
        self,
        thread: str,
        at: CheckpointRef,
        *,
        limit: int,
        before: CheckpointRef | None,
        metadata: Mapping[str, Any] | None,
        select: Collection[str] = (),
    ) -> bytes:
        """Newest first, as JSON."""
        id_ = uuid_of(thread, "thread")
        check_select(select)
        config, until = at.config(id_), before and before.config(id_)
        graph_id, settings, live = await self._graph_of(id_)
        if graph_id is None:
            return b"[]"
        wanted: dict[str, Any] = {"limit": limit, "filter": dict(metadata or {}), "before": until}
        async with self._opened(graph_id, "threads.read", config, settings) as graph:
            found = await readable(_all_shown(graph.aget_state_history(config, **wanted)))
        if graph_id == AGENT:
            newest = 0 if at.checkpoint_id or before or metadata else 1
            found = [*(standing(state, live) for state in found[:newest]), *map(told_by_id, found[newest:])]
        return await self._out(graph_id, [selected(state, select) for state in found])

    async def update(
        self,
        thread: str,
        at: CheckpointRef,
        values: Any,
        as_node: str | None,
        metadata: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Returns the new checkpoint. `metadata` are merged with the thread's, if the values can be.

        Raises NotFound, Conflict while a run is live, Unprocessable for bad values.
        """
        id_, more = uuid_of(thread, "thread"), dict(metadata or {})
        config, kept = at.config(id_), metadata_jsonb(more)
        known, settings, _ = await self._graph_of(id_)
        graph_id = known or (str(more["graph_id"]) if more.get("graph_id") else None)
        if graph_id is None:
            raise _no_graph(id_)
        values = await self._in(graph_id, values)
        async with self._opened(graph_id, "threads.update", config, settings) as graph:
            check_names(graph, values)
            async with self.saved.held(id_) as connection:
                if at.checkpoint_id and (await graph.aget_state(config)).metadata is None:
                    raise no_checkpoint(id_, at.checkpoint_id)
                async with _updating(graph, connection) as whole:
                    named: Any = {**config, "metadata": {"graph_id": graph_id}}
                    written = await applied(graph, lambda: whole.aupdate_state(named, values, as_node=as_node))
                await self._leave(connection, whole, graph_id, id_, kept)
        place = checkpoint_of(written)
        return {"checkpoint": place, "configurable": place, "checkpoint_id": place and place["checkpoint_id"]}

    async def replay(self, thread_id: str, graph_id: str | None, supersteps: Sequence[Superstep]) -> None:
        """Writes a new thread's history, superstep after superstep, if it has none. Raises Unprocessable."""
        if graph_id is None:
            raise _no_graph(thread_id)
        config = CheckpointRef().config(thread_id)
        async with self._opened(graph_id, "threads.update", config, {}) as graph:
            steps = [[await self._update_of(graph_id, each) for each in step.updates] for step in supersteps]
            async with self.saved.held(thread_id) as connection:
                if (await graph.aget_state(config)).metadata is not None:
                    return
                async with _replaying(graph, connection) as whole:
                    await applied(graph, lambda: whole.abulk_update_state(config, steps))
                await self._leave(connection, whole, graph_id, thread_id)

    async def _update_of(self, graph_id: str, update: SuperstepUpdate) -> Any:
        from langgraph.types import Command, StateUpdate

        values = await self._in(graph_id, update.values)
        if update.command:
            known = {name: update.command[name] for name in ("update", "resume", "goto") if name in update.command}
            values = Command(**known)
        return StateUpdate(values, update.as_node)

    async def _leave(
        self, connection: Connection, graph: "Graph", graph_id: str, id_: str, metadata: str = "{}"
    ) -> None:
        from serving.hosting.jsonable import to_json

        state = await graph.aget_state(CheckpointRef().config(id_))
        waiting = {task.id: interrupts_of(task.interrupts) for task in state.tasks if task.interrupts}
        values = {
            "id": id_,
            "tenant": self.saved.tenant,
            "graph": graph_id,
            "agent": AGENT,
            "values": to_json(state.values).decode(),
            "interrupts": to_json(waiting).decode(),
            "status": "interrupted" if state.next else "idle",
            "metadata": metadata,
        }
        await connection.execute(_LEFT, values)

    async def _graph_of(self, id_: str) -> tuple[str | None, Mapping[str, Any], Sequence[str]]:
        """The graph that works on the thread, the settings of its latest run, and the statuses of those not over."""
        values = {"id": id_, "tenant": self.saved.tenant, "agent": AGENT}
        row = await fetch_one(self._pool, _GRAPH, values)
        if row is None:
            raise thread_not_found(id_)
        return row["graph"], row["config"], row["live"]

    @asynccontextmanager
    async def _opened(
        self, graph_id: str, access: "Access", config: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> "AsyncIterator[Graph]":
        given = {**(settings.get("configurable") or {}), **self._told, **config["configurable"]}
        store = await self._stores.of(self.saved.tenant)
        async with self._graphs.opened(graph_id, access, {**settings, "configurable": given}, store=store) as graph:
            yield graph.copy({"checkpointer": await self.saved.saver(graph_id), "store": store})

    async def _in(self, graph_id: str, values: Any) -> Any:
        if graph_id != AGENT or values is None:
            return values
        return await asyncio.to_thread(self._redactor.redact_json, values)

    async def _out(self, graph_id: str, state: Any) -> bytes:
        data = _json(state)
        if graph_id != AGENT or not self._redactor.owns_any(data.decode()):
            return data
        return orjson.dumps(await asyncio.to_thread(self._redactor.restore_json, orjson.loads(data)))


@asynccontextmanager
async def _updating(graph: "Graph", connection: Connection) -> "AsyncIterator[Graph]":
    """What it writes comes with the thread's row, or not at all."""
    saver: PostgresSaver = graph.checkpointer  # type: ignore[assignment]
    async with saver.updating(connection) as whole:
        yield graph.copy({"checkpointer": whole})


@asynccontextmanager
async def _replaying(graph: "Graph", connection: Connection) -> "AsyncIterator[Graph]":
    saver: PostgresSaver = graph.checkpointer  # type: ignore[assignment]
    async with saver.replaying(connection) as whole:
        yield graph.copy({"checkpointer": whole})


async def _all_shown(states: "AsyncIterator[StateSnapshot]") -> list[dict[str, Any]]:
    return [shown(state) async for state in states]


def _json(value: Any) -> bytes:
    """As `to_json` makes it, but what occurs in many states (a message) is made into JSON once."""
    from serving.hosting.jsonable import to_json

    made: dict[int, orjson.Fragment] = {}

    def once(part: Any) -> orjson.Fragment:
        if id(part) not in made:
            made[id(part)] = orjson.Fragment(to_json(part))
        return made[id(part)]

    try:
        return orjson.dumps(value, once, orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return to_json(value)


def _no_graph(thread_id: str) -> Unprocessable:
    return Unprocessable(
        f"thread {thread_id} has no graph: no run was made on it",
        "make a run, or set graph_id in the thread's metadata",
        "thread_without_graph",
    )
