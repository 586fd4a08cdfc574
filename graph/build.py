"""The graph: recall -> plan -> [review by a person] -> steps in parallel -> critic -> answer -> remember.

The same graph runs in our worker (Deps come as LangGraph's runtime context) and in Studio (`default` makes them).
It is exported without a checkpointer; whoever runs it brings one.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.answer import answer, remember
from graph.channels import RunState
from graph.critic import review
from graph.dispatch import dispatch
from graph.plan_review import review_plan
from graph.planner import plan, recall
from graph.ports import Deps
from graph.state import Verdict
from graph.worker import work

DefaultDeps = Callable[[], Awaitable[Deps]]
RunGraph = StateGraph[RunState, Any, RunState, RunState]


def build(default: DefaultDeps | None = None) -> RunGraph:
    """The uncompiled graph. `default` makes Deps where the caller brings none as context."""
    graph: RunGraph = StateGraph(RunState, context_schema=Any)
    graph.add_node("recall", _bound(recall, default))
    graph.add_node("plan", _bound(plan, default))
    graph.add_node("review_plan", _bound(review_plan, default))
    graph.add_node("dispatch", _bound(dispatch, default), destinations=("work", "critic", "answer"))
    graph.add_node("work", _bound(work, default))
    graph.add_node("critic", _bound(review, default))
    graph.add_node("answer", _bound(answer, default))
    graph.add_node("remember", _bound(remember, default))
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "plan")
    graph.add_conditional_edges("plan", _after_plan, ["review_plan", "dispatch", "answer"])
    graph.add_conditional_edges("review_plan", _after_review_plan, ["plan", "dispatch"])
    graph.add_edge("work", "dispatch")
    graph.add_conditional_edges("critic", _after_critic, ["plan", "dispatch", "answer"])
    graph.add_edge("answer", "remember")
    graph.add_edge("remember", END)
    return graph


def _bound(node: Callable[[Any, Deps], Awaitable[Any]], default: DefaultDeps | None) -> Any:
    async def run(state: Any, runtime: Runtime[Any]) -> Any:
        deps = runtime.context
        if not isinstance(deps, Deps):
            if default is None:
                raise TypeError("run this graph with context=Deps(...)")
            deps = await default()
        return await node(state, deps)

    return run


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
