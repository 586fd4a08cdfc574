"""The gateway through the real LiteLLM Router and real sockets, against a provider that answers as it is told."""

import asyncio
import json
import re

import pytest
from pydantic import BaseModel

from graph.errors import BadReply, ModelRefused, ModelUnavailable, StreamCut
from graph.ports import CallPiece, Message, ModelCall, Usage
from privacy.redact import from_record
from serving.models.gateway import Gateway
from serving.models.request import GatewayRefused
from serving.models.select import Credentials, select_routes
from tests.integration.gateway_house import COST, KEY, MARKS, SECRET, call, gateway, ignore, server
from tests.integration.model_server import Answer, ModelServer

__all__ = ["gateway", "server"]
pytestmark = MARKS


class City(BaseModel):
    name: str
    people: int


async def test_a_plain_reply_comes_with_tokens_and_the_cost_of_our_own_prices(
    server: ModelServer, gateway: Gateway
) -> None:
    server.will("main", Answer("Lisbon."))
    reply = await gateway.complete(call())
    assert reply.text == "Lisbon."
    assert reply.model == "hosted_vllm/main"
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.cached_tokens) == (1000, 20, 600)
    assert reply.usage.cost_usd == pytest.approx(COST)


async def test_the_request_carries_tools_by_name_salt_session_and_no_key_of_ours(
    server: ModelServer, gateway: Gateway
) -> None:
    seen = server.will("main")
    await gateway.complete(call())
    await gateway.complete(call(tools=True))
    await gateway.complete(call(thread="t2"))
    first, second, third = (request.body for request in seen)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["calculate", "search_documents"]
    assert (first["tool_choice"], second["tool_choice"]) == ("none", "auto")
    assert first["tools"] == second["tools"]
    assert first["messages"] == second["messages"]
    assert first["messages"][2].get("content") is None
    assert first["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"a": 2, "b": 1}'
    assert re.fullmatch(r"[0-9a-f]{64}", first["cache_salt"])
    assert first["cache_salt"] == third["cache_salt"]
    sessions = [request.headers["modal-session-id"] for request in seen]
    assert sessions[0] == sessions[1] != sessions[2]
    assert re.fullmatch(r"[0-9a-f]{32}", sessions[0])
    assert "metadata" not in first
    assert seen[0].headers["authorization"] == f"Bearer {KEY}"


async def test_another_tenant_gets_another_salt(server: ModelServer, gateway: Gateway) -> None:
    """Each call is its own tenant's, also when several wait for the same engine; one that takes no salt gets none."""
    await gateway.open()
    seen = server.will("main")
    tenants = ("acme", "umbrella") * 4
    await asyncio.gather(*(gateway.of(tenant).complete(call(thread=tenant)) for tenant in tenants))
    salts = {(request.headers["modal-session-id"], request.body["cache_salt"]) for request in seen}
    assert len(salts) == len({salt for _, salt in salts}) == 2
    plain = server.will("plain")
    await gateway.of("umbrella").complete(call("plain"))
    assert "cache_salt" not in plain[0].body
    mine, other = Gateway(gateway._routes, secret=b"s"), Gateway(gateway._routes, secret=b"other")
    assert mine._derived("cache_salt", "a") != other._derived("cache_salt", "a")


async def test_an_openai_compatible_server_keeps_its_own_headers_and_gets_the_session(
    server: ModelServer, gateway: Gateway
) -> None:
    seen = server.will("plain")
    await gateway.complete(call("plain"))
    assert seen[0].headers["proxy-token"] == "p1"
    assert re.fullmatch(r"[0-9a-f]{32}", seen[0].headers["x-session-id"])
    assert seen[0].body["prompt_cache_key"] == seen[0].headers["x-session-id"]
    assert "cache_salt" not in seen[0].body


async def test_a_stream_hands_on_its_text_in_order_and_counts_the_cached_tokens(
    server: ModelServer, gateway: Gateway
) -> None:
    server.will("main", Answer("Lisbon is it."))
    pieces: list[str] = []

    async def on_piece(piece: str | CallPiece) -> None:
        assert isinstance(piece, str)
        pieces.append(piece)

    reply = await gateway.complete(call(), on_piece)
    assert len(pieces) > 1
    assert "".join(pieces) == reply.text == "Lisbon is it."
    assert reply.usage.cached_tokens == 600
    assert reply.usage.cost_usd == pytest.approx(COST)
    assert reply.model == "hosted_vllm/main"


@pytest.mark.parametrize("streaming", [False, True])
async def test_tool_calls_arrive_with_their_arguments(server: ModelServer, gateway: Gateway, streaming: bool) -> None:
    server.will("main", Answer("", calls=(("calculate", '{"e": "1+1"}'), ("search_documents", '{"q": "tea"}'))))
    reply = await gateway.complete(call(tools=True), ignore if streaming else None)
    assert [(made.id, made.name, made.arguments) for made in reply.tool_calls] == [
        ("call_0", "calculate", {"e": "1+1"}),
        ("call_1", "search_documents", {"q": "tea"}),
    ]


async def test_tool_calls_are_handed_on_as_they_come(server: ModelServer, gateway: Gateway) -> None:
    pieces: list[CallPiece] = []

    async def on_piece(piece: str | CallPiece) -> None:
        assert isinstance(piece, CallPiece)
        pieces.append(piece)

    server.will("main", Answer("", calls=(("calculate", '{"e": "1+1"}'), ("search_documents", '{"q": "tea"}'))))
    await gateway.complete(call(tools=True), on_piece)
    named = [(piece.index, piece.id, piece.name) for piece in pieces]
    assert named == [(0, "call_0", "calculate")] * 2 + [(1, "call_1", "search_documents")] * 2
    assert [piece.arguments for piece in pieces] == ['{"e": ', '"1+1"}', '{"q": ', '"tea"}']


@pytest.mark.parametrize("dropped", [False, True])
async def test_a_stream_that_breaks_off_says_what_the_part_has_cost_and_is_asked_for_once(
    server: ModelServer, gateway: Gateway, dropped: bool
) -> None:
    calls = (("calculate", '{"e": "1+1"}'),)
    seen = server.will("main", *[Answer("half of it, and more", calls, cut=not dropped, dropped=dropped)] * 2)
    with pytest.raises(StreamCut, match="the connection broke, or the stream ended") as caught:
        await gateway.complete(call(tools=True), ignore)
    usage = Usage.model_validate(caught.value.usage)
    assert usage.input_tokens > 50
    assert usage.output_tokens > 0
    assert usage.cost_usd > 0
    assert len(seen) == 1


async def test_what_fails_in_who_is_told_of_a_stream_is_no_stream_that_breaks_off(
    server: ModelServer, gateway: Gateway
) -> None:
    async def fails(piece: str | CallPiece) -> None:
        raise ValueError

    seen = server.will("main", *[Answer("half of it")] * 2)
    with pytest.raises(ModelUnavailable) as caught:
        await gateway.complete(call(tools=True), fails)
    assert not isinstance(caught.value, StreamCut)
    assert len(seen) == 1


@pytest.mark.parametrize("arguments", ['{"q": "tea"', "[1]", '"tea"', '{"q": NaN}', "nope"])
async def test_tool_arguments_that_are_no_object_are_a_bad_reply_that_names_the_tool(
    server: ModelServer, gateway: Gateway, arguments: str
) -> None:
    server.will("main", Answer("", calls=(("search_documents", arguments),)))
    with pytest.raises(BadReply, match="search_documents"):
        await gateway.complete(call(tools=True))


async def test_a_tool_call_of_a_role_that_may_call_none_is_left_out(server: ModelServer, gateway: Gateway) -> None:
    server.will("main", Answer("the text", calls=(("calculate", "{}"),)), Answer("", calls=(("calculate", "{}"),)))
    assert (await gateway.complete(call())).tool_calls == ()
    with pytest.raises(BadReply, match="empty"):
        await gateway.complete(call())


async def test_what_postgres_and_utf8_cannot_hold_is_taken_out(server: ModelServer, gateway: Gateway) -> None:
    server.will("main", Answer("a\0b\ud800c"), Answer("", calls=(("calculate", '{"e": "1\\u0000+\\ud8001"}'),)))
    assert (await gateway.complete(call())).text == "ab?c"
    assert (await gateway.complete(call(tools=True))).tool_calls[0].arguments == {"e": "1+?1"}


async def test_a_structured_reply_is_found_in_fences_and_prose(server: ModelServer, gateway: Gateway) -> None:
    seen = server.will("main", Answer('Here {as asked}:\n```json\n{"name": "Porto", "people": 3}\n```\nDone.'))
    reply = await gateway.complete(call(reply=City))
    assert reply.parsed == City(name="Porto", people=3)
    assert seen[0].body["response_format"]["json_schema"]["schema"]["required"] == ["name", "people"]


async def test_a_deployment_without_native_schemas_gets_none(server: ModelServer, gateway: Gateway) -> None:
    seen = server.will("plain", Answer('{"name": "Porto", "people": 3}'))
    assert (await gateway.complete(call("plain", City))).parsed == City(name="Porto", people=3)
    assert "response_format" not in seen[0].body


async def test_an_invalid_structured_reply_is_repaired_once_and_both_calls_are_paid(
    server: ModelServer, gateway: Gateway
) -> None:
    seen = server.will("main", Answer('{"name": "Porto"}'), Answer('{"name": "Porto", "people": 3}'))
    reply = await gateway.complete(call(reply=City))
    assert reply.parsed == City(name="Porto", people=3)
    assert reply.usage.cost_usd == pytest.approx(2 * COST)
    first, second = (request.body["messages"] for request in seen)
    assert second[: len(first)] == first
    assert second[-2] == {"role": "assistant", "content": '{"name": "Porto"}'}
    assert "people: Field required" in second[-1]["content"]


def refused_by_vllm(message: str) -> Answer:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return Answer(status=400, raw=json.dumps({"error": error}).encode())


async def test_an_engine_that_cannot_hold_a_reply_to_its_schema_is_asked_without(
    server: ModelServer, gateway: Gateway
) -> None:
    refusal = refused_by_vllm('Grammar error: Unimplemented keys: ["uniqueItems"]')
    seen = server.will("main", refusal, Answer('{"name": "Porto", "people": 3}'))
    reply = await gateway.complete(call(reply=City))
    assert reply.parsed == City(name="Porto", people=3)
    assert reply.usage.cost_usd == pytest.approx(COST)
    first, second = (request.body for request in seen)
    assert first.pop("response_format")["type"] == "json_schema"
    assert first == second


async def test_a_prompt_that_is_too_long_is_so_without_a_schema_too(server: ModelServer, gateway: Gateway) -> None:
    told = "This model's maximum context length is 8 tokens. However, your prompt contains at least 9 input tokens."
    seen = server.will("main", refused_by_vllm(told), Answer('{"name": "Porto", "people": 3}'))
    with pytest.raises(ModelRefused, match="longer than its context"):
        await gateway.complete(call(reply=City))
    assert len(seen) == 1


async def test_a_structured_reply_that_stays_wrong_is_a_bad_reply_without_its_words(
    server: ModelServer, gateway: Gateway
) -> None:
    seen = server.will("main", Answer(SECRET), Answer(f'{{"name": 5, "{SECRET}": 1}}'), Answer("unused"))
    with pytest.raises(BadReply, match=r"City, also after one repair: City.name") as caught:
        await gateway.complete(call(reply=City))
    assert SECRET not in str(caught.value)
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (Answer("", finish="length"), call()),
        (Answer('{"name": "Por', finish="length"), call(reply=City)),
        (Answer("", calls=(("calculate", '{"e": "1 +'),), finish="length"), call(tools=True)),
    ],
)
async def test_a_reply_that_used_up_its_tokens_says_so(
    server: ModelServer, gateway: Gateway, answer: Answer, asked: ModelCall
) -> None:
    server.will("main", answer, answer)
    with pytest.raises(BadReply, match="max_tokens=100"):
        await gateway.complete(asked)


