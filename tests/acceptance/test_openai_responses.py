"""OpenAI's own client against `/v1/responses` of a running stack: each operation, its stream's events, bad input."""

import uuid
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import httpx
import openai as sdk
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.acceptance.conftest import Up
from tests.acceptance.openai_place import COLLECTION, QUESTION, openai, status_of
from tests.acceptance.processes import wait_until

__all__ = ["openai"]
MODEL = f"trireme:{COLLECTION}"
BERTH = "And what does a berth cost a night?"


DECISION = {"type": "mcp_approval_response", "approval_request_id": "mcpr_plan-1", "approve": True}
FORMAT = {"type": "json_schema", "name": "limit", "strict": True}


def run_of(response: Response) -> str:
    return str(uuid.UUID(response.id.removeprefix("resp_")))


def thread_of(up: Up, response: Response) -> str:
    return str(httpx.get(f"{up.url}/runs/{run_of(response)}", timeout=90).json()["thread_id"])


def recalled(up: Up, response: Response) -> str:
    events = httpx.get(f"{up.url}/runs/{run_of(response)}/events", timeout=90).text
    return events.partition("conversation_recalled")[2].partition("plan_proposed")[0]


def kinds(events: Iterable[Any]) -> list[str]:
    """In order; a kind that repeats is named once."""
    return [kind for kind, _ in groupby(event.type for event in events)]


def test_a_response_is_a_run_that_can_be_read_again(openai: OpenAI, up: Up) -> None:
    made = openai.responses.create(
        model=MODEL, input=QUESTION, metadata={"ticket": "7"}, instructions="Ask ada@example.com", user="u1"
    )
    assert made.status == "completed"
    assert "3 knots" in made.output_text
    assert [item.type for item in made.output] == ["reasoning", "message"]
    message = made.output[1]
    assert message.type == "message"
    assert message.content[0].type == "output_text"
    assert [note.filename for note in message.content[0].annotations if note.type == "file_citation"] == ["harbour.md"]
    view = httpx.get(f"{up.url}/runs/{run_of(made)}", timeout=90).json()
    assert made.usage is not None
    assert made.usage.input_tokens_details.cached_tokens == view["usage"]["cached_tokens"] > 0
    again = openai.responses.retrieve(made.id)
    assert again.output == made.output
    assert (again.metadata, again.model, again.user) == ({"ticket": "7"}, MODEL, "u1")
    assert again.instructions == "Ask ada@example.com"
    (item,) = openai.responses.input_items.list(made.id)
    assert item.to_dict()["content"] == [{"type": "input_text", "text": QUESTION}]


