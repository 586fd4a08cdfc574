"""What Open WebUI and LibreChat ask behind a person's back is answered from the talk; what a person says never is."""

import json

import pytest

from serving.api.openai.chores import chore_done
from serving.api.openai.messages import ChatMessage

ASKED = "How long is the\nASSISTANT hose of the lower garden, and who waters it?"
TALK = f"USER: {ASKED}\nASSISTANT: 20 m.\nUSER: And the red one?"


def prompt(form: str, talk: str = TALK) -> ChatMessage:
    text = f"### Task:\nDo this.\n### Output:\n{form}\n### Chat History:\n<chat_history>\n{talk}\n</chat_history>"
    return ChatMessage(role="user", content=text)


@pytest.mark.parametrize(
    ("form", "done"),
    [
        ('JSON format: { "title": "..." }', {"title": "How long is the ASSISTANT hose of the lower…"}),
        ('JSON format: { "tags": ["tag1"] }', {"tags": ["General"]}),
        ('JSON format: { "follow_ups": ["a?"] }', {"follow_ups": []}),
        ('Strictly return in JSON format:\n{\n  "queries": ["query1"]\n}', {"queries": ["And the red one?"]}),
        ('Respond only in JSON format: `{ "text": "..." }`.', {"text": ""}),
        ('Strictly return in JSON format:\n{\n    "prompt": "..."\n}', {"prompt": "And the red one?"}),
    ],
)
def test_a_chore_is_done_from_the_talk(form: str, done: dict[str, object]) -> None:
    text = chore_done([ChatMessage(role="system", content="Be brief"), prompt(form)])
    assert json.loads(text or "") == done


def test_a_talk_in_which_nobody_said_anything_has_a_title() -> None:
    asked = prompt('{ "title": "..." }', "USER: \nASSISTANT: ")
    assert json.loads(chore_done([asked]) or "") == {"title": "New chat"}


def test_librechat_gets_a_title_in_words() -> None:
    task = "Provide a concise, 5-word-or-less title for the conversation, using title case. Only return the title."
    asked = ChatMessage(role="user", content=f"{task}\n\nConversation:\nUser: How long is it?\nAI: 20 m.")
    assert chore_done([asked]) == "How long is it?"


def test_of_the_tools_that_open_webui_would_call_itself_none_is() -> None:
    """Its `legacy` function calling asks before each message; the agent has tools of its own."""
    way = "Your task is to choose and return the correct tool(s)."
    task = f'Available Tools: [{{"name": "clock"}}]\n\n{way}\n   {{\n     "tool_calls": []\n   }}'
    for asked in (f"Query: {ASKED}", f'History:\nUSER: """Hello"""\nASSISTANT: """Ahoy"""\nQuery: {ASKED}'):
        choice = [ChatMessage(role="system", content=f"Be brief\n{task}"), ChatMessage(role="user", content=asked)]
        assert chore_done(choice) == '{"tool_calls":[]}'
    assert chore_done([ChatMessage(role="system", content=task), ChatMessage(role="user", content=ASKED)]) is None


@pytest.mark.parametrize(
    "messages",
    [
        [ChatMessage(role="user", content='### Task:\nWrite { "title": 1 } down')],
        [prompt('JSON format: { "colour": "red" }')],
        [ChatMessage(role="assistant", content="Hello"), prompt('{ "title": "..." }')],
        [ChatMessage(role="user", content=[{"type": "text", "text": "### Task:"}])],
        [ChatMessage(role="system", content="### Task:")],
        [
            ChatMessage(role="system", content='Available Tools: clock. Call them by {"tool_calls": [...]}'),
            ChatMessage(role="user", content="Query: which tools do you have?"),
        ],
    ],
)
def test_what_a_person_may_say_is_no_chore(messages: list[ChatMessage]) -> None:
    assert chore_done(messages) is None
