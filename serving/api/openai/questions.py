"""What a hosted graph asks in LangChain's shape or Agent Inbox's, as approvals that a client of OpenAI's can answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph.ports import ApprovalDecision
from serving.errors import BadRequest, Conflict


@dataclass(frozen=True, slots=True)
class Question:
    """One action that a person may allow or forbid."""

    approval_id: str
    name: str
    arguments: Mapping[str, Any]


def questions_of(interrupt: Any) -> list[Question]:
    """In the interrupt's order; none where it asks in a shape of its own."""
    id_, value = str(interrupt.get("id")), interrupt.get("value")
    actions = [action for action in _actions(value) if isinstance(action, Mapping)]
    several = len(actions) > 1
    return [
        Question(f"{id_}-{at}" if several else id_, str(action.get("name") or action.get("action")), _given(action))
        for at, action in enumerate(actions, 1)
    ]


def resume_of(decisions: Sequence[ApprovalDecision], interrupts: Sequence[Any]) -> dict[str, Any]:
    """What the graph is resumed with, by interrupt; those of which nothing is said ask again.

    Raises Conflict for what nobody asks, BadRequest where an interrupt's actions are decided in part.
    """
    said = {str(decision.approval_id): decision for decision in decisions}
    resume: dict[str, Any] = {}
    for interrupt in interrupts:
        asked = [question.approval_id for question in questions_of(interrupt)]
        taken = [said.pop(id_) for id_ in asked if id_ in said]
        if taken and len(taken) < len(asked):
            hint = f"send an mcp_approval_response for each of: {', '.join(asked)}"
            raise BadRequest("the graph asks for these actions at once", hint, "decisions_missing")
        if taken:
            resume[str(interrupt["id"])] = _answer(interrupt["value"], taken)
    if said:
        mend = "GET the response to see how it stands"
        raise Conflict(f"nothing waits for an answer to {next(iter(said))[:80]!r}", mend, "no_decision_pending")
    return resume


def answers_in(resume: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `resume_of` made, as it was sent: (approval id, what was said)."""
    for id_, answer in resume.items():
        given = answer.get("decisions", [answer]) if isinstance(answer, Mapping) else answer
        for at, each in enumerate(given, 1):
            said = {"approve": each["type"] in ("approve", "accept"), "reason": each.get("message")}
            yield (f"{id_}-{at}" if len(given) > 1 else id_), said


def _actions(value: Any) -> Iterator[Any]:
    if isinstance(value, list):  # Agent Inbox: a list of requests
        for each in value:
            yield from _actions(each)
    elif isinstance(value, Mapping) and isinstance(value.get("action_requests"), list):
        yield from value["action_requests"]
    elif isinstance(value, Mapping) and "action_request" in value:
        yield value["action_request"]


def _given(action: Mapping[str, Any]) -> Mapping[str, Any]:
    given = action.get("args") or action.get("arguments")
    return given if isinstance(given, Mapping) else {}


def _answer(value: Any, decisions: Sequence[ApprovalDecision]) -> Any:
    """In the shape of the question."""
    if isinstance(value, Mapping) and "action_requests" in value:
        return {"decisions": [_decided(decision) for decision in decisions]}
    inbox = [{"type": "accept" if decision.type == "approve" else "ignore", "args": None} for decision in decisions]
    return inbox if isinstance(value, list) else inbox[0]


def _decided(decision: ApprovalDecision) -> dict[str, Any]:
    return {"type": decision.type, **({"message": decision.reason} if decision.reason else {})}
