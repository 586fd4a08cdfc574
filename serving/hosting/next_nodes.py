"""Where a thread's graph goes on: LangGraph passes over nodes that another version had without a word."""

from typing import Any, Final

from langchain_core.runnables import RunnableConfig

from serving.hosting.errors import GraphChanged
from serving.hosting.factory import Graph

_WAYS: Final = ("branch:to:", "join:")  # of LangGraph's channels, those that lead to the node they end in
_SENDS: Final = "__pregel_tasks"


async def require_next(graph: Graph, named: str, config: RunnableConfig) -> None:
    """Raises GraphChanged where a node that is next in the checkpoint is no more, in the graph or one within it."""
    if lost := await _lost(graph, graph, config):
        nodes = ", ".join(sorted(set(lost)))
        raise GraphChanged(
            f"graph {named} was to go on with {nodes}, and this version of it has no such node",
            "start a worker of the version it began with and resume the run, or start a new run",
        )


async def _lost(outermost: Graph, graph: Graph, config: RunnableConfig) -> list[str]:
    saver: Any = outermost.checkpointer
    found = await saver.aget_tuple(config)
    values = found.checkpoint["channel_values"] if found else {}
    ways = [name for name, value in values.items() if name.startswith(_WAYS) and value != set()]
    lost = [name.rpartition(":")[2] for name in ways if name not in graph.channels]
    lost += [send.node for send in values.get(_SENDS, ()) if send.node not in graph.nodes]
    within: dict[str, Any] = dict(graph.get_subgraphs())
    if within:
        for task in (await outermost.aget_state(config)).tasks:
            if isinstance(task.state, dict):
                lost += await _lost(outermost, within[task.name], task.state)
    return lost
