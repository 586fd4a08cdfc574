"""The command line as scripts and people without a terminal use it, against one running stack."""

import os
import pty
import signal
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import orjson
import psycopg
import pytest
import yaml

from tests.acceptance.conftest import DEMO, Home, Up, collection_of

DOCUMENTS = str(DEMO / "documents")
VACATION = "How many unused vacation days can be carried over?"
KEYS = {
    "run_id", "thread_id", "status", "answer", "sources", "plan", "usage", "cost_usd", "cached_share", "redactions",
    "model", "duration_s", "log_head",
}  # fmt: skip
Event = dict[str, Any]


@pytest.fixture(scope="module")
def answered(up: Up) -> dict[str, Any]:
    """A finished run over the demo's documents."""
    return run_json(up.home, VACATION, "--docs", DOCUMENTS)


@pytest.fixture(scope="module")
def collection(up: Up, answered: dict[str, Any]) -> str:
    return collection_of(up, answered["run_id"])


@pytest.fixture
def reviewed(api: httpx.Client, collection: str) -> str:
    """A run that waits for its plan to be approved; returns its id."""
    body = {"goal": VACATION, "collection": collection, "review_plan": True}
    run = api.post("/runs", params={"wait": True}, json=body).json()
    assert run["status"] == "interrupted"
    return str(run["run_id"])


