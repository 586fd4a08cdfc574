"""`langgraph dev` on our graph, as a person in Studio has it: a real server, its own environment, no key."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from serving.cli.private import open_private
from serving.processes.postgres import EmbeddedPostgres
from serving.settings import Settings
from tests.acceptance.conftest import Home, end, wait_for_line
from tests.conftest import everything_in
from tests.integration.model_server import Answer, ModelServer
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LANGGRAPH = ROOT / ".venv-studio" / "bin" / "langgraph"
GRAPH = "trireme"
STARTS_WITHIN_S = 180.0
VACATION = "How many vacation days can I carry over?"
INVOICES = "What is the total of the paid invoices by country?"
ADDRESS = "lena.hartmann@example.com"

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not LANGGRAPH.exists(),
        reason="STUDIO IS NOT TESTED: .venv-studio is missing; make test makes it first (infra/setup.sh)",
    ),
]


@dataclass(frozen=True)
class StudioServer:
    url: str
    home: Path
    docs: Path
    log: Path


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "vacation.md").write_text(
        "# Vacation policy\n\n## Carry-over\n\nUp to 6 unused vacation days can be carried over into the next year.\n"
    )
    (folder / "contacts.md").write_text(f"# Contacts\n\nThe contact for boat repairs is {ADDRESS}.\n")
    rows = ["Germany,1200.50,paid", "Greece,800.25,paid", "Germany,99.50,paid", "Greece,5000.00,open"]
    (folder / "invoices.csv").write_text("\n".join(["country,amount_eur,status", *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, docs: Path) -> Iterator[StudioServer]:
    home = tmp_path_factory.mktemp("home")
    with started(home, tmp_path_factory.mktemp("cwd"), {"TRIREME_STUDIO_DOCS": str(docs)}) as (url, log):
        yield StudioServer(url, home, docs, log)
    assert not (home / "postgres" / "postmaster.pid").exists(), "Studio left the database running that it had started"


@pytest.fixture
async def client(studio: StudioServer) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=studio.url, timeout=90) as client:
        yield client


@contextmanager
def started(home: Path, cwd: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """A Studio server of our own on a free port; (url, log file)."""
    port, log = free_port(), cwd / "studio.log"
    flags = ["--port", str(port), "--no-browser", "--no-reload"]
    command = [str(LANGGRAPH), "dev", "--config", str(ROOT / "langgraph.json"), *flags]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(home, settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until_up(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}", log
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(90)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Without anybody's keys, so that the default path is what is tested."""
    ours = ("TRIREME_", "LANGSMITH_", "LANGCHAIN_", "LANGFUSE_", "LANGGRAPH_", "ANTHROPIC_", "OPENAI_", "GEMINI_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith((*ours, "DATABASE_URL"))}
    return {**clean, "TRIREME_HOME": str(home), "LANGGRAPH_CLI_NO_ANALYTICS": "1", **settings}


def wait_until_up(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{url}/ok", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail(f"langgraph dev did not come up:\n{log.read_text()[-3_000:]}")


async def new_thread(client: LangGraphClient) -> str:
    return str((await client.threads.create())["thread_id"])


async def run(client: LangGraphClient, thread: str, given: Mapping[str, Any] | None, **options: Any) -> dict[str, Any]:
    """The run's output, or where it waits. Raises what the SDK raises when the run fails."""
    answer = await client.runs.wait(thread, GRAPH, input=given, **options)
    assert isinstance(answer, dict)
    return answer


def interrupt_of(output: Mapping[str, Any]) -> dict[str, Any]:
    (only,) = output["__interrupt__"]
    value: dict[str, Any] = only["value"]
    return value


async def snapshot(client: LangGraphClient, thread: str, node: str) -> Any:
    """The earliest checkpoint of the thread at which `node` comes next."""
    history = await client.threads.get_history(thread, limit=100)
    return next(state for state in reversed(history) if list(state["next"]) == [node])


def collection_of(studio: StudioServer) -> str:
    """The name under which `trireme run --docs` and Studio keep the folder."""
    with open_private(Settings(home=studio.home)) as private:
        return private.collection(studio.docs.resolve())


async def test_studio_finds_the_graph_draws_it_and_knows_its_forms(client: LangGraphClient) -> None:
    (assistant,) = await client.assistants.search(graph_id=GRAPH)
    drawn = await client.assistants.get_graph(assistant["assistant_id"], xray=True)
    nodes = {str(node["id"]) for node in drawn["nodes"]}
    assert nodes >= {"receive", "recall", "plan", "review_plan", "dispatch", "work", "critic", "answer", "remember"}
    schemas = await client.assistants.get_schemas(assistant["assistant_id"])
    forms = [schemas["input_schema"], schemas["output_schema"], schemas["state_schema"]]
    assert [set(form["properties"]) >= {"messages"} for form in forms if form] == [True, True, True]
    fields = (schemas["input_schema"] or {})["properties"]
    assert set(fields) == {"goal", "messages", "collection", "review_plan", "channel"}
    assert "HumanMessage" in str(fields["messages"])


async def test_only_studio_and_pages_of_this_machine_may_read_it(studio: StudioServer) -> None:
    async with httpx.AsyncClient(base_url=studio.url) as web:
        origins = {
            "https://smith.langchain.com": True,
            "http://localhost:3000": True,
            "https://evil.example.com": False,
        }
        for origin, allowed in origins.items():
            answer = await web.get("/ok", headers={"origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_a_run_waits_for_its_plan_and_goes_on_when_a_person_approves(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    waiting = await run(client, thread, {"goal": VACATION, "review_plan": True})
    asked = interrupt_of(waiting)
    assert asked["action_requests"][0]["name"] == "execute_plan"
    state = await client.threads.get_state(thread)
    assert list(state["next"]) == ["review_plan"]
    assert state["interrupts"][0]["value"]["id"] == "plan-1"

    done = await run(client, thread, None, command={"resume": {"decisions": [{"type": "approve"}]}})
    assert "Up to 6 unused vacation days" in done["answer"]["text"]
    assert done["answer"]["sources"][0]["path"] == "vacation.md"
    assert [(one["type"], one["content"]) for one in done["messages"]] == [
        ("human", VACATION),
        ("ai", done["answer"]["text"]),
    ]
    assert list((await client.threads.get_state(thread))["next"]) == []
    assert len(await client.threads.get_history(thread, limit=100)) > 8


async def test_a_plan_is_made_anew_when_a_person_turns_it_down(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await run(client, thread, {"goal": VACATION, "review_plan": True})
    again = await run(client, thread, None, command={"resume": {"type": "reject", "reason": "look at the table too"}})
    assert interrupt_of(again)["id"] == "plan-2"
    done = await run(client, thread, None, command={"resume": "approve"})
    assert "Up to 6 unused vacation days" in done["answer"]["text"]


async def test_the_same_goal_gets_the_same_answer_from_curl_from_the_command_line_and_in_studio(
    client: LangGraphClient, studio: StudioServer
) -> None:
    home = Home(studio.home, {"TRIREME_PORT": "0"})
    up = home.start("up")
    try:
        url = (await asyncio.to_thread(wait_for_line, up, "API")).split()[1]
        told = await asyncio.to_thread(home.run, "run", INVOICES, "--docs", str(studio.docs), "--json")
        goal = {"goal": INVOICES, "collection": collection_of(studio)}
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            curl = (await http.post("/runs", params={"wait": True}, json=goal)).json()
    finally:
        end(up)
    cli = orjson.loads(told.stdout)
    sdk = (await run(client, await new_thread(client), goal))["answer"]
    assert "1300" in sdk["text"]
    assert sdk["text"] == cli["answer"] == curl["answer"]
    assert sdk["sources"] == cli["sources"] == curl["sources"]


async def test_a_run_reads_the_collection_that_it_names(client: LangGraphClient, studio: StudioServer) -> None:
    await run(client, await new_thread(client), {"goal": VACATION})
    named = await run(client, await new_thread(client), {"goal": VACATION, "collection": collection_of(studio)})
    assert "Up to 6 unused vacation days" in named["answer"]["text"]
    other = await run(client, await new_thread(client), {"goal": VACATION, "collection": "another"})
    assert "6 unused" not in other["answer"]["text"]
    assert not other["answer"]["sources"]


async def test_a_chat_goes_on_with_the_newest_message(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await run(client, thread, {"messages": [{"role": "user", "content": VACATION}]})
    second = await run(client, thread, {"messages": [{"role": "user", "content": INVOICES}]})
    assert [one["type"] for one in second["messages"]] == ["human", "ai", "human", "ai"]
    assert "1300" in second["messages"][-1]["content"]
    third = await run(client, thread, {"goal": VACATION})
    assert "Up to 6 unused vacation days" in third["messages"][-1]["content"]
    assert [one["content"] for one in third["messages"] if one["type"] == "human"] == [VACATION, INVOICES, VACATION]


async def test_what_is_typed_is_redacted_before_it_is_state_and_revealed_only_in_the_approved_email(
    client: LangGraphClient, studio: StudioServer
) -> None:
    thread = await new_thread(client)
    goal = f"I always want mail at {ADDRESS}. Send an e-mail to {ADDRESS} with the vacation days I can carry over."
    asked = interrupt_of(await run(client, thread, {"messages": [{"role": "user", "content": goal}]}))
    (action,) = asked["action_requests"]
    assert (action["name"], action["args"]["to"]) == ("send_email", "[EMAIL_1]")
    edited = {**action["args"], "subject": f"for {ADDRESS}"}
    await run(client, thread, None, command={"resume": {"type": "edit", "arguments": edited, "reason": ADDRESS}})

    (sent,) = (studio.home / "outbox").glob("*.eml")
    assert f"To: {ADDRESS}" in sent.read_text()
    assert f"Subject: for {ADDRESS}" in sent.read_text()
    assert ADDRESS not in str((await client.threads.get_state(thread))["values"])
    assert ADDRESS not in everything_in(EmbeddedPostgres(studio.home).dsn)
    assert ADDRESS not in studio.log.read_text()


async def test_an_edited_plan_is_carried_out_and_may_not_hold_personal_data(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await run(client, thread, {"goal": INVOICES})
    planned = await snapshot(client, thread, "dispatch")
    plan = planned["values"]["plan"]
    plan["steps"] = [{"id": "s1", "goal": VACATION, "done_when": "the days are quoted"}]
    fork = await client.threads.update_state(thread, {"plan": plan}, checkpoint=planned["checkpoint"], as_node="plan")
    other = await run(client, thread, None, checkpoint=fork["checkpoint"])
    assert "Up to 6 unused vacation days" in other["answer"]["text"]

    plan["steps"][0]["goal"] = f"Ask {ADDRESS}"
    fork = await client.threads.update_state(thread, {"plan": plan}, checkpoint=planned["checkpoint"], as_node="plan")
    with pytest.raises(Exception, match="the edited state holds personal data in clear"):
        await run(client, thread, None, checkpoint=fork["checkpoint"])


async def test_a_breakpoint_before_the_critic_changes_nothing(client: LangGraphClient) -> None:
    thread = await new_thread(client)
    await run(client, thread, {"goal": INVOICES}, interrupt_before=["critic"])
    assert list((await client.threads.get_state(thread))["next"]) == ["critic"]
    done = await run(client, thread, None)
    assert "1300" in done["answer"]["text"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"goal": " "}, "the goal is empty"),
        ({"goal": VACATION, "collection": "../etc"}, "collection: "),
    ],
)
async def test_what_can_not_be_a_run_is_refused_in_words(
    client: LangGraphClient, given: dict[str, str], said: str
) -> None:
    with pytest.raises(Exception, match=said):
        await run(client, await new_thread(client), given)


async def test_a_provider_is_asked_without_blocking_the_server(database: str, tmp_path: Path) -> None:
    provider = ModelServer()
    plan = orjson.dumps({"steps": [{"id": "s1", "goal": VACATION, "done_when": "found"}]}).decode()
    report = orjson.dumps({"status": "done", "finding": "Six days.", "sources": []}).decode()
    seen = provider.will(
        "vllm",
        Answer(plan),
        Answer("", calls=(("report", report),)),
        Answer('{"decision": "accept", "reasons": [], "revise": {}}'),
        Answer("Six days can be carried over."),
    )
    settings = {"OPENAI_BASE_URL": provider.base("vllm"), "TRIREME_MODEL": "small", "DATABASE_URL": database}
    try:
        with started(tmp_path / "home", tmp_path, settings) as (url, log):
            async with get_client(url=url, timeout=90) as client:
                done = await run(client, await new_thread(client), {"goal": f"{VACATION} Mail {ADDRESS}."})
            assert "Blocking call" not in log.read_text()
    finally:
        provider.close()
    assert done["answer"]["text"] == "Six days can be carried over."
    assert len(seen) == 4
    assert ADDRESS not in str([one.body for one in seen])
