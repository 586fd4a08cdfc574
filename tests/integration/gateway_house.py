"""What the tests of the gateway share: a provider on a socket, routes that lead there, and the gateway over them."""

import json
import traceback
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import BaseModel

from graph.ports import CallPiece, Message, ModelCall, Overview, PlanTask, StepTask, ToolCall, ToolSchema
from graph.state import Step
from privacy.redact import from_record
from serving.models.gateway import Gateway
from serving.models.routes_file import load_routes
from tests.integration.model_server import ModelServer

MARKS = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*fields' attribute on the instance:DeprecationWarning"),
]

SECRET = "PROMPT-WORD-THAT-MUST-NOT-LEAK"
KEY = "sk-test-0123456789-never-print-me"
TOOLS = (
    ToolSchema(name="search_documents", description="finds", parameters={"type": "object", "properties": {}}),
    ToolSchema(name="calculate", description="sums", parameters={"type": "object", "properties": {}}),
)
PRICES = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-5, "cache_read_input_token_cost": 1e-7}
COST = 400 * 1e-6 + 600 * 1e-7 + 20 * 1e-5


def routes_to(server: ModelServer) -> str:
    def vllm(alias: str, name: str, **info: object) -> dict[str, object]:
        params = {"model": f"hosted_vllm/{name}", "api_base": server.base(name), "api_key": "os.environ/TEST_KEY"}
        return {"model_name": alias, "litellm_params": {**params, **PRICES}, "model_info": info}

    other = {"model": "openai/tiny", "api_base": server.base("plain"), "api_key": "os.environ/TEST_KEY", **PRICES}
    other["extra_headers"] = {"Proxy-Token": "p1"}
    claude = {
        "model": "anthropic/claude-sonnet-5-5",
        "api_base": f"{server.address}/claude",
        "api_key": "os.environ/TEST_KEY",
    }
    return json.dumps(
        {
            "model_list": [
                vllm("main", "main", cache_salt=True, affinity_header="Modal-Session-ID"),
                vllm("pair", "left"),
                vllm("pair", "right"),
                vllm("refused", "refused1"),
                vllm("refused", "refused2"),
                vllm("unknown", "unknown"),
                vllm("front", "front"),
                vllm("spare", "spare"),
                {"model_name": "plain", "litellm_params": other, "model_info": {"supports_response_schema": False}},
                {"model_name": "claude", "litellm_params": claude},
            ],
            "router_settings": {"num_retries": 1, "fallbacks": [{"front": ["spare"]}]},
            "agent": {"bounds": {"timeout_s": 20, "max_cost_usd": 1.0}},
        },
        indent=1,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    started = ModelServer()
    yield started
    started.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    file = Path(tmp_path_factory.mktemp("routes")) / "routes.yaml"
    file.write_text(routes_to(server))
    opened = Gateway(load_routes(file, {"TEST_KEY": KEY}), secret=b"a secret of the server", tenant="acme")
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(gateway: Gateway) -> AsyncIterator[Gateway]:
    """The same routes with a single try a call."""
    settings = {**gateway._routes.router_settings, "num_retries": 0}
    yield Gateway(replace(gateway._routes, router_settings=settings), secret=b"another")


def call(
    model: str = "main", reply: type[BaseModel] | None = None, tools: bool = False, thread: str = "t1"
) -> ModelCall:
    step = Step(id="s1", goal="g", done_when="d")
    task = StepTask(goal="g", step=step, overview=Overview()) if tools else PlanTask(goal="g", overview=Overview())
    messages = (
        Message("system", from_record("You are.")),
        Message("user", from_record(SECRET)),
        Message("assistant", from_record(""), (ToolCall(id="c1", name="calculate", arguments={"b": 1, "a": 2}),)),
        Message("tool", from_record("2"), tool_call_id="c1"),
        Message("user", from_record("Role.")),
    )
    return ModelCall("r1", thread, task, messages, TOOLS, reply=reply, allow_tools=tools, model=model, max_tokens=100)


async def ignore(_: str | CallPiece) -> None:
    pass


def holds_no_secret(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    assert SECRET not in str(error)
    assert KEY not in text
    assert SECRET not in text.replace(f'SECRET = "{SECRET}"', "")
