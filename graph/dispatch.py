"""Sends every ready step to a worker of its own; when all are settled, the critic's turn."""

from langgraph.types import Command, Send

from graph.channels import RunState
from graph.faults import point
from graph.ports import Deps
from graph.state import Plan
from graph.transcript import stopped_by
from graph.worker import work_for


async def dispatch(state: RunState, deps: Deps) -> Command[str]:
    if stopped_by(deps.events.history):
        return Command(goto="answer")
    settled = {id_ for id_, outcome in state["outcomes"].items() if outcome}
    ready = Plan.model_validate(state["plan"]).ready(settled)
    point("fan_out.ready")
    return Command(goto=[Send("work", work_for(state, step)) for step in ready] or "critic")
