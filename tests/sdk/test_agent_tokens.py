"""The agent beside a language model that takes its time: its words and its tools' arguments are seen as they come."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from tests.acceptance.conftest import Up, end, running
from tests.conftest import fresh_database
from tests.integration.model_server import Answer, ModelServer
from tests.node import node_with, run_tests
from tests.ports import free_port
from tests.sdk.test_javascript import HERE
from tests.sdk.test_run_survives import worker_of
from tests.sdk.test_thread_streams import frames

PERSON, MAIL = 'Despina "the quill" Seedling', "despina@example.com"
ABOUT = f"{PERSON}, {MAIL}"
PLAN = Answer('{"steps": [{"id": "s1", "goal": "Work it out", "done_when": "it is worked out"}]}')
ACCEPT = Answer('{"decision": "accept", "reasons": [], "revise": {}}')
SUM = {"expression": " + ".join(map(str, range(30)))}
# What the model knows of them; whoever asked gets what they wrote.
REPORT = {"status": "done", "finding": "[NAME_S1] ([EMAIL_S2]) has 435.", "sources": []}
ANSWER = "Dear [NAME_S1] at [EMAIL_S2], you have 435, as far as can be told from here. Best regards."
PACE = 0.03
MODES: Any = ["messages-tuple", "messages", "values", "custom"]


def restored(text: str) -> str:
    return text.replace("[NAME_S1]", PERSON).replace("[EMAIL_S2]", MAIL)


def calls(name: str, arguments: dict[str, Any], pace: float = PACE) -> Answer:
    return Answer("", calls=((name, json.dumps(arguments)),), pace=pace)


@dataclass(frozen=True, slots=True)
class Agent:
    """`other_url` is a second API process on the same database."""

    up: Up
    other_url: str
    model: ModelServer

    def will(self, goal: str, *writes: Answer, pace: float = PACE) -> dict[str, Any]:
        """What the model says about a goal; returns the run's input."""
        steps = (calls("calculate", SUM, pace), calls("report", REPORT, pace))
        self.model.will(goal, PLAN, *steps, ACCEPT, *writes)
        return {"messages": [{"role": "user", "content": f"{ABOUT}: {goal}"}]}


@pytest.fixture(scope="module")
def agent(template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    path = tmp_path_factory.mktemp("agent")
    names = path / "names.txt"
    names.write_text(PERSON)
    port = free_port()
    with closing(ModelServer()) as model, fresh_database(template_database) as dsn:
        own = {"OPENAI_BASE_URL": model.base("any"), "TRIREME_MODEL": "m", "TRIREME_KNOWN_NAMES": str(names)}
        settings = {"DATABASE_URL": dsn, **own}
        with running(path, **settings) as up:
            other = up.home.start("serve", "--port", str(port))
            try:
                yield Agent(up, _ready(f"http://127.0.0.1:{port}"), model)
            finally:
                end(other)


def _ready(url: str) -> str:
    for _ in range(1_200):
        try:
            httpx.get(f"{url}/ok").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.1)
        else:
            return url
    raise AssertionError(f"{url} never answered")


@pytest.fixture
async def here(agent: Agent) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=agent.up.url, api_key=None) as client:
        yield client


@pytest.fixture
async def there(agent: Agent) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=agent.other_url, api_key=None) as client:
        yield client


def pieces(parts: list[Any], of: str) -> dict[str, list[str]]:
    """By the message's id: what was told of it, piece by piece."""
    found: dict[str, list[str]] = {}
    for message, _ in (part.data for part in parts if part.event == "messages"):
        more = [message["content"]] if of == "words" else [call["args"] for call in message.get("tool_call_chunks", ())]
        if any(more):
            found.setdefault(message["id"], []).extend(more)
    return found


def answer_in(parts: list[Any]) -> dict[str, Any]:
    (*_, values) = (part.data for part in parts if part.event == "values")
    message: dict[str, Any] = values["messages"][-1]
    return message


async def test_words_and_arguments_are_seen_as_the_model_writes_them(
    agent: Agent, here: LangGraphClient, there: LangGraphClient
) -> None:
    thread = (await here.threads.create())["thread_id"]
    given = agent.will("What is it in Lisbon?", Answer(ANSWER, pace=PACE))
    parts = [part async for part in here.runs.stream(thread, "trireme", input=given, stream_mode=MODES)]
    answer = answer_in(parts)
    assert answer["content"] == restored(ANSWER)
    (words,) = pieces(parts, "words").items()
    assert (words[0], "".join(words[1])) == (answer["id"], answer["content"])
    assert len(words[1]) > 4
    made = [json.loads("".join(each)) for each in pieces(parts, "calls").values()]
    assert made == [SUM, {**REPORT, "finding": restored(str(REPORT["finding"]))}]
    assert all(len(each) > 2 for each in pieces(parts, "calls").values())

    # Each time as far as it is known, for clients that replace a message by its id.
    for id_, told in (pieces(parts, "words") | pieces(parts, "calls")).items():
        partial = [each.data[0] for each in parts if each.event == "messages/partial" and each.data[0]["id"] == id_]
        (whole,) = (each.data[0] for each in parts if each.event == "messages/complete" and each.data[0]["id"] == id_)
        assert [len(partial), partial[-1]] == [len(told), whole]
        if whole["content"]:
            assert [each["content"] for each in partial] == list(accumulate(told))

    (run,) = await there.runs.list(thread)
    await looked_at_closely(there, run["run_id"])

    # Whoever comes back on another process misses nothing, wherever the cut was, and has no word twice: what a line
    # tells beside them may come again.
    seen = [(part.event, part.data) for part in parts]
    for at in range(0, len(parts), 7):
        rest = there.runs.join_stream(thread, run["run_id"], stream_mode=MODES, last_event_id=parts[at].id or "-1")
        again = [(part.event, part.data) async for part in rest]
        assert again == seen[len(seen) - len(again) :]
        assert len(again) >= len(seen) - at - 1
        assert "messages" not in [event for event, _ in again[: len(again) - len(seen) + at + 1]]


