"""What the tests of checkpoints share: a claimed run, a saver, and a small graph with all that savers must bear."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from operator import add
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, empty_checkpoint
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send, interrupt

from serving.database import Pool, new_id, open_pool
from serving.runs.checkpoints import PostgresSaver
from tests.integration.ledger_rows import make_run
from tests.integration.run_house import KEY


class State(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]
    found: Annotated[list[str], add]
    plan: dict[str, Any]
    step: int


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Pool]:
    async with open_pool(dsn, largest=6) as pool:
        yield pool


def claim(dsn: str, fence: int = 1) -> tuple[str, str]:
    """(run id, thread id) of a run that is running."""
    thread_id = new_id()
    return make_run(dsn, fence=fence, thread_id=thread_id), thread_id


def saver(pool: Pool, run_id: str | None = None, fence: int | None = None, **options: Any) -> PostgresSaver:
    return PostgresSaver(pool, run_id, fence, **{"key": KEY, **options})


def config(thread_id: str | None = None, checkpoint_id: str | None = None) -> Any:
    place = {"thread_id": thread_id or str(uuid.uuid4()), "checkpoint_ns": ""}
    return {"configurable": {**place, "checkpoint_id": checkpoint_id} if checkpoint_id else place}


def checkpoint(**values: Any) -> Checkpoint:
    return {**empty_checkpoint(), "channel_values": values, "channel_versions": dict.fromkeys(values, 1)}


async def put(saver: PostgresSaver, at: Any, **values: Any) -> Any:
    made = checkpoint(**values)
    return await saver.aput(at, made, {"source": "loop", "step": 1}, made["channel_versions"])


def compiled(saver: BaseCheckpointSaver[Any]) -> Any:
    """plan -> two searches at once -> a subgraph that asks a person -> answer."""

    async def plan(state: State) -> State:
        return {"plan": {"steps": ["a", "b"], "odd": "\ud800\x00", "pair": [1, 2**70]}, "step": 1}

    async def fan_out(state: State) -> list[Send]:
        return [Send("search", {"step": at}) for at in (1, 2)]

    async def search(state: State) -> State:
        return {"found": [f"result {state['step']} " + "x" * 200], "messages": [AIMessage("y" * 200)]}

    async def ask(state: State) -> State:
        return {"messages": [HumanMessage(interrupt({"question": "go on?"}))]}

    async def answer(state: State) -> State:
        return {"messages": [AIMessage("done")], "step": state["step"] + 1}

    inner = StateGraph(State)
    inner.add_node("ask", ask)
    inner.add_edge(START, "ask")
    graph = StateGraph(State)
    for name, node in (("plan", plan), ("search", search), ("answer", answer)):
        graph.add_node(name, node)
    graph.add_node("review", inner.compile())
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", fan_out, ["search"])
    graph.add_edge("search", "review")
    graph.add_edge("review", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=saver)