async def test_usage_is_estimated_where_the_provider_gives_none(server: ModelServer, gateway: Gateway) -> None:
    server.will("main", Answer("twenty characters...", usage=None))
    usage = (await gateway.complete(call())).usage
    assert usage.input_tokens > 50
    assert usage.output_tokens == 5
    assert usage.cost_usd == pytest.approx(usage.input_tokens * 1e-6 + 5e-5)


async def test_text_that_is_not_redacted_never_goes_out(server: ModelServer, gateway: Gateway) -> None:
    seen = server.will("main")
    plain = call()
    bad = Message("user", "a plain str")  # type: ignore[arg-type]
    with pytest.raises(GatewayRefused, match=r"message 5 \(user\) is str, not Redacted") as caught:
        await gateway.complete(ModelCall("r", "t", plain.task, (*plain.messages, bad), (), model="main"))
    assert isinstance(caught.value, TypeError)
    assert "a plain str" not in str(caught.value)
    assert seen == []


async def test_the_estimate_is_above_what_the_call_costs_and_stops_one_too_dear(
    server: ModelServer, gateway: Gateway
) -> None:
    wanted = call(reply=City)
    size = sum(len(message.content) for message in wanted.messages)
    assert gateway.estimate(wanted) > size / 4 * 1e-6 + 100 * 1e-5
    assert gateway.estimate(wanted) > gateway.estimate(call())
    seen = server.will("main")
    long = Message("user", from_record("word " * 1_000_000))
    with pytest.raises(ModelRefused, match=r"max_cost_usd is \$1"):
        await gateway.complete(ModelCall("r", "t", wanted.task, (long,), (), model="main"))
    assert seen == []


