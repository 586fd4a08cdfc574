"""A graph in a graph in a graph, then two nodes side by side that each ask a person."""

import asyncio
import operator
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    path: Annotated[list[str], operator.add]
    answers: Annotated[list[str], operator.add]
    pause: float


def _deepest() -> Any:
    async def dive(state: State) -> State:
        return {"path": ["dive"]}

    return StateGraph(State).add_node("dive", dive).add_edge(START, "dive").compile()


def _middle() -> Any:
    async def sink(state: State) -> State:
        return {"path": ["sink"]}

    return (
        StateGraph(State)
        .add_node("sink", sink)
        .add_node("deep", _deepest())
        .add_edge(START, "sink")
        .add_edge("sink", "deep")
        .compile()
    )


async def begin(state: State) -> State:
    await asyncio.sleep(state.get("pause", 0))
    return {"path": ["begin"]}


async def left(state: State) -> State:
    return {"answers": [f"left {interrupt({'question': 'go left?'})}"]}


async def right(state: State) -> State:
    return {"answers": [f"right {interrupt({'question': 'go right?'})}"]}


async def end(state: State) -> Command[Any]:
    return Command(update={"path": ["end"]}, goto=END)


_builder = StateGraph(State)
_builder.add_node("begin", begin)
_builder.add_node("middle", _middle())
_builder.add_node("left", left)
_builder.add_node("right", right)
_builder.add_node("end", end)
_builder.add_edge(START, "begin")
_builder.add_edge("begin", "middle")
_builder.add_edge("middle", "left")
_builder.add_edge("middle", "right")
_builder.add_edge(["left", "right"], "end")
graph = _builder
