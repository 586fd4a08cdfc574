"""A graph that keeps what it hears in the store, and reads it back in a node that isn't async."""

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict


class Found(TypedDict, total=False):
    """What a caller is told of the state."""

    found: list[str]


class State(Found, total=False):
    shelf: str
    text: str


async def keep(state: State, runtime: Runtime[None]) -> State:
    assert runtime.store is not None
    await runtime.store.aput((state["shelf"],), "heard", {"text": state["text"]})
    return {}


def look(state: State, runtime: Runtime[None]) -> State:
    assert runtime.store is not None
    items = runtime.store.search((state["shelf"],))
    return {"found": [item.value["text"] for item in items if item.namespace == (state["shelf"],)]}


graph = StateGraph(State, output_schema=Found).add_sequence([keep, look]).add_edge(START, "keep").compile()
