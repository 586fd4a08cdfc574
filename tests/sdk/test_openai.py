"""Hosted graphs as models of OpenAI's own client."""

import uuid
from collections.abc import Iterator
from typing import Any

import openai as sdk
import pytest
from langgraph_sdk.client import SyncLangGraphClient
from openai import OpenAI

from tests.acceptance.conftest import Up


@pytest.fixture
def openai(server: Up) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def chat(client: OpenAI, *texts: str, **options: Any) -> tuple[Any, str]:
    """(message, thread): what is said is a person's and the graph's in turn."""
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=messages, **options)
    return raw.parse().choices[0].message, raw.headers["x-thread-id"]


def test_hosted_graphs_are_models(openai: OpenAI) -> None:
    assert {"trireme", "chat", "nested"} <= {model.id for model in openai.models.list()}


def test_a_graph_answers_a_chat_with_what_its_model_says(openai: OpenAI) -> None:
    message, _ = chat(openai, "Ahoy there")
    assert message.content == "You said: Ahoy there"
    tools, _ = chat(openai, "What is the weather in Porto?")
    assert tools.content == "Aye: it is sunny in Porto"
    assert "weather" in tools.reasoning_content
    assert "it is sunny in Porto" in tools.reasoning_content


def test_the_same_idempotency_key_gives_the_same_run(openai: OpenAI) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    (first, thread), (again, same) = [chat(openai, "Ahoy", extra_headers=key) for _ in range(2)]
    assert (again.content, same) == (first.content, thread)


def test_a_graph_streams_word_by_word(openai: OpenAI) -> None:
    chunks = list(
        openai.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
    )
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert "".join(words) == "You said: one two three"
    assert len(words) > 3


def test_a_named_thread_is_given_the_last_message_and_another_all(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    named = str(uuid.uuid4())
    for text in ("first", "second"):
        _, thread = chat(openai, text, extra_headers={"X-Thread-Id": named})
        assert thread == named
    _, fresh = chat(openai, "first", "You said: first", "second")
    for thread in (named, fresh):
        values: Any = sync_client.threads.get_state(thread)["values"]
        said = [message["content"] for message in values["messages"]]
        assert said == ["first", "You said: first", "second", "You said: second"]


def test_what_a_graph_asks_is_shown_and_answered_with_the_sdk(openai: OpenAI, sync_client: SyncLangGraphClient) -> None:
    message, thread = chat(openai, "Send a mail to bo@example.com")
    assert "waits for an answer" in message.content
    assert "a mail to bo@example.com" in message.content
    resume = {"decisions": [{"type": "approve"}]}
    values: Any = sync_client.runs.wait(thread, "chat", command={"resume": resume})
    assert values["messages"][-1]["content"] == "Aye: the mail to bo@example.com was sent"


def test_a_graph_that_fails_is_an_error(openai: OpenAI) -> None:
    with pytest.raises(sdk.APIStatusError):
        openai.chat.completions.create(model="broken", messages=[{"role": "user", "content": "Hello"}])
    with pytest.raises(sdk.NotFoundError):
        openai.responses.create(model="chat", input="Hello")
