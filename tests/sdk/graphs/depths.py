"""A question at the bottom of two graphs within a graph, beside one that is asked at the top."""

import operator
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]


async def deep(state: State) -> State:
    return {"answers": [f"deep {interrupt({'question': 'how deep?'})}"]}


async def high(state: State) -> State:
    return {"answers": [f"high {interrupt({'question': 'how high?'})}"]}


def _within(name: str, graph: Any) -> Any:
    return StateGraph(State).add_node(name, graph).add_edge(START, name).compile()


graph = (
    StateGraph(State)
    .add_node("top", _within("middle", _within("bottom", deep)))
    .add_node("high", high)
    .add_edge(START, "top")
    .add_edge(START, "high")
    .compile()
)
