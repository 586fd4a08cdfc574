"""A graph whose node waits for a process, by one of the ways there are; `mark` names it in its command line."""

import asyncio
import subprocess
import sys
import time
from typing import Literal

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

Way = Literal["in a thread", "on the loop", "blocking the loop", "left behind", "deaf and scattered", "asleep"]


class State(TypedDict, total=False):
    way: Way
    mark: str


def in_a_thread(state: State) -> None:
    subprocess.run(["sleep", state["mark"]], check=True)


async def on_the_loop(state: State) -> None:
    process = await asyncio.create_subprocess_shell(f"sleep {state['mark']} & wait")
    await process.wait()


async def blocking_the_loop(state: State) -> None:
    subprocess.run(["sleep", state["mark"]], check=False)  # noqa: ASYNC221 - the point of it


def left_behind(state: State) -> None:
    subprocess.Popen(["sh", "-c", f"sleep {state['mark']} &"]).wait()


def deaf_and_scattered(state: State) -> None:
    """Hears no SIGTERM, and a child of it leaves group and session."""
    again = f"import signal, subprocess; signal.signal(15, signal.SIG_IGN); subprocess.run({['sleep', state['mark']]})"
    alone = f"import subprocess; subprocess.run({['sleep', state['mark']]}, start_new_session=True)"
    beside = subprocess.Popen([sys.executable, "-c", alone])
    subprocess.run([sys.executable, "-c", again], check=False)
    beside.wait()


def asleep(state: State) -> None:
    time.sleep(1_000)


def onwards(state: State) -> Way:
    return state["way"]


def graph() -> StateGraph[State]:
    builder = StateGraph(State)
    for node in (in_a_thread, on_the_loop, blocking_the_loop, left_behind, deaf_and_scattered, asleep):
        builder.add_node(node.__name__.replace("_", " "), node)
    builder.add_conditional_edges(START, onwards)
    return builder