def run_json(home: Home, *arguments: str) -> dict[str, Any]:
    done = home.run("run", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def events_of(api: httpx.Client, run_id: str) -> list[Event]:
    """What the log holds now; of a run that waits the stream would go on."""
    last, events = api.get(f"/runs/{run_id}").json()["last_seq"], list[Event]()
    with api.stream("GET", f"/runs/{run_id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                events.append(orjson.loads(line.removeprefix("data: ")))
            if events and events[-1]["seq"] == last:
                return events
    return events


def refusal(home: Home, *arguments: str, code: int = 2, stdin: str = "") -> str:
    """The one line that a refused command says."""
    done = home.run(*arguments, stdin=stdin)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("trireme: ")
    return line


def test_json_prints_one_object_with_the_values_restored_and_the_redactions_counted(up: Up, tmp_path: Path) -> None:
    (tmp_path / "Büro.md").write_text(
        "# Contacts\n\n## Workshop\nThe workshop's address is nikos@example.com. Its phone is +30 21 0555 0143.\n"
    )
    goal = "What is the workshop's address? I am eleni@example.com."
    narrow = Home(up.home.path, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    output, _ = narrow.start("run", goal, "--docs", str(tmp_path), "--json").communicate(timeout=90)
    result = orjson.loads(output)
    assert set(result) == KEYS
    assert result["status"] == "success"
    assert "nikos@example.com" in result["answer"]
    assert [source["path"] for source in result["sources"]] == ["Büro.md"]
    assert result["redactions"] == {"EMAIL": 2, "PHONE": 1}
    assert result["model"] == "offline"
    assert result["cost_usd"] == 0.0
    assert 0 <= result["cached_share"] <= 1
    assert result["usage"]["model_calls"] >= 4
    assert result["plan"]["steps"][0]["id"] == "s1"


def test_a_name_that_is_told_later_is_taken_out_of_the_documents_that_are_stored(up: Up, tmp_path: Path) -> None:
    folder = tmp_path / "garden"
    folder.mkdir()
    (folder / "gate.md").write_text("# Gate\n\nThe gate is kept by Thekla Gatewright.\n")
    (names := tmp_path / "names.txt").write_text("Thekla Gatewright\n")

    def stored(**told: str) -> int:
        home = Home(up.home.path, up.home.settings | told)
        done = home.run("run", "Who keeps the gate?", "--docs", str(folder), "--json")
        assert "Thekla Gatewright" in orjson.loads(done.stdout)["answer"], done.stderr
        with psycopg.connect(up.home.dsn) as connection:
            rows = connection.execute(
                "select from documents join chunks using (document_id) where body || content like '%Gatewright%'"
            )
            return len(rows.fetchall())

    assert stored() == 1
    assert stored(TRIREME_KNOWN_NAMES=str(names)) == 0


def test_a_thread_continues_a_conversation(up: Up, api: httpx.Client, answered: dict[str, Any]) -> None:
    thread = answered["thread_id"]
    again = run_json(up.home, "Until when must they be used?", "--docs", DOCUMENTS, "--thread", thread)
    assert again["thread_id"] == thread
    (recalled,) = [event for event in events_of(api, again["run_id"]) if event["kind"] == "conversation_recalled"]
    assert recalled["turns"] == [[VACATION, answered["answer"]]]


def test_a_finished_run_is_listed_shown_and_told_line_by_line(
    up: Up, answered: dict[str, Any], collection: str
) -> None:
    run_id = answered["run_id"]
    assert f"{run_id}  success" in up.home.run("status").stdout
    shown = up.home.run("status", run_id).stdout
    assert f"documents: collection {collection}\n" in shown
    assert "redactions" not in shown, "trireme run alone knows them"
    assert f"set a key or OPENAI_BASE_URL for a real one)\n{answered['answer']}" in shown
    assert "policies/vacation.md" in shown
    told = up.home.run("logs", run_id, "--follow").stdout
    for word in ("plan", "search_documents", "critic    accept", "run       success"):
        assert word in told
    as_json = up.home.run("logs", run_id, "--json")
    assert as_json.stderr == "", "it stops reading before the server stops sending"
    events = [orjson.loads(line) for line in as_json.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert yaml.safe_load(up.home.run("plan", run_id).stdout) == answered["plan"]


def test_what_has_ended_can_be_neither_approved_nor_resumed_nor_cancelled(up: Up, answered: dict[str, Any]) -> None:
    run_id = answered["run_id"]
    assert "waits for no decision: it is success" in refusal(up.home, "approve", run_id)
    assert "nothing to resume" in refusal(up.home, "resume", run_id)
    assert "has ended already" in refusal(up.home, "cancel", run_id)
    assert "can't be edited now" in refusal(up.home, "plan", run_id, "--edit", "--file", "-")


def test_without_a_terminal_a_plan_that_waits_says_how_to_go_on(up: Up, answered: dict[str, Any]) -> None:
    done = up.home.run("run", VACATION, "--docs", DOCUMENTS, "--review-plan")
    assert done.returncode == 3
    run_id = done.stdout.rsplit(maxsplit=1)[-1]
    assert f"trireme plan {run_id}" in done.stdout
    assert f"trireme approve {run_id} (or --reject)" in done.stdout
    approved = up.home.run("approve", run_id)
    assert approved.returncode == 0, approved.stderr
    assert "6 unused vacation days" in approved.stdout


@pytest.mark.parametrize(
    ("typed", "code", "says"), [(b"\x03", 130, "the run is kept"), (b"\x04", 3, "or --reject"), (b"y\n", 0, "6 unused")]
)
def test_at_a_terminal_the_plan_is_asked_for_and_ctrl_c_leaves_the_question(
    up: Up, answered: dict[str, Any], typed: bytes, code: int, says: str
) -> None:
    command = up.home.command("run", VACATION, "--docs", DOCUMENTS, "--review-plan")
    child, terminal = pty.fork()
    if not child:
        os.execve(command[0], command, up.home.environment)
    said, guard = b"", Timer(60, os.kill, (child, signal.SIGKILL))
    guard.start()
    with suppress(OSError):  # what a terminal says when its last process has gone
        while part := os.read(terminal, 4096):
            said += part
            if said.endswith(b"[l]ater: "):
                os.write(terminal, typed)
    guard.cancel()
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, said
    assert says.encode() in said
    assert b"\r\n  steps:\r\n  - id: s1\r\n    goal: How many unused" in said


def test_a_plan_can_be_edited_and_a_bad_edit_loses_nothing(
    up: Up, api: httpx.Client, reviewed: str, tmp_path: Path
) -> None:
    plan = yaml.safe_load(up.home.run("plan", reviewed).stdout)
    cyclic = [
        {**plan["steps"][0], "id": "s1", "depends_on": ["s2"]},
        {**plan["steps"][0], "id": "s2", "depends_on": ["s1"]},
    ]
    for bad, word in (
        (yaml.safe_dump({"steps": cyclic}), "depend on each other"),
        ("steps: [", "no YAML"),
        ("- 1\n", "must be a mapping"),
        ("steps: []\n", "steps"),
        ("steps: [{id: s1, goal: look, done_when: found, typo: 1}]", "typo"),
    ):
        assert word in refusal(up.home, "plan", reviewed, "--edit", "--file", "-", stdin=bad)
    assert "can't be read" in refusal(up.home, "plan", reviewed, "--edit", "--file", str(tmp_path / "none.yaml"))
    assert "without --edit" in refusal(up.home, "plan", reviewed, "--file", str(tmp_path / "none.yaml"))
    without_editor = Home(up.home.path, {"VISUAL": "no-such-editor"})
    assert "'no-such-editor' can't be started" in refusal(without_editor, "plan", reviewed, "--edit")
    edited, editor = tmp_path / "plan.yaml", tmp_path / "editor"
    question = "How many vacation days does a full-time employee have a year?"
    edited.write_text(yaml.safe_dump({"steps": [{**plan["steps"][0], "goal": question}]}))
    editor.write_text('#!/bin/sh\nsed -i "s/tools:/tolls:/" "$1"\n')
    editor.chmod(0o755)
    with_editor = Home(up.home.path, {"VISUAL": str(editor)})
    again = refusal(with_editor, "plan", reviewed, "--edit").split("what you wrote is kept: trireme ")[1].split()
    assert "tolls:" in refusal(up.home, *again) + Path(again[-1]).read_text()
    assert "nothing was changed" in refusal(Home(up.home.path, {"VISUAL": "true"}), "plan", reviewed, "--edit")
    # Ctrl-C in an editor is meant for it, and reaches whoever waits for it, too.
    editor.write_text(f'#!/bin/sh\nkill -INT $PPID\nsleep 0.2\ncat {edited} > "$1"\n')
    done = with_editor.run("plan", reviewed, "--edit")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(up.home.path.glob("draft-*")) == [Path(again[-1])]
    assert "28 vacation days" in done.stdout
    assert "plan_edited" in [event["kind"] for event in events_of(api, reviewed)]


def test_a_run_is_forked_with_another_plan_and_the_first_is_left_alone(up: Up, answered: dict[str, Any]) -> None:
    parent = answered["run_id"]
    listed = up.home.run("fork", parent, "--list").stdout.splitlines()
    assert [line.split()[-1] for line in listed] == ["recall", "plan", "work", "critic", "answer"]
    at = next(line.split()[1] for line in listed if line.endswith("work"))
    forked = up.home.run("fork", parent, "--at", at, "--paused")
    assert forked.returncode == 3, forked.stdout + forked.stderr
    run_id = forked.stdout.split()[1]
    assert f"run {run_id} goes on from line {at} of {parent}" in forked.stdout
    assert f"trireme resume {run_id}" in forked.stdout
    question = "How many vacation days does a full-time employee have a year?"
    plan = yaml.safe_load(up.home.run("plan", run_id).stdout)
    edited = yaml.safe_dump({"steps": [{**plan["steps"][0], "goal": question}]})
    assert "trireme resume" in up.home.run("plan", run_id, "--edit", "--file", "-", stdin=edited).stdout
    resumed = up.home.run("resume", run_id)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "28 vacation days" in resumed.stdout
    assert f"forked from {parent} at line {at}" in up.home.run("status", run_id).stdout
    told = up.home.run("logs", run_id).stdout
    for word in ("goes on from line", "stands still, by local", "resume    by local"):
        assert word in told
    assert answered["answer"] in up.home.run("status", parent).stdout


def test_control_of_what_cannot_be_says_why(up: Up, answered: dict[str, Any]) -> None:
    run_id = answered["run_id"]
    assert "has ended already" in refusal(up.home, "pause", run_id)
    assert f"trireme fork {run_id}" in refusal(up.home, "resume", run_id)
    for at in ("0", "-3", "99999"):
        assert f"can't be forked at line {at}" in refusal(up.home, "fork", run_id, "--at", at)
    assert "NAME=VALUE" in refusal(up.home, "resume", run_id, "--bounds", "cost_usd")
    assert "bounds are model_calls" in refusal(up.home, "fork", run_id, "--bounds", "money=1")


def test_a_rejected_plan_is_made_again_for_the_reason_given(up: Up, api: httpx.Client, reviewed: str) -> None:
    rejected = up.home.run("approve", reviewed, "--reject", "--reason", "ask about 2027, says eleni@example.com")
    assert rejected.returncode == 3, rejected.stdout
    events = events_of(api, reviewed)
    assert [event["round"] for event in events if event["kind"] == "plan_proposed"] == [0, 1]
    (decided,) = [event for event in events if event["kind"] == "approval_decided"]
    assert decided["reason"].startswith("ask about 2027, says [EMAIL_")
    assert up.home.run("approve", reviewed).returncode == 0


def test_a_cancelled_run_can_be_resumed_where_it_waited(up: Up, api: httpx.Client, reviewed: str) -> None:
    done = up.home.run("cancel", reviewed)
    assert (done.returncode, done.stdout) == (0, "cancelled\n")
    assert "has ended already: cancelled" in refusal(up.home, "cancel", reviewed)
    resumed = up.home.run("resume", reviewed)
    assert resumed.returncode == 3, resumed.stdout + resumed.stderr
    assert up.home.run("approve", reviewed).returncode == 0
    assert [event["kind"] for event in events_of(api, reviewed)].count("plan_proposed") == 1


def outbox(up: Up) -> dict[str, bytes]:
    folder = up.home.path / "outbox"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_an_email_goes_out_once_and_only_after_approval_to_the_real_address(up: Up, api: httpx.Client) -> None:
    before = outbox(up)
    asked = up.home.run(
        "run", "Send an e-mail to kostas@example.com with the carry-over of vacation days.", "--docs", DOCUMENTS
    )
    assert asked.returncode == 3, asked.stdout + asked.stderr
    run_id = asked.stdout.rsplit(maxsplit=1)[-1]
    assert outbox(up) == before
    (approval,) = api.get(f"/runs/{run_id}").json()["approvals"]
    assert approval["name"] == "send_email"
    assert "kostas@example.com" not in orjson.dumps(approval).decode()
    approved = up.home.run("approve", run_id)
    assert approved.returncode == 0, approved.stdout + approved.stderr
    assert "waits for no decision" in refusal(up.home, "approve", run_id)
    ((_, letter),) = outbox(up).items() - before.items()
    message = message_from_bytes(letter)
    assert message["To"] == "kostas@example.com"
    assert "6 unused vacation days" in str(message.get_payload())


def test_a_rejected_email_never_goes_out(up: Up) -> None:
    before = outbox(up)
    asked = up.home.run(
        "run", "Send an e-mail to kostas@example.com with the carry-over of vacation days.", "--docs", DOCUMENTS
    )
    run_id = asked.stdout.rsplit(maxsplit=1)[-1]
    rejected = up.home.run("approve", run_id, "--reject", "--reason", "not now")
    assert rejected.returncode in (0, 1), rejected.stdout + rejected.stderr
    assert outbox(up) == before


def test_a_draft_needs_no_approval_and_stays_with_the_run(up: Up, api: httpx.Client) -> None:
    before = outbox(up)
    goal = "Draft an e-mail to kostas@example.com with the carry-over of vacation days."
    run_id = run_json(up.home, goal, "--docs", DOCUMENTS)["run_id"]
    events = events_of(api, run_id)
    assert not [event for event in events if event["kind"] == "approval_requested"]
    (drafted,) = [event for event in events if event["kind"] == "tool_finished" and event["tool"] == "draft_email"]
    assert drafted["ok"]
    assert outbox(up) == before


@pytest.fixture
def forgetful(up: Up) -> Iterator[Home]:
    """A home that remembers nothing before and after."""
    assert up.home.run("memory", "delete", "--all").returncode == 0
    yield up.home
    up.home.run("memory", "delete", "--all")


def test_what_is_stated_once_is_recalled_in_the_next_run_until_it_is_deleted(
    forgetful: Home, api: httpx.Client, collection: str
) -> None:
    def recalled() -> list[str]:
        body = {"goal": VACATION, "collection": collection}
        run = api.post("/runs", params={"wait": True}, json=body).json()
        return [item for event in events_of(api, run["run_id"]) for item in event.get("items", ())]

    stated = run_json(forgetful, f"I always want amounts in EUR. {VACATION}", "--docs", DOCUMENTS)
    (item,) = orjson.loads(forgetful.run("memory", "list", "--json").stdout)
    assert item["text"] == "I always want amounts in EUR."
    assert item["source"] == f"run {stated['run_id']}"
    assert recalled() == ["I always want amounts in EUR."]
    assert forgetful.run("memory", "delete", item["id"]).stdout == "deleted\n"
    assert forgetful.run("memory", "list").stdout == "nothing is remembered\n"
    assert "no such memory" in refusal(forgetful, "memory", "delete", item["id"])
    assert recalled() == []


def test_memory_is_never_deleted_by_accident(up: Up) -> None:
    for arguments in ((), ("",), ("?",), ("../runs",), ("--all", "00000000-0000-7000-8000-000000000000")):
        refusal(up.home, "memory", "delete", *arguments)


def test_doctor_finds_the_running_stack(up: Up) -> None:
    done = up.home.run("doctor")
    assert done.returncode == 0, done.stdout
    assert f"runs at {up.url}" in done.stdout
    assert "offline model" in done.stdout
