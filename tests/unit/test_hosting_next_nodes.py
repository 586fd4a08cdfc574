"""A thread goes on only where its graph still has the nodes that are next in the thread's checkpoint."""

import operator
from itertools import pairwise
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from serving.hosting.errors import GraphChanged
from serving.hosting.factory import Graph
from serving.hosting.next_nodes import require_next

CONFIG: RunnableConfig = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}


class State(TypedDict, total=False):
    done: Annotated[list[str], operator.add]


def asks(state: State) -> State:
    return {"done": [interrupt("?")]}


def nothing(state: State) -> State:
    return {}


def in_a_row(*nodes: str, asking: Any = asks) -> Graph:
    """The one before the last asks, or is a graph that does."""
    builder = StateGraph(State)
    for node in nodes:
        builder.add_node(node, asking if node == nodes[-2] else nothing)
    for before, behind in pairwise((START, *nodes)):
        builder.add_edge(before, behind)
    return builder.compile()


def sending(node: str) -> Graph:
    builder = StateGraph(State).add_node("plan", nothing).add_node(node, asks).add_edge(START, "plan")
    return builder.add_conditional_edges("plan", lambda _: [Send(node, {}), Send(node, {})], [node]).compile()


def joining(end: str) -> Graph:
    """Of the two that it waits for one is done when the other asks."""
    builder = StateGraph(State).add_node("left", nothing).add_node("right", asks).add_node(end, nothing)
    return builder.add_edge(START, "left").add_edge("left", "right").add_edge(["left", "right"], end).compile()


def within(*nodes: str) -> Graph:
    return in_a_row("begin", "deep", "end", asking=in_a_row(*nodes))


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        (in_a_row("a", "b", "c"), in_a_row("a", "other", "c"), "b"),
        (sending("each"), sending("other"), "each"),
        (joining("end"), joining("other"), "end"),
        (within("a", "b", "c"), within("a", "other", "c"), "b"),
    ],
    ids=["next", "sent to", "joined in", "within"],
)
async def test_a_node_that_is_next_and_is_no_more_is_named(before: Graph, now: Graph, lost: str) -> None:
    saver = InMemorySaver()
    await before.copy({"checkpointer": saver}).ainvoke({}, CONFIG)
    await require_next(before.copy({"checkpointer": saver}), "chat", CONFIG)
    with pytest.raises(GraphChanged, match=f"chat was to go on with {lost}, and"):
        await require_next(now.copy({"checkpointer": saver}), "chat", CONFIG)


async def test_a_thread_goes_on_although_what_is_behind_it_and_ahead_of_it_has_changed() -> None:
    saver = InMemorySaver()
    await in_a_row("a", "b", "c").copy({"checkpointer": saver}).ainvoke({}, CONFIG)
    now = in_a_row("x", "b", "y").copy({"checkpointer": saver})
    await require_next(now, "chat", CONFIG)
    assert await now.ainvoke(Command(resume="yes"), CONFIG) == {"done": ["yes"]}
    await require_next(now, "chat", CONFIG)


async def test_a_thread_without_a_checkpoint_has_nothing_to_go_on_with() -> None:
    await require_next(in_a_row("a", "b", "c").copy({"checkpointer": InMemorySaver()}), "chat", CONFIG)
