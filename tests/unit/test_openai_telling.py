"""What a chat client is told of a log: an answer that only grows, whatever came of attempts; what a reply means."""

import pytest

from graph.ports import ApprovalDecision
from graph.profile import Profile
from serving.api.openai.hosted_answers import resume_by
from serving.api.openai.questions import answers_in, questions_of, resume_of
from serving.api.openai.telling import Telling, Words
from serving.api.openai.waiting import reply_of
from serving.errors import BadRequest, Conflict


def told(*bodies: tuple[str, bool]) -> str:
    """The text of answer deltas (text, whether it begins), the last one being the answer as it was written."""
    telling, text = Telling(Profile(progress="none")), ""
    lines = [("answer_delta", {"text": piece, "begins": begins}) for piece, begins in bodies[:-1]]
    lines.append(("answer_written", {"answer": {"text": bodies[-1][0], "sources": []}}))
    for kind, body in lines:
        text += "".join(part.text for part in telling.line(kind, body) if isinstance(part, Words))
    return text


def test_pieces_join_to_the_answer() -> None:
    assert told(("It is ", True), ("42", False), ("It is 42.", False)) == "It is 42."


def test_an_attempt_that_tells_the_same_again_is_silent_until_it_has_come_as_far() -> None:
    again = (("It is 4", True), ("It ", True), ("is ", False), ("42", False), ("It is 42.", False))
    assert told(*again) == "It is 42."


def test_an_attempt_that_tells_otherwise_is_told_whole_at_the_end() -> None:
    assert told(("Maybe 7", True), ("It is ", True), ("42.", False), ("It is 42.", False)) == "Maybe 7\n\nIt is 42."


def test_an_answer_without_deltas_is_told_whole() -> None:
    assert told(("It is 42.", False)) == "It is 42."


@pytest.mark.parametrize("text", ["approve", " Approve. ", "YES", "yes!"])
def test_a_plain_yes_approves(text: str) -> None:
    decision = reply_of(text)
    assert decision is not None
    assert decision.type == "approve"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("reject", ""), ("No.", ""), ("reject: wrong person", "wrong person"), ("Reject, a\nb", "a\nb")],
)
def test_a_plain_no_rejects_with_its_reason(text: str, reason: str) -> None:
    decision = reply_of(text)
    assert decision is not None
    assert (decision.type, decision.reason) == ("reject", reason)


@pytest.mark.parametrize(
    "text", ["", "approve it for Bob only", "no problem, go ahead", "yes, but later", "rejected?", "approves", "Why?"]
)
def test_anything_else_decides_nothing(text: str) -> None:
    assert reply_of(text) is None


TWO = {"id": "i", "value": {"action_requests": [{"name": "send", "args": {"to": "bo"}}, {"name": "pay"}]}}
INBOX = {"id": "o", "value": [{"action_request": {"action": "send", "args": {"to": "bo"}}, "config": {}}]}
OWN = {"id": "x", "value": {"question": "go left?"}}


def test_what_a_graph_asks_is_answered_in_the_shape_of_the_question() -> None:
    asked = [question for each in (TWO, INBOX, OWN) for question in questions_of(each)]
    assert [(each.approval_id, each.name) for each in asked] == [("i-1", "send"), ("i-2", "pay"), ("o", "send")]
    yes, no, ignored = (
        ApprovalDecision(type="approve", approval_id="i-1"),
        ApprovalDecision(type="reject", reason="too much", approval_id="i-2"),
        ApprovalDecision(type="reject", approval_id="o"),
    )
    resume = resume_of([no, ignored, yes], [TWO, INBOX, OWN])
    assert resume == {
        "i": {"decisions": [{"type": "approve"}, {"type": "reject", "message": "too much"}]},
        "o": [{"type": "ignore", "args": None}],
    }
    assert [(id_, said["approve"]) for id_, said in answers_in(resume)] == [("i-1", True), ("i-2", False), ("o", False)]
    with pytest.raises(BadRequest, match="at once"):
        resume_of([yes], [TWO])
    with pytest.raises(Conflict, match="'x'"):
        resume_of([ApprovalDecision(type="approve", approval_id="x")], [TWO, OWN])


def test_a_reply_answers_one_question_in_a_shape_of_its_own_and_decides_all_actions_in_a_known_one() -> None:
    own = {"id": "i1", "value": {"question": "What is your name?"}}
    assert resume_by("Bo", [own]) == {"i1": "Bo"}
    assert resume_by("Bo", [own, {**own, "id": "i2"}]) == {}
    known = {"id": "i1", "value": {"action_requests": [{"name": "a", "args": {}}, {"name": "b", "args": {}}]}}
    assert resume_by("yes", [known]) == {"i1": {"decisions": [{"type": "approve"}] * 2}}
    assert resume_by("what is it?", [known]) == {}
    assert resume_by("yes", [known, own]) == {}
    assert resume_by("yes", []) == {}
