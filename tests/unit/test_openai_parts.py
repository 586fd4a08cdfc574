"""Messages of parts: the agent reads their words, a hosted graph is given the others too."""

from typing import Any

import pytest

from serving.api.openai.messages import ChatMessage, conversation_of
from serving.api.openai.parts import as_input, for_graph
from serving.errors import BadRequest

WORDS: dict[str, Any] = {"type": "text", "text": "What is this?"}
PICTURE: dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "auto"}}


def test_the_agent_refuses_a_picture_when_it_is_sent_and_reads_the_words_of_what_was_said_before() -> None:
    shown = ChatMessage(role="user", content=[WORDS, PICTURE])
    with pytest.raises(BadRequest, match="'image_url' can't be used"):
        conversation_of([shown])
    said = conversation_of([shown, ChatMessage(role="assistant", content="?"), ChatMessage(role="user", content="Hi")])
    assert (said.goal, said.before, said.turns) == ("Hi", ("What is this?",), (("What is this?", "?"),))


def test_words_alone_are_text_to_a_graph() -> None:
    assert for_graph([WORDS, {"type": "input_text", "text": "And that?"}]) == "What is this?\nAnd that?"
    assert (for_graph(None), for_graph("Hi"), for_graph([])) == ("", "Hi", "")


@pytest.mark.parametrize(
    ("sent", "given"),
    [
        ({"type": "input_image", "image_url": "https://example.com/a.png"}, PICTURE),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
        ),
    ],
)
def test_a_responses_parts_are_a_chats_to_a_graph_and_come_back(sent: dict[str, Any], given: dict[str, Any]) -> None:
    assert for_graph([WORDS, sent]) == [WORDS, given]
    back = as_input([WORDS, given], "input_text")
    assert back == [{**WORDS, "type": "input_text"}, {"detail": "auto", **sent} if "image_url" in sent else sent]


@pytest.mark.parametrize(
    "part", [{"type": "input_image", "file_id": "file-1"}, {"type": "input_file"}, {}, {"type": 7}]
)
def test_a_part_that_names_no_data_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="can't be used so"):
        for_graph([part])


def test_all_that_was_said_to_a_question_is_its_answer() -> None:
    call: Any = {"id": "1", "type": "function", "function": {"name": "clock", "arguments": '{"city": "Porto"}'}}
    said = conversation_of(
        [
            ChatMessage(role="user", content="What time is it?"),
            ChatMessage(role="assistant", tool_calls=[call]),
            ChatMessage(role="tool", content="noon"),
            ChatMessage(role="assistant", tool_calls=[{"id": "2", "type": "custom"}]),
            ChatMessage(role="assistant", content="Noon"),
            ChatMessage(role="user", content="Still?"),
            ChatMessage(role="user", content="And now?"),
        ]
    )
    assert (said.goal, said.before) == ("And now?", ("What time is it?", "Still?"))
    assert said.turns == (("What time is it?", '{"city": "Porto"}\n\nNoon'),)
