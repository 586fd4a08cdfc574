"""Answers that programs read: OpenAI's own client, a running stack, and a language model on a socket that is told the
schema."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import OpenAI
from pydantic import BaseModel

from tests.acceptance.hosted import ACCEPT, PLAN, Hosted, reported, story, tool
from tests.acceptance.openai_place import COLLECTION, client_of
from tests.integration.model_server import Answer, Seen

PERSON = 'Bo "Twig" Rootley'
QUESTION = f"How fast may {PERSON} go in the harbour?"


class Limit(BaseModel):
    """What may be driven, in knots."""

    who: str
    knots: int


TOOL: Any = {"type": "function", "function": {"name": "limit", "parameters": Limit.model_json_schema()}}
FLAT: Any = {"type": "function", "name": "limit", "parameters": Limit.model_json_schema(), "strict": False}
FOUND = Limit(who=PERSON, knots=3)


@pytest.fixture(scope="module")
def client(hosted: Hosted) -> Iterator[OpenAI]:
    with client_of(hosted.up) as client:
        yield client


@pytest.fixture(scope="module")
def person(hosted: Hosted, client: OpenAI) -> str:
    """What the language model knows the person as."""
    seen = hosted.says(*story("Done."))
    client.responses.create(model="trireme", input=QUESTION)
    found = re.search(r"How fast may (\[\w+\]) go", json.dumps(seen[0].body["messages"]))
    assert found, seen[0].body
    return found[1]


def formed(hosted: Hosted, *written: str) -> list[Seen]:
    """A run of one step that reads a document, and what its writer says, first to last."""
    search = tool("search_documents", query="speed limit in the harbour")
    texts = [Answer(text=text) for text in written]
    return hosted.says(PLAN, search, reported("It is 3 knots.", "harbour.md#0"), ACCEPT, *texts)


def written(person: str, knots: Any = 3) -> str:
    return json.dumps({"who": person, "knots": knots})


def test_a_chat_is_answered_by_the_schema_with_names_put_back_and_sources_beside_it(
    hosted: Hosted, client: OpenAI, person: str
) -> None:
    seen = formed(hosted, f"Here it is:\n```json\n{written(person)}\n```")
    completion: Any = client.chat.completions.parse(
        model=f"trireme:{COLLECTION}", messages=[{"role": "user", "content": QUESTION}], response_format=Limit
    )
    (choice,) = completion.choices
    assert (choice.message.parsed, choice.finish_reason) == (FOUND, "stop")
    assert json.loads(choice.message.content) == FOUND.model_dump()
    assert [source["path"] for source in completion.sources] == ["harbour.md"]
    assert completion.usage.completion_tokens > 0
    asked = seen[-1].body["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"], list(asked["schema"]["properties"])) == ("Limit", True, ["who", "knots"])
    assert ["response_format" in request.body for request in seen[1:3]] == [False, False]
    starts = {json.dumps(request.body["messages"][:2]) for request in seen}
    assert len(starts) == 1, "all roles share the prompt up to the form of the answer"
    assert "# Form of the answer" in starts.pop()
    run = completion.id.removeprefix("chatcmpl-")
    view = httpx.get(f"{hosted.up.url}/runs/{run}", timeout=30).json()
    assert json.loads(view["answer"]) == FOUND.model_dump()
    events = httpx.get(f"{hosted.up.url}/runs/{run}/events", timeout=30).text
    (line,) = (line for line in events.splitlines() if line.startswith("data:") and '"answer_written"' in line)
    assert json.loads(json.loads(line[5:])["answer"]["text"]) == FOUND.model_dump()
    again: Any = client.responses.retrieve(f"resp_{run}")
    assert json.loads(again.output_text) == FOUND.model_dump()


def test_a_stream_holds_the_valid_document_alone_though_it_took_a_second_try(
    hosted: Hosted, client: OpenAI, person: str
) -> None:
    seen = formed(hosted, written(person, "three"), written(person))
    asked: Any = {"model": "trireme", "messages": [{"role": "user", "content": QUESTION}], "response_format": Limit}
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert (json.loads(text), final.choices[0].message.parsed) == (FOUND.model_dump(), FOUND)
    assert final.usage is not None
    assert final.usage.total_tokens > 0
    assert "#/properties/knots/type" in seen[-1].body["messages"][-1]["content"]


def test_a_document_that_stays_invalid_is_an_error_that_names_its_place_in_the_schema(
    hosted: Hosted, client: OpenAI, person: str
) -> None:
    asked: Any = {"model": "trireme", "messages": [{"role": "user", "content": QUESTION}], "response_format": Limit}
    seen = formed(hosted, *[written(person, "three")] * 2)
    with pytest.raises(sdk.InternalServerError, match=r"Limit.*#/properties/knots/type") as error:
        client.chat.completions.parse(**asked)
    assert (error.value.code, len(seen)) == ("bad_reply", 6)
    formed(hosted, *[written(person, "three")] * 2)
    told = list[str]()
    with (
        client.chat.completions.stream(**asked) as stream,
        pytest.raises(sdk.APIError, match="#/properties/knots/type"),
    ):
        told.extend(event.delta for event in stream if event.type == "content.delta" and event.delta)
    assert told == []
    formed(hosted, *["no JSON"] * 2)
    response = client.responses.create(
        model="trireme", input=QUESTION, text={"format": {"type": "json_object"}}, instructions="As {knots}"
    )
    assert response.status == "failed"
    assert response.error is not None
    assert "no JSON object" in response.error.message


def test_a_response_is_answered_by_the_schema_and_says_which(hosted: Hosted, client: OpenAI, person: str) -> None:
    formed(hosted, written(person))
    response: Any = client.responses.parse(model=f"trireme:{COLLECTION}", input=QUESTION, text_format=Limit)
    assert response.output_parsed == FOUND
    assert (response.text.format.type, response.text.format.name) == ("json_schema", "Limit")
    assert [note.filename for note in response.output[-1].content[0].annotations] == ["harbour.md"]
    again: Any = client.responses.retrieve(response.id)
    assert (again.output_text, again.text, again.sources) == (response.output_text, response.text, response.sources)
    formed(hosted, written(person))
    with client.responses.stream(model="trireme", input=QUESTION, text_format=Limit) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_parsed == FOUND
    assert json.loads("".join(pieces)) == FOUND.model_dump()


def test_a_tool_that_must_be_called_is_called_with_the_answer(hosted: Hosted, client: OpenAI, person: str) -> None:
    asked: Any = {"model": f"trireme:{COLLECTION}", "messages": [{"role": "user", "content": QUESTION}]}
    formed(hosted, written(person))
    completion: Any = client.chat.completions.create(**asked, tools=[TOOL], tool_choice="required")
    (choice,) = completion.choices
    (call,) = choice.message.tool_calls
    assert (choice.message.content, choice.finish_reason, call.function.name) == (None, "tool_calls", "limit")
    assert json.loads(call.function.arguments) == FOUND.model_dump()
    assert [source["path"] for source in completion.sources] == ["harbour.md"]
    named: Any = {"type": "function", "function": {"name": "limit"}}
    formed(hosted, written(person))
    asked["messages"] += [choice.message.to_dict(), {"role": "tool", "tool_call_id": call.id, "content": "kept"}]
    asked["messages"] += [{"role": "user", "content": "And now?"}]
    with client.chat.completions.stream(**asked, tools=[TOOL], tool_choice=named) as stream:
        again = stream.get_final_completion()
        final: Any = again.choices[0]
    assert (final.finish_reason, json.loads(final.message.tool_calls[0].function.arguments)) == (
        "tool_calls",
        FOUND.model_dump(),
    )
    first, second = [
        httpx.get(f"{hosted.up.url}/runs/{each.id.removeprefix('chatcmpl-')}", timeout=30).json()["thread_id"]
        for each in (completion, again)
    ]
    assert first == second, "the call is what the thread's answer was"


def test_a_function_that_must_be_called_is_the_output_of_a_response(
    hosted: Hosted, client: OpenAI, person: str
) -> None:
    asked: Any = {"model": "trireme", "input": QUESTION, "tools": [FLAT]}
    formed(hosted, written(person))
    response: Any = client.responses.create(**asked, tool_choice="required")
    call = response.output[-1]
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "limit", FOUND.model_dump())
    assert (response.tool_choice, response.tools[0].name) == ("required", "limit")
    formed(hosted, written(person))
    with client.responses.stream(**asked, tool_choice={"type": "function", "name": "limit"}) as stream:
        done = [event.arguments for event in stream if event.type == "response.function_call_arguments.done"]
        streamed: Any = stream.get_final_response().output[-1]
    assert [json.loads(each) for each in done] == [FOUND.model_dump()]
    assert (streamed.type, streamed.status) == ("function_call", "completed")
    formed(hosted, "It is 3 knots.")
    echoed: Any = [item.model_dump() for item in response.output]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "kept"}
    echoed += [result, {"role": "user", "content": "In words?"}]
    more = client.responses.create(model="trireme", input=echoed)
    assert more.output_text == "It is 3 knots."


def test_what_the_agent_asks_is_a_refusal_and_the_document_comes_when_it_was_decided(
    hosted: Hosted, client: OpenAI, person: str
) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    formed(hosted, written(person))
    asked: Any = {"model": "trireme", "response_format": Limit, "extra_body": {"review_plan": True}}
    messages: Any = [{"role": "user", "content": opening}]
    question = client.chat.completions.parse(**asked, messages=messages).choices[0].message
    assert (question.parsed, question.content) == (None, None)
    assert "Approval needed" in str(question.refusal)
    messages += [question.to_dict(), {"role": "user", "content": "approve"}]
    assert client.chat.completions.parse(**asked, messages=messages).choices[0].message.parsed == FOUND
    hosted.says(PLAN)
    with client.responses.stream(
        model="trireme", input=QUESTION, text_format=Limit, extra_body={"review_plan": True}
    ) as stream:
        refused = "".join(event.delta for event in stream if event.type == "response.refusal.delta")
        response = stream.get_final_response()
    assert "Approval needed" in refused
    assert (response.output_parsed, response.output[-1].type) == (None, "mcp_approval_request")
    client.responses.cancel(response.id)


def test_a_key_makes_one_answer_by_one_schema(hosted: Hosted, client: OpenAI, person: str) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    asked: Any = {"model": "trireme", "messages": [{"role": "user", "content": QUESTION}], "extra_headers": key}
    seen = formed(hosted, written(person))
    once, twice = [client.chat.completions.parse(**asked, response_format=Limit) for _ in range(2)]
    assert (once.id, len(seen)) == (twice.id, 5)
    with pytest.raises(sdk.ConflictError) as error:
        client.chat.completions.create(**asked, response_format={"type": "json_object"})
    assert error.value.code == "idempotency_mismatch"


def test_a_run_that_meets_its_bound_before_the_document_fails(hosted: Hosted, client: OpenAI) -> None:
    formed(hosted)
    form = {"name": "limit", "json_schema": Limit.model_json_schema()}
    body = {"goal": QUESTION, "form": form, "bounds": {"model_calls": 4}}
    run = httpx.post(f"{hosted.up.url}/runs", params={"wait": True}, json=body, timeout=60).json()
    assert (run["status"], run["error"]["code"], run["answer"]) == ("error", "bound_reached", None)
