"""How a person's decision comes in: asked once, bound to one request, understood in every shape that clients send."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from graph.faults import point
from graph.ports import ApprovalDecision, ApprovalRequest, Approvals

_TYPES = {
    **dict.fromkeys(("approve", "accept", "yes"), "approve"),
    **dict.fromkeys(("reject", "respond", "response", "ignore", "no"), "reject"),
    "edit": "edit",
}


async def decide(approvals: Approvals, request: ApprovalRequest) -> ApprovalDecision:
    """The decision on `request`; pauses the run by LangGraph's interrupt until there is one.

    A value that can't be read or belongs to another request is not taken: it asks again. Where decisions rest in rows
    (`approvals.decisions_rest_in_rows`), what a resume carries only wakes the run and never decides.
    """
    from langgraph.types import interrupt

    point("interrupt.ready")
    recorded = await approvals.request(request)
    point("interrupt.recorded")
    rows_decide = getattr(approvals, "decisions_rest_in_rows", False)
    while recorded is None:
        spoken = read_decision(interrupt(interrupt_payload(request)), request.name)
        if not rows_decide and spoken and spoken.approval_id in (None, request.id):
            return spoken
    return recorded


def interrupt_payload(request: ApprovalRequest) -> dict[str, Any]:
    """LangChain's HITL request for one action, with our id, expiry and the JSON Schema of an answer; and the same in
    Agent Inbox's shape, which older chat pages know alone."""
    allowed = ["approve", "edit", "reject"]
    action = {"name": request.name, "args": request.arguments, "description": request.description}
    return {
        "action_requests": [action],
        "review_configs": [{"action_name": request.name, "allowed_decisions": allowed}],
        "action_request": {"action": request.name, "args": request.arguments},
        "config": dict.fromkeys(("allow_accept", "allow_edit", "allow_respond", "allow_ignore"), True),
        "description": request.description,
        "id": request.id,
        "kind": request.kind,
        "expires_at": request.expires_at,
        "response_schema": {
            "type": "object",
            "properties": {
                "type": {"enum": allowed},
                "approval_id": {"const": request.id},
                "arguments": {"type": "object", "description": "for edit: the arguments to use instead"},
                "reason": {"type": "string"},
            },
            "required": ["type"],
        },
    }


def read_decision(value: Any, name: str) -> ApprovalDecision | None:
    """A decision about the action `name` from our own shape, LangChain HITL, Agent Inbox, AG-UI, a bool or a word.

    None when it is none of them, or an edit of another action.
    """
    if isinstance(value, bool):
        return ApprovalDecision(type="approve" if value else "reject")
    if isinstance(value, str):
        value = {"type": value.strip().lower()}
    if isinstance(value, list):
        return read_decision(value[0], name) if len(value) == 1 else None
    if not isinstance(value, Mapping):
        return None
    if "decisions" in value:
        inner = read_decision(value["decisions"], name)
        outer = value.get("approval_id")
        return inner and inner.model_copy(update={"approval_id": inner.approval_id or (outer and str(outer))})
    if "interruptId" in value:
        return _from_ag_ui(value, name)
    return _from_mapping(value, name)


def _from_ag_ui(value: Mapping[str, Any], name: str) -> ApprovalDecision | None:
    answered = value.get("status") == "resolved"
    inner = read_decision(value.get("payload", True) if answered else False, name)
    return inner and inner.model_copy(update={"approval_id": str(value["interruptId"])})


def _from_mapping(value: Mapping[str, Any], name: str) -> ApprovalDecision | None:
    type_ = _TYPES.get(str(value.get("type")))
    action, arguments = _edited(value)
    if type_ is None or (type_ == "edit" and (arguments is None or action not in (None, name))):
        return None
    reason = value.get("reason") or value.get("message") or value.get("args")
    fields = {
        "type": type_,
        "arguments": arguments if type_ == "edit" else None,
        "reason": reason if isinstance(reason, str) else "",
        "by": value.get("by") or "",
        "approval_id": value.get("approval_id"),
    }
    try:
        return ApprovalDecision.model_validate(fields)
    except ValidationError:
        return None


def _edited(value: Mapping[str, Any]) -> tuple[str | None, dict[str, Any] | None]:
    """(action, arguments) of an edit: ours under `arguments`, HITL `edited_action`, Agent Inbox `args`."""
    if isinstance(value.get("arguments"), Mapping):
        return None, dict(value["arguments"])
    edited = value.get("edited_action") or value.get("args")
    if not isinstance(edited, Mapping) or not isinstance(edited.get("args"), Mapping):
        return None, None
    action = edited.get("name") or edited.get("action")
    return (None if action is None else str(action)), dict(edited["args"])
