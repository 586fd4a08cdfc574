"""Graphs that keep no states of their own, one called and one awaited in a node."""

import operator
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    path: Annotated[list[str], operator.add]


def _unsaved(name: str) -> Any:
    def step(state: State) -> State:
        return {"path": [name]}

    builder = StateGraph(State).add_sequence([(f"{name} first", step), (f"{name} then", step)])
    return builder.add_edge(START, f"{name} first").compile(checkpointer=False)


_called, _awaited = _unsaved("called"), _unsaved("awaited")


def call(state: State) -> State:
    return {"path": _called.invoke({"path": []})["path"]}


async def wait(state: State) -> State:
    return {"path": (await _awaited.ainvoke({"path": []}))["path"]}


graph = StateGraph(State).add_sequence([call, wait]).add_edge(START, "call").compile()
