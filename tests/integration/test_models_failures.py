"""What goes wrong on the way to a model: tried again, answered elsewhere, or refused with the mend; nothing leaks."""

import json
import logging
import time
from dataclasses import replace

import pytest

from graph.errors import BadReply, ModelRefused, ModelUnavailable, TriremeError
from graph.state import Verdict
from serving.models.faults import translated
from serving.models.gateway import Gateway
from serving.models.select import Credentials, select_routes
from tests.integration.gateway_house import (
    KEY,
    MARKS,
    SECRET,
    call,
    gateway,
    holds_no_secret,
    ignore,
    impatient,
    server,
)
from tests.integration.model_server import Answer, ModelServer

__all__ = ["gateway", "impatient", "server"]
pytestmark = MARKS


async def test_a_rate_limit_is_waited_out_as_long_as_the_provider_asks(server: ModelServer, gateway: Gateway) -> None:
    seen = server.will("main", Answer(status=429, headers={"Retry-After": "1"}), Answer("now"))
    assert (await gateway.complete(call())).text == "now"
    assert seen[1].at - seen[0].at >= 1.0
    assert len(seen) == 2


async def test_a_server_error_is_tried_again_as_often_as_the_routes_allow(
    server: ModelServer, gateway: Gateway, impatient: Gateway
) -> None:
    seen = server.will("main", Answer(status=500), Answer("now"))
    assert (await gateway.complete(call())).text == "now"
    assert len(seen) == 2
    seen = server.will("main", *[Answer(status=500)] * 5)
    with pytest.raises(ModelUnavailable, match=r"the provider failed \(500\)"):
        await impatient.complete(call())
    assert len(seen) == 1


async def test_the_second_deployment_answers_when_the_first_fails(server: ModelServer, gateway: Gateway) -> None:
    left, right = server.will("left", *[Answer(status=500)] * 9), server.will("right", *[Answer("from the right")] * 9)
    for number in range(4):
        reply = await gateway.complete(call("pair", thread=f"thread {number}"))
        assert (reply.text, reply.model) == ("from the right", "hosted_vllm/right")
    assert len(right) == 4
    assert len(left) <= 4


async def test_a_thread_stays_with_its_deployment(server: ModelServer, gateway: Gateway) -> None:
    left, right = server.will("left"), server.will("right")
    for _ in range(8):
        await gateway.complete(call("pair", thread="a thread of eight calls"))
    assert sorted((len(left), len(right))) == [0, 8]


async def test_a_fallback_alias_answers_and_is_named_and_priced(server: ModelServer, gateway: Gateway) -> None:
    server.will("front", *[Answer(status=503)] * 4)
    server.will("spare", Answer("from the spare"))
    reply = await gateway.complete(call("front"))
    assert (reply.text, reply.model) == ("from the spare", "hosted_vllm/spare")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_names_its_variable_also_while_the_deployment_rests(
    server: ModelServer, impatient: Gateway, status: int
) -> None:
    server.will("refused1", *[Answer(status=status)] * 9)
    server.will("refused2", *[Answer(status=status)] * 9)
    for _ in range(3):
        with pytest.raises(ModelRefused, match="check TEST_KEY") as caught:
            await impatient.complete(call("refused"))
        holds_no_secret(caught.value)


async def test_an_unknown_model_says_where_to_set_another(server: ModelServer, gateway: Gateway) -> None:
    server.will("unknown", Answer(status=404))
    with pytest.raises(ModelRefused, match=r'model "hosted_vllm/unknown" is not known by .*set agent.roles') as caught:
        await gateway.complete(call("unknown"))
    holds_no_secret(caught.value)
    with pytest.raises(ModelRefused, match=r'"gpt-99" is not in the routes; known: main, pair'):
        await gateway.complete(call("gpt-99"))


async def test_a_refused_request_is_not_tried_again(server: ModelServer, gateway: Gateway) -> None:
    seen = server.will("plain", Answer(status=400))
    with pytest.raises(ModelRefused, match="refuses the request") as caught:
        await gateway.complete(call("plain"))
    holds_no_secret(caught.value)
    assert len(seen) == 1


async def test_a_provider_that_wants_credit_is_not_asked_to_try_again(server: ModelServer, impatient: Gateway) -> None:
    server.will("plain", *[Answer(status=402)] * 9)
    with pytest.raises(ModelRefused, match=r"credit first \(402\)") as caught:
        await impatient.complete(call("plain"))
    holds_no_secret(caught.value)


async def test_a_filter_of_the_provider_is_named(server: ModelServer, gateway: Gateway) -> None:
    told = {"message": "The response was filtered", "type": "invalid_request_error", "code": "content_policy_violation"}
    seen = server.will("main", Answer(status=400, raw=json.dumps({"error": told}).encode()))
    with pytest.raises(ModelRefused, match="its filter") as caught:
        await gateway.complete(call(reply=Verdict))
    holds_no_secret(caught.value)
    assert len(seen) == 1


@pytest.mark.parametrize("model", ["main", "plain"])
@pytest.mark.parametrize("raw", [b"<html>oops</html>", b'{"foo": 1}', b"", b"\xb8", b"null", b'{"choices": []}'])
async def test_a_body_that_is_no_completion_is_a_bad_reply(
    server: ModelServer, impatient: Gateway, model: str, raw: bytes
) -> None:
    server.will(model, *[Answer(raw=raw)] * 2)
    with pytest.raises(BadReply, match="no chat completion") as caught:
        await impatient.complete(call(model))
    assert "oops" not in str(caught.value)


async def test_a_stream_that_is_none_is_a_bad_reply(server: ModelServer, impatient: Gateway) -> None:
    server.will("main", *[Answer(raw=b"<html>oops</html>")] * 2)
    with pytest.raises(BadReply):
        await impatient.complete(call(), ignore)


async def test_a_connection_that_drops_in_a_stream_is_unavailable(server: ModelServer, impatient: Gateway) -> None:
    server.will("main", *[Answer("half of it", dropped=True)] * 2)
    with pytest.raises(ModelUnavailable, match="connection broke"):
        await impatient.complete(call(), ignore)


async def test_a_slow_provider_is_given_up_in_time(server: ModelServer, gateway: Gateway) -> None:
    server.will("spare", Answer(delay=30))
    hasty = Gateway(replace(gateway._routes, timeout_s=0.5), secret=b"s")
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"within 0\.5 s"):
        await hasty.complete(call("spare"))
    assert time.monotonic() - started < 15


async def test_neither_log_nor_error_holds_the_prompt_or_the_key(
    server: ModelServer, impatient: Gateway, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (Answer(status=400), Answer(status=500), Answer(raw=b"{"), Answer("half of it", dropped=True)):
        for on_piece in (None, ignore):
            server.will("plain", *[answer] * 2)
            with pytest.raises(TriremeError) as caught:
                await impatient.complete(call("plain"), on_piece)
            holds_no_secret(caught.value)
    output = capfd.readouterr()
    for text in (caplog.text, output.out, output.err):
        assert SECRET not in text
        assert KEY not in text


async def test_a_package_that_a_models_way_lacks_is_named() -> None:
    (deployment,) = select_routes(Credentials(openai_api_key="k")).deployments
    error = ConnectionError("LiteLLM says this of whatever it meets")
    error.__cause__ = ModuleNotFoundError("No module named 'mcp'", name="mcp")
    refused = translated(error, deployment)
    assert isinstance(refused, ModelRefused)
    assert "the Python package mcp" in str(refused)