async def test_claude_gets_cache_breakpoints_and_its_cached_tokens_are_priced_from_the_list(
    server: ModelServer, gateway: Gateway
) -> None:
    seen = server.will("claude")
    reply = await gateway.complete(call("claude"))
    body = seen[0].body
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert body["messages"][-1]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert [tool["name"] for tool in body["tools"]] == ["calculate", "search_documents"]
    assert body["tool_choice"] == {"type": "none"}
    assert "sanitised" not in json.dumps(body)
    assert seen[0].headers["x-api-key"] == KEY
    assert (reply.usage.input_tokens, reply.usage.cached_tokens) == (1000, 600)
    assert reply.usage.cost_usd == pytest.approx(100 * 2e-6 + 600 * 1e-7 + 300 * 2.5e-6 + 20 * 1e-5)


async def test_the_default_model_of_openai_is_asked_for_chat_completions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some are bridged to /v1/responses when they are given tools; LiteLLM imports `mcp` there, which isn't ours."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.main import responses_api_bridge_check

    (deployment,) = select_routes(Credentials(openai_api_key="k")).deployments
    tools = [{"type": "function", "function": {"name": "search"}}]
    effort = deployment.params["reasoning_effort"]
    info, _ = responses_api_bridge_check(
        deployment.model.removeprefix("openai/"), "openai", tools=tools, reasoning_effort=effort
    )
    assert info["mode"] == "chat"
