"""The graph: recall -> plan -> [review by a person] -> steps in parallel -> critic -> answer -> remember.

The same graph runs in our worker (Deps come as LangGraph's runtime context) and in Studio (a `Host` makes them).
It is exported without a checkpointer; whoever runs it brings one.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import ExecutionInfo, Runtime

from graph.answer import answer, remember
from graph.channels import RunState
from graph.critic import review
from graph.dispatch import dispatch
from graph.plan_review import review_plan
from graph.planner import plan, recall
from graph.ports import Deps
from graph.state import Verdict
from graph.worker import work

RunGraph = StateGraph[RunState, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Host:
    """What stands in for our worker where somebody else's server runs the graph.

    `deps` is entered around every node; `receive` is the node that takes in what a caller typed, and redacts it.
    `accepts` and `returns` are the TypedDicts that callers see.
    """

    deps: Callable[[Any, ExecutionInfo], AbstractAsyncContextManager[Deps]]
    receive: Callable[[RunState, ExecutionInfo], Awaitable[RunState]]
    accepts: type
    returns: type


def build(host: Host | None = None) -> RunGraph:
    """The uncompiled graph. Without a `host` it is run with `context=Deps(...)` on redacted input."""
    graph = _empty(host)
    graph.add_node("recall", _bound(recall, host))
    graph.add_node("plan", _bound(plan, host))
    graph.add_node("review_plan", _bound(review_plan, host))
    graph.add_node("dispatch", _bound(dispatch, host), destinations=("work", "critic", "answer"))
    graph.add_node("work", _bound(work, host))
    graph.add_node("critic", _bound(review, host))
    graph.add_node("answer", _bound(answer, host))
    graph.add_node("remember", _bound(remember, host))
    graph.add_edge("recall", "plan")
    graph.add_conditional_edges("plan", _after_plan, ["review_plan", "dispatch", "answer"])
    graph.add_conditional_edges("review_plan", _after_review_plan, ["plan", "dispatch"])
    graph.add_edge("work", "dispatch")
    graph.add_conditional_edges("critic", _after_critic, ["plan", "dispatch", "answer"])
    graph.add_edge("answer", "remember")
    graph.add_edge("remember", END)
    return graph


def _empty(host: Host | None) -> RunGraph:
    """Everything up to the edge that leads to `recall`."""
    if host is None:
        graph: RunGraph = StateGraph(RunState, context_schema=Any)
        graph.add_edge(START, "recall")
        return graph
    hosted: RunGraph = StateGraph(RunState, input_schema=host.accepts, output_schema=host.returns)
    receive = host.receive

    async def take_in(state: RunState, runtime: Runtime[Any]) -> RunState:
        return await receive(state, _execution(runtime))

    hosted.add_node("receive", take_in)
    hosted.add_edge(START, "receive")
    hosted.add_edge("receive", "recall")
    return hosted


def _bound(node: Callable[[Any, Deps], Awaitable[Any]], host: Host | None) -> Any:
    async def run(state: Any, runtime: Runtime[Any]) -> Any:
        if host is not None:
            async with host.deps(state, _execution(runtime)) as deps:
                return await node(state, deps)
        if not isinstance(runtime.context, Deps):
            raise TypeError("run this graph with context=Deps(...)")
        return await node(state, runtime.context)

    return run


def _execution(runtime: Runtime[Any]) -> ExecutionInfo:
    assert runtime.execution_info is not None, "LangGraph sets it around every node"
    return runtime.execution_info


def _after_plan(state: RunState) -> str:
    if not state.get("plan"):
        return "answer"
    return "review_plan" if state.get("review_plan") else "dispatch"


def _after_review_plan(state: RunState) -> str:
    verdict = state.get("verdict")
    return "plan" if verdict and Verdict.model_validate(verdict).decision == "replan" else "dispatch"


def _after_critic(state: RunState) -> str:
    verdict = state.get("verdict")
    decision = Verdict.model_validate(verdict).decision if verdict else "give_up"
    return {"replan": "plan", "revise": "dispatch"}.get(decision, "answer")
