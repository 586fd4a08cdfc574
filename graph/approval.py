"""How a person's decision comes in: asked once, bound to one request, understood in every shape that clients send."""

from collections.abc import Mapping, Sequence
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


def card(
    name: str, arguments: dict[str, Any], description: str, allowed: Sequence[str], *, ignorable: bool
) -> dict[str, Any]:
    """LangChain's HITL request for one action; and the same in Agent Inbox's shape, which older pages know alone."""
    action = {"name": name, "args": arguments, "description": description}
    may = {"allow_accept": True, "allow_edit": "edit" in allowed, "allow_respond": True, "allow_ignore": ignorable}
    return {
        "action_requests": [action],
        "review_configs": [{"action_name": name, "allowed_decisions": list(allowed)}],
        "action_request": {"action": name, "args": arguments},
        "config": may,
        "description": description,
    }


def interrupt_payload(request: ApprovalRequest) -> dict[str, Any]:
    """With our id, expiry and the JSON Schema of an answer."""
    allowed = ("approve", "edit", "reject")
    return {
        **card(request.name, request.arguments, request.description, allowed, ignorable=True),
        "id": request.id,
        "kind": request.kind,
        "expires_at": request.expires_at,
        "response_schema": {
            "type": "object",
            "properties": {
                "type": {"enum": list(allowed)},
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
    given = flat(value)
    return None if given is None else _from_mapping(given, name)


def flat(value: Any) -> dict[str, Any] | None:
    """One answer without what clients wrap around it, as a mapping; `approval_id` is the question that it names."""
    if isinstance(value, bool):
        return {"type": "approve" if value else "reject"}
    if isinstance(value, str):
        return {"type": value.strip().lower()}
    if isinstance(value, list):
        return flat(value[0]) if len(value) == 1 else None
    if not isinstance(value, Mapping):
        return None
    if "decisions" in value:
        return _named(flat(value["decisions"]), value.get("approval_id"), inner_first=True)
    if "interruptId" in value:
        answered = value.get("status") == "resolved"
        return _named(flat(value.get("payload", True) if answered else "ignore"), value["interruptId"])
    return dict(value)


def _named(given: dict[str, Any] | None, outer: Any, *, inner_first: bool = False) -> dict[str, Any] | None:
    if given is None:
        return None
    inner = given.get("approval_id") if inner_first else None
    return {**given, "approval_id": inner or (outer and str(outer))}


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