def test_a_stream_tells_typed_events_in_order(openai: OpenAI) -> None:
    with openai.responses.stream(model=MODEL, input=[{"role": "user", "content": QUESTION}]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert kinds(events) == [
        "response.created", "response.in_progress",
        "response.output_item.added", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
        "response.output_item.added", "response.content_part.added", "response.output_text.delta",
        "response.output_text.annotation.added", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    told = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert told == final.output_text
    assert "3 knots" in told


def test_the_next_response_goes_on_on_the_same_thread_and_an_earlier_one_is_branched_off(
    openai: OpenAI, up: Up
) -> None:
    opening = f"{QUESTION} ({uuid.uuid4().hex})"
    first = openai.responses.create(model=MODEL, input=opening)
    second = openai.responses.create(model=MODEL, input=BERTH, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert thread_of(up, second) == thread_of(up, first)
    assert opening in recalled(up, second)
    branch = openai.responses.create(model=MODEL, input="Who is the harbour master?", previous_response_id=first.id)
    assert thread_of(up, branch) != thread_of(up, first)
    assert opening in recalled(up, branch)
    assert BERTH not in recalled(up, branch)


def test_a_background_response_is_made_at_once_and_followed_later(openai: OpenAI, up: Up) -> None:
    made = openai.responses.create(model=MODEL, input=QUESTION, background=True)
    assert (made.status, made.background, made.output) == ("queued", True, [])
    assert wait_until(lambda: openai.responses.retrieve(made.id).status == "completed")
    whole = list(openai.responses.retrieve(made.id, stream=True))
    assert kinds(whole)[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert kinds(whole)[-1] == "response.completed"
    rest = list(openai.responses.retrieve(made.id, stream=True, starting_after=5))
    assert [event.to_dict() for event in rest] == [event.to_dict() for event in whole[6:]]


def test_a_stream_that_was_cut_off_is_taken_up_behind_its_last_event(openai: OpenAI) -> None:
    stream = openai.responses.create(model=MODEL, input=QUESTION, background=True, stream=True)
    first = next(iter(stream))
    assert first.type == "response.created"
    stream.close()
    rest = list(openai.responses.retrieve(first.response.id, stream=True, starting_after=first.sequence_number))
    assert [event.sequence_number for event in rest] == list(range(1, len(rest) + 1))
    assert rest[-1].type == "response.completed"
    assert "3 knots" in rest[-1].response.output_text


def test_an_approval_is_a_message_and_an_item_that_a_typed_answer_decides(openai: OpenAI, up: Up) -> None:
    parked = openai.responses.create(model=MODEL, input=QUESTION, extra_body={"review_plan": True, "channel": "api"})
    assert parked.status == "completed", "its turn is over: it asked"
    assert f"{up.url}/runs/{run_of(parked)}" in parked.output_text
    request = parked.output[-1]
    assert request.type == "mcp_approval_request"
    retold = openai.responses.create(model=MODEL, input="approve", previous_response_id=parked.id)
    assert (retold.id, status_of(up, run_of(parked))) == (parked.id, "interrupted"), "this channel asks for a link"
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": request.id, "approve": True}
    done = openai.responses.create(model=MODEL, input=[answer], previous_response_id=parked.id)
    assert done.id == parked.id
    assert "3 knots" in done.output_text
    assert "Approval needed" not in done.output_text
    with pytest.raises(sdk.ConflictError) as error:
        openai.responses.create(model=MODEL, input=[answer], previous_response_id=parked.id)
    assert error.value.code == "no_decision_pending"


def test_a_client_that_lists_its_tools_is_sent_a_request_of_the_servers_among_them_only(openai: OpenAI) -> None:
    """OpenAI's Agents SDK lists them always, and fails over a request of a server that it doesn't know."""
    server: Any = {"type": "mcp", "server_label": "trireme", "server_url": "http://localhost/mcp"}
    listed: Any = (([], False), ([{**server, "server_label": "deepwiki"}], False), ([server], True))
    for tools, typed in listed:
        parked = openai.responses.create(
            model=MODEL, input=QUESTION, tools=tools, extra_body={"review_plan": True, "typed": True}
        )
        assert "Approval needed" in parked.output_text
        assert ("mcp_approval_request" in kinds(parked.output)) == typed
        assert openai.responses.retrieve(parked.id).output == parked.output
        assert "typed" not in parked.to_dict()
        done = openai.responses.create(model=MODEL, input="approve", previous_response_id=parked.id, tools=tools)
        assert "3 knots" in done.output_text


def test_a_decision_counts_where_the_whole_conversation_is_sent_again(openai: OpenAI, up: Up) -> None:
    """As OpenAI's Agents SDK goes on from an approval."""
    said: list[Any] = [{"role": "user", "content": f"{QUESTION} ({uuid.uuid4().hex})"}]
    parked = openai.responses.create(model=MODEL, input=said, extra_body={"review_plan": True, "channel": "api"})
    answer = {"type": "mcp_approval_response", "approval_request_id": parked.output[-1].id, "approve": True}
    said += [*(item.to_dict() for item in parked.output), answer]
    done = openai.responses.create(model=MODEL, input=said)
    assert done.id == parked.id
    assert "3 knots" in done.output_text
    with pytest.raises(sdk.ConflictError) as error:
        openai.responses.create(model=MODEL, input=said)
    assert error.value.code == "no_decision_pending"
    said += [*(item.to_dict() for item in done.output), {"role": "user", "content": BERTH}]
    more = openai.responses.create(model=MODEL, input=said)
    assert "48" in more.output_text
    assert thread_of(up, more) == thread_of(up, parked)


def test_of_two_questions_each_is_decided_where_the_whole_conversation_is_sent_again(openai: OpenAI) -> None:
    said: list[Any] = [{"role": "user", "content": f"{QUESTION} ({uuid.uuid4().hex})"}]
    ids = set[str]()
    for decision in ({"approve": False, "reason": "ask the harbour master"}, {"approve": True}):
        parked = openai.responses.create(model=MODEL, input=said, extra_body={"review_plan": True, "channel": "api"})
        request = parked.output[-1]
        assert request.type == "mcp_approval_request"
        ids.add(request.id)
        answer = {"type": "mcp_approval_response", "approval_request_id": request.id, **decision}
        said += [*(item.to_dict() for item in parked.output), answer]
    assert len(ids) == 2
    done = openai.responses.create(model=MODEL, input=said)
    assert done.id == parked.id
    assert "3 knots" in done.output_text


def test_a_reply_decides_where_the_channel_takes_one(openai: OpenAI, up: Up) -> None:
    parked = openai.responses.create(model=MODEL, input=QUESTION, extra_body={"review_plan": True})
    done = openai.responses.create(model=MODEL, input="reject: ask the harbour master", previous_response_id=parked.id)
    assert done.id == parked.id
    assert "Approval needed" in done.output_text, "another plan was made, and is asked about"
    openai.responses.cancel(done.id)
    lines = httpx.get(f"{up.url}/runs/{run_of(parked)}/events", timeout=90).text
    assert "ask the harbour master" in lines


def test_cancel_ends_the_run_and_delete_forgets_the_response(openai: OpenAI, up: Up) -> None:
    made = openai.responses.create(model=MODEL, input=QUESTION, background=True, extra_body={"review_plan": True})
    with pytest.raises(sdk.ConflictError, match="cancel it first"):
        openai.responses.delete(made.id)
    assert [openai.responses.cancel(made.id).status for _ in range(2)] == ["cancelled", "cancelled"]
    assert status_of(up, run_of(made)) == "cancelled"
    openai.responses.delete(made.id)
    for gone in (openai.responses.retrieve, openai.responses.cancel, openai.responses.delete):
        with pytest.raises(sdk.NotFoundError) as error:
            gone(made.id)
        assert error.value.code == "response_not_found"
    assert status_of(up, run_of(made)) == "cancelled", "the run's log is kept"
    done = openai.responses.create(model=MODEL, input=QUESTION)
    with pytest.raises(sdk.BadRequestError, match="has ended"):
        openai.responses.cancel(done.id)


def test_a_response_that_is_not_stored_can_not_be_read_or_gone_on_from(openai: OpenAI) -> None:
    made = openai.responses.create(model=MODEL, input=QUESTION, store=False)
    assert "3 knots" in made.output_text
    with pytest.raises(sdk.NotFoundError):
        openai.responses.retrieve(made.id)
    with pytest.raises(sdk.BadRequestError) as error:
        openai.responses.create(model=MODEL, input=BERTH, previous_response_id=made.id)
    assert error.value.code == "previous_response_not_found"


def test_what_was_said_elsewhere_comes_along_as_items(openai: OpenAI, up: Up) -> None:
    talk: Any = [
        {"role": "user", "content": [{"type": "input_text", "text": "Who owns Alma?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Kai does."}]},
        {"role": "user", "content": QUESTION},
    ]
    made = openai.responses.create(model=MODEL, input=talk)
    assert "3 knots" in made.output_text
    assert "Kai does." in recalled(up, made)


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found"),
        ({"input": " "}, 400, "goal_empty"),
        ({"input": []}, 400, "no_user_message"),
        ({"input": [{"type": "computer_call_output", "call_id": "c", "output": "7"}]}, 400, "unsupported_content"),
        ({"input": [{"type": "message", "role": 7}]}, 400, "invalid_request"),
        ({"input": [DECISION]}, 400, "bad_request"),
        ({"input": [{"type": "mcp_approval_response"}]}, 400, "invalid_request"),
        ({"input": [DECISION, {**DECISION, "approve": False}]}, 400, "bad_request"),
        ({"previous_response_id": "resp_0"}, 400, "previous_response_not_found"),
        ({"background": True, "store": False}, 400, "unsupported"),
        ({"conversation": "conv_1"}, 400, "unsupported"),
        ({"text": {"format": {"type": "grammar"}}}, 400, "unsupported"),
        ({"text": {"format": {**FORMAT, "schema": {"type": "array"}}}}, 400, "bad_schema"),
        ({"text": {"format": {**FORMAT, "schema": {"type": "objekt"}}}}, 400, "bad_schema"),
        ({"text": {"format": {**FORMAT, "schema": {"type": "object", "title": "x" * 1_000_000}}}}, 400, "bad_schema"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, 400, "unsupported"),
    ],
)
def test_a_request_that_can_not_be_served_gets_openais_error(
    openai: OpenAI, options: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(sdk.APIStatusError) as error:
        openai.responses.create(**{"model": MODEL, "input": QUESTION, **options})
    assert (error.value.status_code, error.value.code) == (status, code)
