"""The agent's messages as a reader is told them: each word once, whatever attempts wrote and wherever it was cut."""

from typing import Any

import pytest

from serving.api.sdk.agent_messages import told
from serving.api.sdk.growing import Arguments, Growing, Words

Line = tuple[int, str, dict[str, Any]]


def deltas(*pieces: str) -> list[tuple[str, dict[str, Any]]]:
    return [("answer_delta", {"text": piece, "begins": at == 0}) for at, piece in enumerate(pieces)]


def calls(*pieces: tuple[str, str, str], step: str = "s1") -> list[tuple[str, dict[str, Any]]]:
    where = {"step_id": step, "attempt": 1, "tool": "search"}
    return [
        ("tool_call_delta", {**where, "call_id": id_, "text": text, "closes": closes, "begins": at == 0})
        for at, (id_, text, closes) in enumerate(pieces)
    ]


def reply(*made: tuple[str, dict[str, Any]], step: str = "s1") -> tuple[str, dict[str, Any]]:
    tool_calls = [{"id": id_, "name": "search", "arguments": arguments} for id_, arguments in made]
    return "model_called", {"step_id": step, "attempt": 1, "tool_calls": tool_calls}


def whole(text: str) -> tuple[str, dict[str, Any]]:
    return "answer_written", {"answer": {"text": text}}


def log(*lines: tuple[str, dict[str, Any]]) -> list[Line]:
    return [(seq, kind, body) for seq, (kind, body) in enumerate(lines, 1)]


def frames(growing: Growing, lines: list[Line]) -> list[tuple[int, str, Any]]:
    """As a reader gets them, in both modes."""
    found = ((seq, growing.take(seq, kind, body)) for seq, kind, body in lines)
    return [(seq, *event) for seq, grown in found if grown for event in told(grown, "r", {})]


def shown(lines: list[Line], mode: str) -> dict[str, Any]:
    """What a client has by each id: chunks put behind each other, or the message as it was told last."""
    messages: dict[str, Any] = {}
    for _, event, data in frames(Growing(), lines):
        if event == mode == "messages":
            before = messages.get(data[0]["id"], "")
            pieces = [data[0]["content"], *(chunk["args"] for chunk in data[0].get("tool_call_chunks", ()))]
            messages[data[0]["id"]] = before + "".join(pieces)
        elif event in (mode, "messages/complete") and mode != "messages":
            messages[data[0]["id"]] = data[0]["content"] or [call["args"] for call in data[0]["tool_calls"]]
    return messages


SAME = log(*deltas("It ", "is 1", "99"), *deltas("It is", " 199", ", I think."), whole("It is 199, I think."))
OTHER = log(*deltas("It ", "is 199."), *deltas("The sum", " is 199."), whole("The sum is 199."))
NO_MODEL = log(whole("The run stopped early."))
CALLS = log(
    *calls(("a", '{"q": "over', '"}'), ("a", 'due"}', ""), ("b", "{}", "")),
    *calls(("c", '{"q": 1}', ""), step="s2"),
    reply(("a", {"q": "overdue"}), ("b", {})),
    *calls(("d", '{"q": "t', '"}')),  # its attempt was killed
    *calls(("e", '{"q": "te', '"}'), ("e", 'a"}', "")),
    reply(("e", {"q": "tea"})),
    reply(("c", {"q": 1}), step="s2"),
)


def test_an_attempt_that_writes_the_same_again_goes_on_where_the_one_before_was_killed() -> None:
    assert shown(SAME, "messages") == shown(SAME, "messages/partial") == {"answer-r": "It is 199, I think."}
    assert [seq for seq, event, _ in frames(Growing(), SAME) if event == "messages"] == [1, 2, 3, 6, 7]  # 7 ends it


def test_an_answer_that_is_begun_differently_is_another_message() -> None:
    for mode in ("messages", "messages/partial"):
        assert shown(OTHER, mode) == {"answer-r": "It is 199.", "answer-r-2": "The sum is 199."}


def test_an_answer_that_came_at_once_is_told_at_once() -> None:
    assert shown(NO_MODEL, "messages") == {"answer-r": "The run stopped early."}


def test_calls_of_steps_side_by_side_grow_each_in_its_own_message() -> None:
    assert shown(CALLS, "messages") == {
        "call-r-1": '{"q": "overdue"}{}',
        "call-r-4": '{"q": 1}',
        "call-r-6": '{"q": "t',
        "call-r-7": '{"q": "tea"}',
    }
    told_whole = {"call-r-1": [{"q": "overdue"}, {}], "call-r-4": [{"q": 1}], "call-r-7": [{"q": "tea"}]}
    assert shown(CALLS, "messages/partial") == {**told_whole, "call-r-6": [{"q": "t"}]}


def test_a_reply_that_is_begun_anew_takes_the_place_of_the_broken_one() -> None:
    growing = Growing(CALLS[:6])
    grown = growing.take(*CALLS[6])
    assert isinstance(grown, Arguments)
    assert (grown.first, grown.broken and grown.broken.seq) == (True, 6)


@pytest.mark.parametrize("lines", [SAME, OTHER, CALLS])
def test_who_was_cut_off_is_told_the_rest_as_who_was_not(lines: list[Line]) -> None:
    everything = frames(Growing(), lines)
    for after in range(len(lines) + 1):
        assert frames(Growing(lines[:after]), lines[after:]) == [each for each in everything if each[0] > after]


@pytest.mark.parametrize("lines", [SAME, OTHER, CALLS])
def test_a_page_that_is_made_again_tells_the_same_again(lines: list[Line]) -> None:
    everything = frames(Growing(), lines)
    for after in range(len(lines)):
        growing = Growing()
        frames(growing, lines)
        assert frames(growing, lines[after:]) == [each for each in everything if each[0] > after]


def test_a_piece_says_what_it_adds_and_what_there_is() -> None:
    growing = Growing()
    assert growing.take(*SAME[0]) == Words("It ", "It ", first=True, again=0, last=False)
    assert growing.take(*SAME[1]) == Words("is 1", "It is 1", first=False, again=0, last=False)
