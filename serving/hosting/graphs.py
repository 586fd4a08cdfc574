"""The graphs that a process hosts, by id. Each is loaded when it is first needed, in a thread; one that fails is named
with its error, and the others serve."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from serving.auth.user import USER, in_graph
from serving.hosting.config import AGENT, GraphEntry, Hosting
from serving.hosting.errors import GraphFailed, UnknownGraph
from serving.hosting.load import load_object

if TYPE_CHECKING:
    from serving.hosting.factory import Access, Graph

log = logging.getLogger(__name__)
_AGENT = GraphEntry(path="graph.build:build", description="Planner, worker and critic over a collection of documents")


class Graphs:
    """One for each process. The agent is one of them, for those who look at it; its runs go their own way."""

    def __init__(self, hosting: Hosting | None = None) -> None:
        self.hosting = hosting
        self.entries: Mapping[str, GraphEntry] = {AGENT: _AGENT, **(hosting.graphs if hosting else {})}
        self.failed: dict[str, str] = {}
        self._sources: dict[str, asyncio.Task[Any]] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.entries)

    def entry(self, graph_id: str) -> GraphEntry:
        """Raises UnknownGraph."""
        if graph_id not in self.entries:
            known = ", ".join(self.entries)
            raise UnknownGraph(f"graph {graph_id[:100]!r} not found", f"graphs here: {known}")
        return self.entries[graph_id]

    @asynccontextmanager
    async def opened(
        self, graph_id: str, access: "Access", config: Any = None, *, store: Any = None, context: Any = None
    ) -> "AsyncIterator[Graph]":
        """The graph for one use: factories are called with `config` and a ServerRuntime, and closed behind the block.

        It has no checkpointer and no store; give it those with `graph.copy(update=...)`. Raises UnknownGraph,
        GraphFailed.
        """
        from serving.hosting.factory import opened, runtime_for

        configurable = in_graph((config or {}).get("configurable") or {})
        source, runtime = await self._source(graph_id), runtime_for(access, store, context, configurable.get(USER))
        given = {**(config or {}), "configurable": configurable}
        async with opened(source, f"graph {graph_id}", given, runtime) as graph:
            yield graph

    async def load_all(self) -> None:
        """Loads them one after another, before somebody waits for one; `failed` says which have failed, and why."""
        for graph_id in self.ids:
            try:
                await self._source(graph_id)
            except GraphFailed as error:
                log.error("action=load graph=%s error=%s", graph_id, error)

    async def _source(self, graph_id: str) -> Any:
        """Loading is the process's work: whoever waits for it may go away."""
        entry = self.entry(graph_id)
        if graph_id not in self._sources:
            self._sources[graph_id] = asyncio.create_task(asyncio.to_thread(self._load, entry))
        try:
            return await asyncio.shield(self._sources[graph_id])
        except GraphFailed as error:
            self.failed[graph_id] = str(error)
            raise GraphFailed(f"graph {graph_id}: {error.message}", error.hint) from error

    def _load(self, entry: GraphEntry) -> Any:
        from serving.hosting.factory import compiled

        if entry is _AGENT or self.hosting is None:
            from graph.build import build

            return build().compile()
        found = load_object(entry.path, self.hosting.folder, self.hosting.roots)
        return compiled(found, entry.path)
