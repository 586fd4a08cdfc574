"""A graph that is made for each use, as an async context manager, from the config and the server's runtime."""

import operator
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel
from typing_extensions import TypedDict


@dataclass
class Ship:
    """The context of a run."""

    name: str = "Argo"


class Knot(BaseModel):
    """A value of the user's own type in the state."""

    speed: int


class State(TypedDict, total=False):
    words: Annotated[list[str], operator.add]
    knot: Knot


def _builder(suffix: str, counting: str = "count") -> StateGraph[State, Ship, Any, Any]:
    async def say(state: State, runtime: Runtime[Ship]) -> State:
        ship = runtime.context.name if runtime.context else "no ship"
        return {"words": [f"{word}{suffix}" for word in state.get("words", [])] + [ship], "knot": Knot(speed=7)}

    async def count(state: State) -> State:
        return {"words": [str(len(state["words"])), str(state["knot"].speed)]}

    builder = StateGraph(State, context_schema=Ship)
    builder.add_node("say", say)
    builder.add_node(counting, count)
    builder.add_edge(START, "say")
    builder.add_edge("say", counting)
    builder.add_edge(counting, END)
    return builder


@asynccontextmanager
async def graph(
    config: RunnableConfig, runtime: ServerRuntime[Ship]
) -> AsyncIterator[StateGraph[State, Ship, Any, Any]]:
    running = runtime.execution_runtime is not None
    asked = config["configurable"]
    yield _builder(asked.get("suffix", "!") if running else "", asked.get("counting", "count"))
