"""OpenAI's own client, and `llm`, against a running stack: models, chats, threads, approvals, errors."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.acceptance.conftest import Up
from tests.acceptance.openai_place import COLLECTION, QUESTION, openai, status_of
from tests.acceptance.processes import wait_until

__all__ = ["openai"]
MODEL = f"trireme:{COLLECTION}"
LOOP = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "f"}}]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str | None) -> dict[str, str]:
    return {"role": "assistant", "content": text or ""}


def chat(client: OpenAI, *messages: dict[str, str], **options: Any) -> tuple[Any, str, str]:
    """(completion, thread, run)."""
    raw = client.chat.completions.with_raw_response.create(**{"model": MODEL, "messages": list(messages), **options})
    return raw.parse(), raw.headers["x-thread-id"], raw.headers["x-run-id"]


def test_models_are_the_agent_and_the_agent_over_each_collection(openai: OpenAI) -> None:
    assert {"trireme", MODEL} <= {model.id for model in openai.models.list()}
    assert openai.models.retrieve(MODEL).owned_by == "trireme"
    with pytest.raises(sdk.NotFoundError) as error:
        openai.models.retrieve("gpt-4o")
    assert error.value.code == "model_not_found"


def test_a_chat_is_a_run_whose_answer_comes_back_whole(openai: OpenAI, up: Up) -> None:
    completion, thread, run = chat(openai, user(QUESTION))
    (choice,) = completion.choices
    assert "3 knots" in choice.message.content
    assert choice.finish_reason == "stop"
    assert completion.id == f"chatcmpl-{run}"
    assert completion.model == MODEL
    assert choice.message.reasoning_content.startswith("Plan:\n- s1 ")
    assert "search_documents" in choice.message.reasoning_content
    assert "Verdict: accept" in choice.message.reasoning_content
    view = httpx.get(f"{up.url}/runs/{run}", timeout=90).json()
    assert (view["status"], view["thread_id"], view["channel"]) == ("success", thread, "web")
    assert completion.usage.prompt_tokens == view["usage"]["input_tokens"] > 0
    assert completion.usage.prompt_tokens_details.cached_tokens == view["usage"]["cached_tokens"] > 0
    (note,) = choice.message.annotations
    assert (note.type, note.url_citation.title) == ("url_citation", "harbour.md")
    assert choice.message.content[note.url_citation.start_index : note.url_citation.end_index] == "[1]"
    assert note.url_citation.url == f"{up.url}/runs/{run}#{view['sources'][0]['ref'].replace('#', '%23')}"


def test_a_stream_grows_to_the_answer_and_ends_with_its_usage_whatever_tools_are_offered(openai: OpenAI) -> None:
    stream = openai.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        tools=TOOLS,
        tool_choice="auto",
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "3 knots" in "".join(delta.content or "" for delta in deltas)
    thinking = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(thinking).startswith("Plan:")
    assert max(at for at, text in enumerate(thinking) if text) < max(at for at, d in enumerate(deltas) if d.content)
    (note,) = getattr(deltas[-1], "annotations")  # noqa: B009 - a field that the client's types don't name
    assert note["url_citation"]["title"] == "harbour.md"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:-1]] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens_details is not None
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens


def test_the_offline_model_fills_a_form_of_one_text_and_says_what_it_can_not(openai: OpenAI, up: Up) -> None:
    class Said(BaseModel):
        answer: str

    class Limit(BaseModel):
        knots: int

    asked: Any = {"model": MODEL, "messages": [user(QUESTION)]}
    completion = openai.chat.completions.parse(**asked, response_format=Said)
    assert completion.choices[0].message.parsed is not None
    assert "3 knots" in completion.choices[0].message.parsed.answer
    with pytest.raises(sdk.InternalServerError, match=r"offline.*OPENAI_API_KEY or TRIREME_ROUTES") as error:
        openai.chat.completions.parse(**asked, response_format=Limit)
    assert status_of(up, error.value.response.headers["x-run-id"]) == "error"


def test_a_title_that_open_webui_asks_for_begins_no_run(openai: OpenAI) -> None:
    prompt = (
        f'### Task:\nName it.\n### Output:\nJSON format: {{ "title": "..." }}\n'
        f"### Chat History:\n<chat_history>\nUSER: {QUESTION}\nASSISTANT: \n</chat_history>"
    )
    asked: Any = {"model": MODEL, "messages": [user(prompt)]}
    raw = openai.chat.completions.with_raw_response.create(**asked)
    titled = json.dumps({"title": QUESTION}, separators=(",", ":"))
    assert (raw.headers.get("x-run-id"), raw.parse().choices[0].message.content) == (None, titled)
    chunks = [chunk for chunk in openai.chat.completions.create(**asked, stream=True) if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == titled
    assert chunks[-1].choices[0].finish_reason == "stop"
    response = openai.responses.create(model=MODEL, input=prompt)
    assert (response.status, response.output_text) == ("completed", titled)
    with openai.responses.stream(model=MODEL, input=prompt) as events:
        assert events.get_final_response().output_text == titled
    with pytest.raises(sdk.NotFoundError):
        openai.responses.retrieve(response.id)


def test_open_webui_asks_which_of_its_tools_to_call_and_begins_no_run(openai: OpenAI) -> None:
    """Its function calling of the kind `legacy`, over either of its connections."""
    task = 'Available Tools: []\n\nYour task is to choose and return the correct tool(s).\n{"tool_calls": []}'
    asked, none = f"Query: {QUESTION}", '{"tool_calls":[]}'
    told: Any = [{"role": "system", "content": task}, user(asked)]
    raw = openai.chat.completions.with_raw_response.create(model=MODEL, messages=told)
    assert (raw.headers.get("x-run-id"), raw.parse().choices[0].message.content) == (None, none)
    assert openai.responses.create(model=MODEL, instructions=task, input=asked).output_text == none


def test_the_same_conversation_goes_on_on_its_thread_and_a_changed_one_does_not(openai: OpenAI, up: Up) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    first, thread, _ = chat(openai, user(opening))
    said = [user(opening), assistant(first.choices[0].message.content)]
    _, again, run = chat(openai, *said, user("And what does a berth cost a night?"))
    assert again == thread
    events = httpx.get(f"{up.url}/runs/{run}/events", timeout=90).text
    assert opening in events.partition("conversation_recalled")[2]
    _, anew, _ = chat(openai, user(opening))
    assert anew != thread, "an answer that is asked for again doesn't hear the first one"
    _, branch, run = chat(openai, *said, user("Who is the harbour master?"))
    assert branch != thread
    events = httpx.get(f"{up.url}/runs/{run}/events", timeout=90).text
    assert opening in events.partition("conversation_recalled")[2], "what was said comes along"
    assert "berth cost a night" not in events.partition("plan_proposed")[0]
    _, other, _ = chat(openai, *said, user("And what does a berth cost a night?"), user="somebody-else")
    assert other not in (thread, anew, branch)
    _, edited, _ = chat(openai, said[0], assistant("Five knots."), user("And what does a berth cost a night?"))
    assert edited not in (thread, anew, branch, other), "another answer than was given is another conversation"


def test_a_thread_can_be_named_by_header_body_and_metadata(openai: OpenAI) -> None:
    for how in ("header", "body", "metadata"):
        wanted = str(uuid.uuid4())
        options: dict[str, Any] = {
            "header": {"extra_headers": {"X-Thread-Id": wanted}},
            "body": {"extra_body": {"thread_id": wanted}},
            "metadata": {"metadata": {"thread_id": wanted}},
        }[how]
        assert chat(openai, user(QUESTION), **options)[1] == wanted
    with pytest.raises(sdk.NotFoundError):
        chat(openai, user(QUESTION), extra_headers={"X-Thread-Id": "mine"})


def test_collection_and_channel_come_from_body_or_metadata(openai: OpenAI) -> None:
    spoken, _, _ = chat(
        openai, user(QUESTION), model="trireme", metadata={"collection": COLLECTION}, extra_body={"channel": "voice"}
    )
    message = spoken.choices[0].message
    assert "3 knots" in message.content
    assert "[1]" not in message.content
    assert not hasattr(message, "reasoning_content"), "a voice is told nothing of the work"
    nothing, _, _ = chat(openai, user(QUESTION), model="trireme")
    assert "3 knots" not in nothing.choices[0].message.content


def test_a_reply_decides_what_the_agent_asked(openai: OpenAI, up: Up) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    asked, thread, run = chat(openai, user(opening), extra_body={"review_plan": True})
    question = asked.choices[0].message.content
    assert "Approval needed" in question
    assert f"{up.url}/runs/{run}" in question
    said = [user(opening), assistant(question)]
    still, _, same = chat(openai, *said, user("Why do you ask?"))
    assert same == run, "anything but a plain yes or no is no decision"
    assert "Approval needed" in still.choices[0].message.content
    said += [user("Why do you ask?"), assistant(still.choices[0].message.content), user("approve")]
    answer, again, decided = chat(openai, *said)
    assert (again, decided) == (thread, run)
    assert "3 knots" in answer.choices[0].message.content
    given = assistant(answer.choices[0].message.content)
    more, after, _ = chat(openai, *said[:2], user("Approve."), given, user("And what does a berth cost?"))
    assert after == thread, "a decision is no part of what was said"
    assert "48" in more.choices[0].message.content


def test_where_the_channel_asks_for_a_link_a_reply_decides_nothing(openai: OpenAI, up: Up) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    asked, _, run = chat(openai, user(opening), extra_body={"review_plan": True, "channel": "api"})
    question = asked.choices[0].message.content
    assert "Reply" not in question
    _, _, same = chat(openai, user(opening), assistant(question), user("approve"), extra_body={"channel": "api"})
    assert same == run
    assert status_of(up, run) == "interrupted"
    httpx.post(f"{up.url}/runs/{run}/cancel", timeout=90)


def test_a_run_outlives_a_client_that_hangs_up_and_says_so(openai: OpenAI, up: Up) -> None:
    raw = openai.chat.completions.with_streaming_response.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        extra_body={"on_disconnect": "continue"},
    )
    with raw as answer:
        run = answer.headers["x-run-id"]
    assert wait_until(lambda: status_of(up, run) == "success")


def test_of_two_people_who_say_the_same_each_decides_what_they_were_asked(openai: OpenAI, up: Up) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    first, other = [chat(openai, user(opening), extra_body={"review_plan": True}) for _ in range(2)]
    said = [user(opening), assistant(first[0].choices[0].message.content), user("reject")]
    _, _, decided = chat(openai, *said)
    assert (decided, status_of(up, other[2])) == (first[2], "interrupted")
    httpx.post(f"{up.url}/runs/{other[2]}/cancel", timeout=90)


def test_a_run_that_somebody_else_waits_for_outlives_the_chat_that_decides_for_it(openai: OpenAI, up: Up) -> None:
    asked = {"goal": QUESTION, "review_plan": True, "channel": "web"}
    made = httpx.post(f"{up.url}/runs", params={"wait": True}, json=asked, timeout=60).json()
    assert made["status"] == "interrupted"
    for said in ("Why do you ask?", "approve"):
        words: Any = [user(said)]
        raw = openai.chat.completions.with_streaming_response.create(
            model=MODEL, messages=words, stream=True, extra_headers={"X-Thread-Id": made["thread_id"]}
        )
        with raw as answer:
            assert answer.headers["x-run-id"] == made["run_id"]
    assert wait_until(lambda: status_of(up, made["run_id"]) in ("success", "cancelled"))
    assert status_of(up, made["run_id"]) == "success"


def test_a_run_that_is_cancelled_is_an_error_that_is_not_tried_again(openai: OpenAI, up: Up) -> None:
    _, thread, run = chat(openai, user(QUESTION), extra_body={"review_plan": True})
    httpx.post(f"{up.url}/runs/{run}/cancel", timeout=90)
    key = {"Idempotency-Key": uuid.uuid4().hex, "X-Thread-Id": thread}
    _, _, run = chat(openai, user(QUESTION), extra_body={"review_plan": True}, extra_headers=key)
    httpx.post(f"{up.url}/runs/{run}/cancel", timeout=90)
    with pytest.raises(sdk.ConflictError) as error:
        chat(openai.with_options(max_retries=2), user(QUESTION), extra_body={"review_plan": True}, extra_headers=key)
    assert error.value.code == "cancelled"
    assert error.value.response.headers["x-should-retry"] == "false"
    with pytest.raises(sdk.APIError, match="cancelled"):
        list(
            openai.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": QUESTION}],
                stream=True,
                extra_body={"review_plan": True},
                extra_headers=key,
            )
        )


def test_the_same_idempotency_key_gives_the_same_run(openai: OpenAI) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    first, thread, _ = chat(openai, user(opening))
    said = [user(opening), assistant(first.choices[0].message.content), user("And a berth?")]
    key = {"Idempotency-Key": uuid.uuid4().hex}
    one, two = [chat(openai, *said, extra_headers=key) for _ in range(2)]
    assert one[1:] == two[1:]
    assert one[1] == thread
    assert one[0].choices[0].message.content == two[0].choices[0].message.content
    with pytest.raises(sdk.ConflictError) as error:
        chat(openai, user("Something else"), extra_headers=key)
    assert error.value.code == "idempotency_mismatch"


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found"),
        ({"model": "trireme:nowhere"}, 404, "collection_not_found"),
        ({"model": "trireme:a b"}, 400, "invalid_request"),
        ({"messages": []}, 400, "invalid_request"),
        ({"messages": [{"role": "system", "content": "Be kind"}]}, 400, "no_user_message"),
        ({"messages": [{"role": "user", "content": "  "}]}, 400, "goal_empty"),
        ({"messages": [{"role": "user", "content": "g" * 40_000}]}, 413, "goal_too_long"),
        ({"messages": [{"role": "user", "content": "ann@example.com, 0171 234567. " * 200_000}]}, 413, "goal_too_long"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            400,
            "unsupported_content",
        ),
        ({"n": 2}, 400, "unsupported"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, 400, "unsupported"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}}, 400, "unsupported"),
        ({"tools": TOOLS * 2, "tool_choice": "required"}, 400, "unsupported"),
        ({"response_format": {"type": "grammar"}}, 400, "unsupported"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, 400, "invalid_request"),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": LOOP}], "tool_choice": "required"},
            400,
            "bad_schema",
        ),
        ({"metadata": {"a": "x" * 600}}, 400, "bad_metadata"),
        ({"extra_body": {"channel": "telepathy"}}, 400, "unknown_channel"),
        ({"extra_headers": {"Idempotency-Key": "a b"}}, 400, "bad_request"),
    ],
)
def test_a_request_that_can_not_be_served_gets_openais_error(
    openai: OpenAI, options: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(sdk.APIStatusError) as error:
        openai.chat.completions.create(**{"model": MODEL, "messages": [user(QUESTION)], **options})
    assert (error.value.status_code, error.value.code) == (status, code)
    assert isinstance(error.value.body, dict)
    assert set(error.value.body) == {"message", "type", "param", "code"}


def test_what_is_no_json_gets_openais_error_too(up: Up) -> None:
    answer = httpx.post(f"{up.url}/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    assert httpx.get(f"{up.url}/v1/nothing").json()["error"]["code"] == "not_found"
    embeddings = httpx.post(f"{up.url}/v1/embeddings", json={"input": "a", "model": "m"})
    assert (embeddings.status_code, "ask the model trireme:NAME" in embeddings.text) == (404, True)


def test_llm_talks_to_the_agent(up: Up, openai: OpenAI, tmp_path: Path) -> None:
    """simonw's command line, as its users set it up: a model in extra-openai-models.yaml."""
    lines = ["- model_id: harbour", f"  model_name: {MODEL}", f"  api_base: {up.url}/v1", "  api_key_name: trireme"]
    (tmp_path / "extra-openai-models.yaml").write_text("\n".join(lines) + "\n")
    (tmp_path / "keys.json").write_text('{"trireme": "none"}')
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}

    def llm(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("llm")), *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=90, check=True, stdin=subprocess.DEVNULL
        )
        return done.stdout

    assert "3 knots" in llm("-m", "harbour", QUESTION)
    assert "48" in llm("-c", "--no-stream", "And what does a berth cost a night?")
