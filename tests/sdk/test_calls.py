"""What goes with every call of the SDK: headers and query parameters of the caller's own."""

import inspect
import operator
from typing import Any

import httpx
import pytest

from tests.sdk.compatibility.surface import surface
from tests.sdk.watching import watch

METHODS = surface("async")
CALLS = [
    name
    for name, method in METHODS.items()
    if {"headers", "params"} <= method.parameters.keys()
    and not name.startswith(("threads.stream()", "threads.join_stream"))
]
LONG: Any = {"steps": 400, "delay": 0.05}


async def needed(client: Any, thread: str, name: str) -> tuple[list[Any], dict[str, Any]]:
    """What a method can't do without, all of it there: what has a place, and what has a name alone."""
    parameters = list(inspect.signature(METHODS[name].function).parameters.values())[1:]
    missing = [each for each in parameters if each.default is inspect.Parameter.empty]
    known: dict[str, Any] = {
        "graph_id": "slow", "thread_id": thread, "thread_ids": [thread], "version": 1, "schedule": "0 9 1 1 *",
        "namespace": ["calls"], "namespace_prefix": ["calls"], "key": "k", "value": {"v": 1}, "values": {"done": 1},
        "metadata": {"a": 1},
        "payloads": [{"assistant_id": "slow", "input": {"steps": 1}}],
    }  # fmt: skip
    known["assistant_id"] = (await client.assistants.create("slow"))["assistant_id"]
    if name.startswith("runs."):
        run = await client.runs.create(thread, "slow", input=LONG if "cancel" in name else {"steps": 1})
        if "cancel" not in name:
            await client.runs.join(thread, run["run_id"])
        known["run_id"] = run["run_id"]
    elif name.startswith("threads."):
        await client.runs.wait(thread, "slow", input={"steps": 1})
    elif name.startswith("crons."):
        known["cron_id"] = (await client.crons.create("slow", schedule="0 9 1 1 *"))["cron_id"]
    named = [each.name for each in missing if each.kind is inspect.Parameter.KEYWORD_ONLY]
    if name == "runs.cancel_many":
        named.append("thread_id")  # or it would be everybody's
    return [known[each.name] for each in missing if each.name not in named], {each: known[each] for each in named}


@pytest.mark.parametrize("name", CALLS)
async def test_headers_and_parameters_of_the_callers_own_go_with_a_call(client: Any, thread: str, name: str) -> None:
    (placed, named), seen = await needed(client, thread, name), list[httpx.Request]()
    call = operator.attrgetter(name)(client)
    watch(client, seen)
    asked = call(*placed, **named, headers={"X-Trip": "Poros"}, params={"trip": "Poros"})
    answer = await asked if inspect.isawaitable(asked) else asked
    if hasattr(answer, "__anext__"):
        assert [each async for each in answer] or name == "runs.join_stream"  # of a run that has ended
    request, *_ = seen
    assert (request.headers["X-Trip"], request.url.params["trip"]) == ("Poros", "Poros")
