"""A decision is understood in every shape that clients send, and in no other."""

from typing import Any

import pytest

from graph.approval import interrupt_payload, read_decision
from graph.ports import ApprovalRequest

ARGUMENTS = {"to": "[EMAIL_1]", "subject": "Hi"}
EDIT = {"type": "edit", "arguments": ARGUMENTS, "reason": ""}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, {"type": "approve"}),
        (False, {"type": "reject"}),
        (" Approve ", {"type": "approve"}),
        ("no", {"type": "reject"}),
        ({"type": "approve", "by": "ops", "approval_id": "a1"}, {"type": "approve", "by": "ops", "approval_id": "a1"}),
        ({"type": "edit", "arguments": ARGUMENTS}, EDIT),
        ({"type": "reject", "reason": "wrong person"}, {"type": "reject", "reason": "wrong person"}),
        ({"decisions": [{"type": "approve"}]}, {"type": "approve"}),
        ({"decisions": [{"type": "approve"}], "approval_id": "a1"}, {"type": "approve", "approval_id": "a1"}),
        ({"decisions": [{"type": "edit", "edited_action": {"name": "send_email", "args": ARGUMENTS}}]}, EDIT),
        ({"decisions": [{"type": "reject", "message": "not now"}]}, {"type": "reject", "reason": "not now"}),
        ({"decisions": [{"type": "respond", "message": "ask Bo"}]}, {"type": "reject", "reason": "ask Bo"}),
        ([{"type": "accept", "args": None}], {"type": "approve"}),
        ([{"type": "accept", "args": {"action": "send_email", "args": ARGUMENTS}}], {"type": "approve"}),
        ([{"type": "edit", "args": {"action": "send_email", "args": ARGUMENTS}}], EDIT),
        ([{"type": "ignore", "args": None}], {"type": "reject"}),
        ([{"type": "response", "args": "too long"}], {"type": "reject", "reason": "too long"}),
        ({"interruptId": "a1", "status": "resolved"}, {"type": "approve", "approval_id": "a1"}),
        (
            {"interruptId": "a1", "status": "resolved", "payload": {"type": "reject", "reason": "no"}},
            {"type": "reject", "reason": "no", "approval_id": "a1"},
        ),
        ({"interruptId": "a1", "status": "cancelled"}, {"type": "reject", "approval_id": "a1"}),
    ],
)
def test_every_known_shape_is_read(value: Any, expected: dict[str, Any]) -> None:
    decision = read_decision(value, "send_email")
    assert decision is not None
    given = decision.model_dump()
    assert {**given, **expected} == given
    assert decision.arguments == expected.get("arguments")
    assert decision.approval_id == expected.get("approval_id")


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "perhaps",
        [],
        [{"type": "accept"}, {"type": "accept"}],
        {},
        {"type": "approved!"},
        {"type": "edit"},
        {"type": "edit", "arguments": "everything"},
        {"decisions": []},
        {"decisions": [{"type": "approve"}, {"type": "approve"}]},
        {"decisions": [{"type": "edit", "edited_action": {"name": "delete_all", "args": {}}}]},
        [{"type": "edit", "args": {"action": "delete_all", "args": {}}}],
        {"type": "approve", "by": ["a", "list"]},
    ],
)
def test_anything_else_is_no_decision(value: Any) -> None:
    assert read_decision(value, "send_email") is None


def test_the_question_is_langchains_hitl_request_and_agent_inboxs_with_id_expiry_and_the_schema_of_an_answer() -> None:
    request = ApprovalRequest(
        id="a1",
        kind="tool",
        name="send_email",
        arguments=ARGUMENTS,
        description="Step s1 asks to send",
        digest="d",
        expires_at="2026-11-28T00:00:00+00:00",
    )
    payload = interrupt_payload(request)
    assert payload["action_requests"] == [
        {"name": "send_email", "args": ARGUMENTS, "description": "Step s1 asks to send"}
    ]
    assert payload["review_configs"] == [
        {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject"]}
    ]
    assert payload["action_request"] == {"action": "send_email", "args": ARGUMENTS}
    assert set(payload["config"].values()) == {True}
    assert payload["description"] == "Step s1 asks to send"
    assert (payload["id"], payload["expires_at"]) == ("a1", "2026-11-28T00:00:00+00:00")
    assert payload["response_schema"]["properties"]["approval_id"] == {"const": "a1"}
