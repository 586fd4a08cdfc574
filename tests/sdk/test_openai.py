"""Hosted graphs as models of OpenAI's own client."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai as sdk
import pytest
from langgraph_sdk.client import SyncLangGraphClient
from openai import OpenAI

from tests.acceptance.conftest import Up
from tests.acceptance.processes import wait_until


@pytest.fixture
def openai(server: Up) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def chat(client: OpenAI, *texts: Any, **options: Any) -> tuple[Any, str]:
    """(message, thread): what is said is a person's and the graph's in turn."""
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=messages, **options)
    return raw.parse().choices[0].message, raw.headers["x-thread-id"]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


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


def test_a_picture_goes_to_a_graph_as_it_was_sent(openai: OpenAI, sync_client: SyncLangGraphClient) -> None:
    words, url = {"type": "text", "text": "What is this?"}, "data:image/png;base64,iVBORw0KGgo="
    picture: Any = [words, {"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    message, thread = chat(openai, picture)
    assert message.content == "You said: What is this?"
    values: Any = sync_client.threads.get_state(thread)["values"]
    assert values["messages"][0]["content"] == picture
    parts: Any = [{**words, "type": "input_text"}, {"type": "input_image", "image_url": url, "detail": "low"}]
    response = openai.responses.create(model="chat", input=[{"role": "user", "content": parts}])
    (item,) = openai.responses.input_items.list(response.id)
    assert (response.output_text, item.to_dict()["content"]) == (message.content, parts)


def test_what_a_graph_asks_is_shown_and_answered_with_the_sdk(openai: OpenAI, sync_client: SyncLangGraphClient) -> None:
    message, thread = chat(openai, "Send a mail to bo@example.com")
    assert "waits for an answer" in message.content
    assert "a mail to bo@example.com" in message.content
    resume = {"decisions": [{"type": "approve"}]}
    values: Any = sync_client.runs.wait(thread, "chat", command={"resume": resume})
    assert values["messages"][-1]["content"] == "Aye: the mail to bo@example.com was sent"


@pytest.mark.parametrize(("reply", "came"), [("Approve.", "was sent"), ("reject: too late", "was not sent")])
def test_what_a_graph_asks_is_answered_by_a_reply_in_the_chat_and_once(openai: OpenAI, reply: str, came: str) -> None:
    said = f"Send a mail to bo@example.com ({uuid.uuid4().hex})"
    asked, thread = chat(openai, said)
    assert "Reply `approve`, or `reject` and why" in asked.content
    other, elsewhere = chat(openai, said, asked.content, "What is the weather in Porto?")
    assert (other.content, elsewhere == thread) == ("Aye: it is sunny in Porto", False)
    for _ in range(2):
        answer, same = chat(openai, said, asked.content, reply)
        assert (answer.content, same) == (f"Aye: the mail to bo@example.com {came}", thread)
    response = openai.responses.create(model="chat", input="Send a mail to bo@example.com")
    answered = openai.responses.create(model="chat", input=reply, previous_response_id=response.id)
    assert answered.output_text == f"Aye: the mail to bo@example.com {came}"
    talk: Any = [user("Send a mail to bo@example.com"), *response.output, user(reply)]
    assert openai.responses.create(model="chat", input=talk).output_text == answered.output_text


def test_a_client_that_hangs_up_ends_its_run_unless_it_wants_it_to_go_on_or_can_find_it_again(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    thread = sync_client.threads.create()["thread_id"]
    sync_client.runs.create(thread, "slow", input={"steps": 1, "delay": 60})

    def hang_up(key: dict[str, str], **body: str) -> str:
        said: Any = {"model": "chat", "messages": [{"role": "user", "content": "Ahoy"}], "stream": True}
        options: Any = {**said, "extra_headers": {"X-Thread-Id": thread, **key}, "extra_body": body}
        with openai.chat.completions.with_streaming_response.create(**options) as answer:
            return str(answer.headers["x-run-id"])

    def stop(key: dict[str, str], **options: Any) -> str:
        options |= {"extra_headers": {"X-Thread-Id": thread, **key}, "stream": True}
        with openai.responses.with_streaming_response.create(model="chat", input="Ahoy", **options) as answer:
            return str(answer.headers["x-run-id"])

    def status(run: str) -> str:
        return str(sync_client.http.get(f"/runs/{run}")["status"])

    key = {"Idempotency-Key": uuid.uuid4().hex}
    kept = [hang_up({}, on_disconnect="continue"), hang_up(key), stop({}, background=True)]
    left = [hang_up({}), stop({})]
    assert wait_until(lambda: {status(run) for run in left} == {"cancelled"})
    assert {status(run) for run in kept} == {"pending"}
    sync_client.threads.delete(thread)


def test_the_form_of_a_graphs_answers_is_its_own(openai: OpenAI) -> None:
    with pytest.raises(sdk.BadRequestError, match="gives answers of its own form"):
        chat(openai, "Ahoy", response_format={"type": "json_object"})


def test_a_graph_that_fails_is_an_error(openai: OpenAI) -> None:
    with pytest.raises(sdk.APIStatusError):
        openai.chat.completions.create(model="broken", messages=[{"role": "user", "content": "Hello"}])
    failed = openai.responses.create(model="broken", input="Hello")
    assert (failed.status, failed.error is not None) == ("failed", True)


def test_a_response_of_a_graph_is_read_again_as_it_was(openai: OpenAI) -> None:
    options: Any = {"metadata": {"ticket": "7"}, "instructions": "Be brief, ada@example.com", "user": "u1"}
    made = openai.responses.create(model="chat", input="What is the weather in Porto?", **options)
    assert (made.status, made.output_text) == ("completed", "Aye: it is sunny in Porto")
    assert [item.type for item in made.output] == ["reasoning", "message"]
    again = openai.responses.retrieve(made.id)
    assert again.output == made.output
    assert (again.metadata, again.instructions, again.user, again.model) == (*options.values(), "chat")
    (item,) = openai.responses.input_items.list(made.id)
    assert item.to_dict()["content"] == [{"type": "input_text", "text": "What is the weather in Porto?"}]
    openai.responses.delete(made.id)
    with pytest.raises(sdk.NotFoundError):
        openai.responses.retrieve(made.id)


def test_a_response_of_a_graph_is_streamed_and_taken_up_behind_any_event(openai: OpenAI) -> None:
    with openai.responses.stream(model="chat", input="one two three") as stream:
        events = list(stream)
        final = stream.get_final_response()
    words = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(words) == final.output_text == "You said: one two three"
    assert len(words) > 3
    rest = list(openai.responses.retrieve(final.id, stream=True, starting_after=4))
    assert [event.sequence_number for event in rest] == [event.sequence_number for event in events[5:]]
    for beyond in (len(events), 2**40):
        with pytest.raises(sdk.BadRequestError, match="is the last one of this response"):
            openai.responses.retrieve(final.id, stream=True, starting_after=beyond)


def test_a_response_of_a_graph_is_made_in_the_background_and_cancelled(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    made = openai.responses.create(model="chat", input="Ahoy", background=True)
    assert (made.status, made.output) == ("queued", [])
    assert list(openai.responses.retrieve(made.id, stream=True))[-1].type == "response.completed"
    assert openai.responses.retrieve(made.id).output_text == "You said: Ahoy"
    thread = sync_client.threads.create()["thread_id"]
    ahead = sync_client.runs.create(thread, "slow", input={"steps": 1, "delay": 60})
    waits = openai.responses.create(model="chat", input="Ahoy", background=True, extra_headers={"X-Thread-Id": thread})
    with pytest.raises(sdk.ConflictError, match="not complete"):
        openai.responses.create(model="chat", input="And?", previous_response_id=waits.id)
    assert openai.responses.cancel(waits.id).status == "cancelled"
    sync_client.runs.cancel(thread, ahead["run_id"])


def test_the_next_response_of_a_graph_begins_with_the_state_of_the_one_before(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    first = openai.responses.create(model="chat", input="one", instructions="Be brief")
    second = openai.responses.create(model="chat", input="two", previous_response_id=first.id, instructions="Be kind")
    branch = openai.responses.create(model="chat", input="three", previous_response_id=first.id)
    last = openai.responses.create(model="chat", input="four", previous_response_id=second.id)
    thread = str(sync_client.http.get(f"/runs/{uuid.UUID(last.id.removeprefix('resp_'))}")["thread_id"])
    said = {
        state["metadata"]["run_id"]: [message["content"] for message in state["values"]["messages"]]
        for state in reversed(sync_client.threads.get_history(thread, limit=100))
        if state["values"].get("messages")
    }
    heard = {made.id: said[str(uuid.UUID(made.id.removeprefix("resp_")))] for made in (first, second, branch, last)}
    assert heard[branch.id] == ["Be brief", "one", "You said: one", "three", "You said: three"]
    assert heard[last.id] == [
        "Be kind",
        *(word for each in ("one", "two", "four") for word in (each, f"You said: {each}")),
    ]


def test_what_was_answered_with_the_sdk_belongs_to_the_response_that_asked(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    thread = str(uuid.uuid4())
    asked = openai.responses.create(
        model="chat", input="Send a mail to bo@example.com", extra_headers={"X-Thread-Id": thread}
    )
    assert "waits for an answer" in asked.output_text
    sync_client.runs.wait(thread, "chat", command={"resume": {"decisions": [{"type": "approve"}]}})
    openai.responses.create(model="chat", input="Thanks", previous_response_id=asked.id)
    values: Any = sync_client.threads.get_state(thread)["values"]
    assert [message["content"] for message in values["messages"]][-3:] == [
        "Aye: the mail to bo@example.com was sent", "Thanks", "You said: Thanks",
    ]  # fmt: skip


@pytest.mark.parametrize(("yes", "came"), [(True, "was sent"), (False, "was not sent")])
def test_what_a_graph_asks_is_decided_by_an_mcp_approval_response(openai: OpenAI, yes: bool, came: str) -> None:
    asked = openai.responses.create(model="chat", input="Send a mail to bo@example.com")
    request: Any = asked.output[-1]
    assert (request.type, request.name) == ("mcp_approval_request", "send_mail")
    assert request.arguments == '{"to":"bo@example.com"}'
    assert openai.responses.retrieve(asked.id).output == asked.output
    decision: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": yes}
    wrongs: Any = (
        ([{**decision, "approval_request_id": "mcpr_1"}], sdk.ConflictError),
        ([decision, {"role": "user", "content": "Now"}], sdk.BadRequestError),
    )
    for wrong, error in wrongs:
        with pytest.raises(error):
            openai.responses.create(model="chat", input=wrong, previous_response_id=asked.id)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: _decided(openai, asked.id, decision), range(8)))
    assert {each.id for each in made} == {made[0].id}, "one run, however often it is sent"
    assert made[0].output_text == f"Aye: the mail to bo@example.com {came}"
    (item,) = openai.responses.input_items.list(made[0].id).data
    assert item.model_dump(include={"type", "approval_request_id", "approve"}) == decision
    with pytest.raises(sdk.ConflictError):
        _decided(openai, asked.id, {**decision, "approve": not yes})
    after = openai.responses.create(model="chat", input="Thanks", previous_response_id=made[0].id)
    assert after.output_text == "You said: Thanks"


def test_a_decision_counts_where_the_whole_conversation_is_sent_again(openai: OpenAI) -> None:
    said: list[Any] = [user("Send a mail to bo@example.com")]
    asked = openai.responses.create(model="chat", input=said)
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": asked.output[-1].id, "approve": True}
    said += [*(item.to_dict() for item in asked.output), answer]
    made = [openai.responses.create(model="chat", input=said) for _ in range(2)]
    assert made[0].output_text == "Aye: the mail to bo@example.com was sent"
    assert made[0].id == made[1].id
    said += [*(item.to_dict() for item in made[0].output), user("Thanks")]
    assert openai.responses.create(model="chat", input=said).output_text == "You said: Thanks"
    with pytest.raises(sdk.BadRequestError):
        openai.responses.create(model="chat", input=[*said[:1], answer])


def test_an_answer_that_was_cancelled_before_it_was_taken_is_given_again(
    openai: OpenAI, sync_client: SyncLangGraphClient
) -> None:
    thread = str(uuid.uuid4())
    asked = openai.responses.create(
        model="chat", input="Send a mail to bo@example.com", extra_headers={"X-Thread-Id": thread}
    )
    request: Any = asked.output[-1]
    yes: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    ahead = sync_client.runs.create(thread, "slow", input={"steps": 1, "delay": 60})
    waiting = [_decided(openai, asked.id, yes, background=True) for _ in range(2)]
    assert waiting[0].id == waiting[1].id
    assert openai.responses.cancel(waiting[0].id).status == "cancelled"
    sync_client.runs.cancel(thread, ahead["run_id"], wait=True, action="rollback")
    made = [_decided(openai, asked.id, {**yes, "approve": False}) for _ in range(2)]
    assert made[0].output_text == "Aye: the mail to bo@example.com was not sent"
    assert made[0].id == made[1].id != waiting[0].id


def _decided(openai: OpenAI, asked: str, decision: Any, **options: Any) -> Any:
    return openai.responses.create(model="chat", input=[decision], previous_response_id=asked, **options)


def test_a_response_goes_on_from_one_of_its_own_model_alone(openai: OpenAI) -> None:
    made = openai.responses.create(model="chat", input="Ahoy")
    for model in ("nested", "trireme"):
        with pytest.raises(sdk.BadRequestError) as error:
            openai.responses.create(model=model, input="And?", previous_response_id=made.id)
        assert error.value.code == "another_model"
    chatted = openai.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Ahoy"}])
    with pytest.raises(sdk.NotFoundError):
        openai.responses.retrieve(chatted.id.replace("chatcmpl-", "resp_").replace("-", ""))
