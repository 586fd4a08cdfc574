"""The pause before execution: a person approves the plan, edits it, or turns it down with a reason."""

import hashlib
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from graph.approval import decide
from graph.channels import RunState
from graph.events import Noted, PlanEdited
from graph.ports import ApprovalRequest, Deps
from graph.state import Plan, Verdict
from graph.transcript import newest_plan


async def review_plan(state: RunState, deps: Deps) -> RunState:
    """Leaves the plan to carry out, or a `replan` verdict with the person's reason."""
    plan = Plan.model_validate(state["plan"])
    decision = await decide(deps.approvals, _request(state["round"], plan, deps.approval_ttl_s))
    if decision.type == "approve":
        return {"verdict": None}
    if decision.type == "reject":
        return _turned_down(state, decision.reason or "the person turned the plan down")
    try:
        edited = Plan.model_validate(decision.arguments)
    except ValidationError as error:
        await deps.events.append(Noted(code="bad_plan", message=str(error.errors()[0]["msg"])))
        return _turned_down(state, "the person's edit of the plan was not a valid plan")
    if edited != newest_plan(deps.events.history):
        await deps.events.append(PlanEdited(plan=edited, by=decision.by))
    return {"plan": edited.model_dump(mode="json"), "verdict": None}


def _turned_down(state: RunState, reason: str) -> RunState:
    verdict = Verdict(decision="replan", reasons=(reason,))
    return {"verdict": verdict.model_dump(mode="json"), "round": state["round"] + 1}


def _request(round_: int, plan: Plan, ttl_s: float) -> ApprovalRequest:
    return ApprovalRequest(
        id=f"plan-{round_ + 1}",
        kind="plan",
        name="execute_plan",
        arguments=plan.model_dump(mode="json"),
        description=f"Carry out a plan of {len(plan.steps)} step{'s' * (len(plan.steps) > 1)}",
        digest=hashlib.sha256(plan.model_dump_json().encode()).hexdigest(),
        expires_at=(datetime.now(UTC) + timedelta(seconds=ttl_s)).isoformat(),
    )
