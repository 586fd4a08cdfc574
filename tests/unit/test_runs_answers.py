"""Answers to what the agent asks, in every shape that clients send."""

from typing import Any

import pytest

from graph.events import EffectUnknown
from graph.ledger import EffectDecision
from graph.ports import ApprovalDecision, ApprovalRequest
from serving.errors import Conflict, Unprocessable
from serving.runs.decisions.answers import decisions_of


def asked(id_: str, name: str = "send_email") -> ApprovalRequest:
    return ApprovalRequest(
        id=id_, kind="tool", name=name, arguments={"to": "x"}, description="", digest="", expires_at=""
    )


def decided(resume: Any, waiting: list[ApprovalRequest]) -> dict[str, ApprovalDecision]:
    found = decisions_of(resume, waiting)
    return {id_: each for id_, each in found.items() if isinstance(each, ApprovalDecision)}


ONE, TWO = [asked("a1")], [asked("a1"), asked("a2", "write_file")]
EDIT = {"type": "edit", "edited_action": {"name": "send_email", "args": {"to": "y"}}}


@pytest.mark.parametrize(
    ("resume", "type_"),
    [
        ({"decisions": [{"type": "approve"}]}, "approve"),
        ({"decisions": [{"type": "reject", "message": "no"}]}, "reject"),
        ({"decisions": [EDIT]}, "edit"),
        ([{"type": "accept", "args": None}], "approve"),
        ({"type": "ignore"}, "reject"),
        ([{"type": "edit", "args": {"action": "send_email", "args": {"to": "y"}}}], "edit"),
        ([{"interruptId": "a1", "status": "resolved", "payload": {"type": "approve"}}], "approve"),
        ({"interruptId": "a1", "status": "cancelled"}, "reject"),
        ({"type": "approve", "approval_id": "a1"}, "approve"),
        ({"a1": {"decisions": [{"type": "approve"}]}}, "approve"),
        ({"2f74b4cf04136545c37bd4b30009bedf": "approve"}, "approve"),
        (True, "approve"),
        ("no", "reject"),
    ],
)
def test_one_question_is_answered_in_any_shape(resume: Any, type_: str) -> None:
    (decision,) = decided(resume, ONE).values()
    assert decision.type == type_
    assert decision.arguments == ({"to": "y"} if type_ == "edit" else None)


@pytest.mark.parametrize(
    ("resume", "types"),
    [
        ({"decisions": [{"type": "approve"}, {"type": "reject"}]}, {"a1": "approve", "a2": "reject"}),
        ([{"type": "accept"}, {"type": "ignore"}], {"a1": "approve", "a2": "reject"}),
        ({"a2": True}, {"a2": "approve"}),
        ({"a2": {"type": "approve"}, "a1": False}, {"a1": "reject", "a2": "approve"}),
        ([{"interruptId": "a2", "status": "resolved"}], {"a2": "approve"}),
        ({"type": "approve", "approval_id": "a2"}, {"a2": "approve"}),
    ],
)
def test_several_questions_are_answered_by_id_or_in_order(resume: Any, types: dict[str, str]) -> None:
    assert {id_: decision.type for id_, decision in decided(resume, TWO).items()} == types


@pytest.mark.parametrize(
    ("resume", "waiting"),
    [
        ({"type": "perhaps"}, ONE),
        (None, ONE),
        ({"decisions": []}, ONE),
        ({"type": "approve", "approval_id": "other"}, ONE),
        ({"decisions": [{"type": "edit", "edited_action": {"name": "delete_file", "args": {}}}]}, ONE),
        ({"type": "approve"}, TWO),
        ({"a1": True, "a3": True}, TWO),
    ],
)
def test_what_answers_no_question_is_refused_with_their_ids(resume: Any, waiting: list[ApprovalRequest]) -> None:
    with pytest.raises(Unprocessable, match="a1"):
        decisions_of(resume, waiting)


@pytest.mark.parametrize(
    ("text", "read"), [("[1, 2]", [1, 2]), ("not JSON", "not JSON"), ([3], [3])], ids=["json", "no json", "no text"]
)
def test_what_was_no_text_may_be_edited_as_text(text: Any, read: Any) -> None:
    question = asked("a1").model_copy(update={"arguments": {"to": "x", "rows": [1]}})
    edit = {"type": "edit", "args": {"action": "send_email", "args": {"to": "[7]", "rows": text}}}
    (decision,) = decided(edit, [question]).values()
    assert decision.arguments == {"to": "[7]", "rows": read}


@pytest.mark.parametrize(
    "resume",
    [
        {"decisions": [{"type": "approve"}, {"type": "reject"}]},
        [True, {"decision": "did_not"}],
        {"k1": "no", "a1": True},
        [{"interruptId": id_, "status": "resolved", "payload": said} for id_, said in (("k1", "no"), ("a1", True))],
    ],
)
def test_approvals_and_words_on_effects_are_answered_together(resume: Any) -> None:
    unknown = EffectUnknown(key="k1", step_id="s1", tool="send_email", arguments={}, reason="cut", round=1)
    found = decisions_of(resume, [*ONE, unknown])
    assert (type(found["a1"]), found["k1"]) == (ApprovalDecision, EffectDecision(decision="did_not"))


def test_an_answer_that_nobody_waits_for_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        decisions_of(True, [])