async def looked_at_closely(client: LangGraphClient, run_id: str) -> None:
    """The log itself: what has come of a tool's arguments is JSON at every moment, in few lines."""
    async with client.http.client.stream("GET", f"/runs/{run_id}/events") as events:
        lines = [json.loads(line[6:]) async for line in events.aiter_lines() if line.startswith("data: ")]
    come: dict[str, str] = {}
    for line in lines:
        if line["kind"] == "tool_call_delta":
            come[line["call_id"]] = come.get(line["call_id"], "") + line["text"]
            assert isinstance(json.loads(come[line["call_id"]] + line["closes"]), dict)
        elif line["kind"] == "model_called" and line["role"] == "worker":
            ((id_, arguments),) = ((call["id"], call["arguments"]) for call in line["tool_calls"])
            assert json.loads(come[id_]) == arguments
    at = [datetime.fromisoformat(line["at"]) for line in lines if line["kind"] == "tool_call_delta"]
    assert len(at) <= 4 * ((at[-1] - at[0]).total_seconds() + 1), "four a second, and the last of each call"


async def test_the_protocol_of_threads_tells_words_and_arguments_block_by_block(
    agent: Agent, here: LangGraphClient
) -> None:
    given = agent.will("What is it in Braga?", Answer(ANSWER, pace=PACE))
    async with asyncio.timeout(60), here.threads.stream(assistant_id="trireme") as thread:
        await thread.run.start(input=given)
        messages = [message async for message in thread.messages]
        await thread.output
        id_ = thread.thread_id
        words = [word for message in messages async for word in message.text]
    assert (len(messages), "".join(words)) == (1, restored(ANSWER))
    assert len(words) > 4
    told = await replayed(here, id_)
    made = [each for each in told if each[0]]
    assert {namespace for namespace, _ in made} == {("task:s1-1",)}
    begun = [data["content"]["name"] for _, data in made if data["event"] == "content-block-start"]
    ended = [data["content"]["args"] for _, data in made if data["event"] == "content-block-finish"]
    assert (begun, ended[0]) == (["calculate", "report"], SUM)
    for message in dict.fromkeys(data["id"] for _, data in made):
        mine = [data for _, data in made if data["id"] == message]
        args = [data["delta"]["args"] for data in mine if data["event"] == "content-block-delta"]
        assert [mine[0]["event"], mine[-1]["event"]] == ["message-start", "message-finish"]
        assert len(args) > 2
        assert json.loads("".join(args)) in ended


@pytest.mark.timeout(1_300)  # npm and Node have 600 each
def test_pages_show_it_as_it_is_written(agent: Agent) -> None:
    node = node_with(HERE)
    goals = {"GOAL": "What is it in Viseu?", "OTHER_GOAL": "What is it in Beja?"}
    for goal in goals.values():
        agent.will(goal, Answer(ANSWER, pace=PACE))
    run_tests(node, HERE, ["agent_pages.js"], os.environ | {"TRIREME_URL": agent.up.url} | goals)


async def replayed(client: LangGraphClient, thread: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    found = []
    async for event in frames(client, thread, {"channels": ["messages", "lifecycle"], "since": 0}):
        if event["method"] == "messages":
            found.append((tuple(event["params"]["namespace"]), event["params"]["data"]))
        elif event["params"]["data"]["event"] == "completed":
            break
    return found


async def test_an_answer_is_told_once_when_its_worker_is_killed_in_the_middle(
    agent: Agent, here: LangGraphClient
) -> None:
    other = "It is 435 for [NAME_S1], and that is all that can be told from here."
    again = {"What is it in Evora?": ANSWER, "What is it in Faro?": other}
    writing = asyncio.Barrier(len(again) + 1)

    async def run(thread: str, goal: str) -> list[Any]:
        slow = Answer(ANSWER, pace=0.2)
        given, parts = agent.will(goal, slow, Answer(again[goal], pace=PACE), pace=0.0), []
        async for part in here.runs.stream(thread, "trireme", input=given, stream_mode=["messages-tuple", "values"]):
            parts.append(part)
            if part.event == "messages" and sum(each.event == "messages" for each in parts) == 5:
                await writing.wait()
        return parts

    threads = [(await here.threads.create())["thread_id"] for _ in again]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = [group.create_task(run(thread, goal)) for thread, goal in zip(threads, again, strict=True)]
        await writing.wait()
        os.kill(worker_of(agent.up, threads[0]), signal.SIGKILL)
    same, new = (task.result() for task in running)
    for parts, text in ((same, ANSWER), (new, other)):
        assert [part.data["attempt"] for part in parts if part.event == "metadata"] == [1, 2]
        assert answer_in(parts)["content"] == restored(text)
    (words,) = pieces(same, "words").values()
    assert "".join(words) == restored(ANSWER)
    broken, words = pieces(new, "words").values()
    assert restored(ANSWER).startswith("".join(broken))
    assert "".join(words) == restored(other)

    told = [[data for space, data in await replayed(here, thread) if not space] for thread in threads]
    for events, starts in zip(told, (1, 2), strict=True):
        names = [data["event"] for data in events]
        assert (names.count("message-start"), names.count("error")) == (starts, starts - 1)
        assert len({data["id"] for data in events}) == 1
        begun = max(at for at, name in enumerate(names) if name == "message-start")
        text = "".join(data["delta"]["text"] for data in events[begun:] if data["event"] == "content-block-delta")
        assert text == events[-2]["content"]["text"]
