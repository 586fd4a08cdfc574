"""A megabyte that only resembles what is looked for is read in one pass: the API's event loop waits for it."""

import uuid

import pytest

from serving.api.openai.chores import chore_done
from serving.api.openai.hosted import ASKS
from serving.api.openai.hosted_answers import run_that_asks
from serving.api.openai.messages import ChatMessage

pytestmark = pytest.mark.timeout(60)
TIMES = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "### Task:\n" + "<chat_history>\n" * TIMES,
        "Provide a concise, 5-word-or-less title for the conversation." + "\n\nConversation:\nUser: " * TIMES,
        "Query: " + "{" * TIMES,
    ],
)
def test_an_apps_chore(text: str) -> None:
    system = ChatMessage(role="system", content="Available Tools: " * TIMES)
    assert chore_done([system, ChatMessage(role="user", content=text)]) is None


def test_a_graphs_question() -> None:
    run_id = str(uuid.uuid4())
    assert run_that_asks(f"{ASKS}\n\n? The run: http://localhost/runs/{run_id}\n") == run_id
    assert run_that_asks(f"Here: http://localhost/runs/{run_id}") is None
    assert run_that_asks(ASKS * TIMES) is None
    assert run_that_asks(f"{ASKS}/runs/" * TIMES) is None
