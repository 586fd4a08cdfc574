"""A graph that takes its time: step after step, cancellable or not; it can fail, quit, block the loop, or hold from its
16th step on, until the file `hold` is there."""

import asyncio
import operator
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class State(TypedDict, total=False):
    steps: int
    delay: float
    fail_at: int
    garbled: int
    quit_at: int
    block: float
    stubborn: bool
    hold: str
    done: Annotated[int, operator.add]


async def step(state: State) -> State:
    done = state.get("done", 0) + 1
    get_stream_writer()({"step": done})
    await (stubborn if state.get("stubborn") else asyncio.sleep)(state.get("delay", 0.0))
    if blocked := state.get("block"):
        time.sleep(blocked)  # noqa: ASYNC251 - the point of it
    while done > 15 and "hold" in state and not Path(state["hold"]).exists():
        await asyncio.sleep(0.02)
    if done == state.get("fail_at"):
        raise ValueError("the mast broke" + "\0\ud800" * state.get("garbled", 0))
    if done == state.get("quit_at"):
        sys.exit("nobody at the helm")
    return {"done": 1}


async def stubborn(seconds: float) -> None:
    """Doesn't hear that it is to stop."""
    until = time.monotonic() + seconds
    while (rest := until - time.monotonic()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(rest)


def onwards(state: State) -> Literal["step", "__end__"]:
    return "step" if state["done"] < state.get("steps", 3) else "__end__"


def graph() -> StateGraph[State]:
    builder = StateGraph(State)
    builder.add_node("step", step)
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", onwards)
    return builder
