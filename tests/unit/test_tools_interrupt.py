"""Approvals through a real graph: the run pauses for each effect, and takes no decision meant for another."""

from pathlib import Path
from typing import Any, TypedDict

import orjson
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from graph.errors import OutcomeUnknown
from graph.ledger import Ledger
from graph.ports import ToolCall
from graph.tools.builtin.emails import send_email
from graph.tools.registry import Arguments, Output, Problem, Registry, Tool, ToolContext
from graph.tools.runner import ToolRunner
from graph.verdict import read_verdict
from serving.mail import OutboxMailer
from serving.runs.decisions.approvals import MemoryApprovals
from serving.runs.ledger import MemoryLedger
from serving.studio.approvals import StudioLedger


class Mails(TypedDict, total=False):
    results: list[str]


MAILS = (
    {"to": "anna@example.com", "subject": "First", "body": "one"},
    {"to": "bo@example.com", "subject": "Second", "body": "two"},
)


class Office:
    """A graph of one node that sends two e-mails, one after the other, each after approval."""

    def __init__(self, folder: Path, mails: tuple[dict[str, str], ...] = MAILS) -> None:
        self._outbox = folder / "outbox"
        registry = Registry([send_email(OutboxMailer(self._outbox))])
        runner = ToolRunner(registry, MemoryLedger(), MemoryApprovals(), "run-1")

        async def node(state: Mails) -> Mails:
            calls = [ToolCall(id="c", name="send_email", arguments=dict(mail)) for mail in mails]
            return {"results": [(await runner.run(call, "s1")).content for call in calls]}

        builder = StateGraph(Mails)
        builder.add_node("work", node)
        builder.add_edge(START, "work")
        self._graph = builder.compile(checkpointer=InMemorySaver())
        self._answer: dict[str, Any] = {}

    async def go(self, value: Any = None) -> dict[str, Any]:
        """Starts, or resumes with `value`; returns what is asked next, {} when nothing is."""
        given: Mails | Command[Any] = {"results": []} if value is None else Command(resume=value)
        self._answer = await self._graph.ainvoke(given, {"configurable": {"thread_id": "t"}})
        asked = self._answer.get("__interrupt__")
        return dict(asked[0].value) if asked else {}

    @property
    def results(self) -> list[dict[str, Any]]:
        return [orjson.loads(text) for text in self._answer["results"]]

    def sent(self) -> list[str]:
        """The subjects in the outbox."""
        files = sorted(self._outbox.glob("*.eml")) if self._outbox.exists() else []
        lines = [line for file in files for line in file.read_text().splitlines()]
        return sorted(line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: "))


async def test_each_email_waits_for_its_own_approval(tmp_path: Path) -> None:
    office = Office(tmp_path)
    first = await office.go()
    assert first["action_requests"][0]["args"] == MAILS[0]
    second = await office.go({"decisions": [{"type": "approve"}]})
    assert second["action_requests"][0]["args"] == MAILS[1]
    assert second["id"] != first["id"]
    assert office.sent() == ["First"]
    assert await office.go({"type": "approve", "approval_id": second["id"]}) == {}
    assert office.sent() == ["First", "Second"]


async def test_an_approval_of_another_request_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = (await Office(tmp_path / "other", MAILS[1:]).go())["id"]
    office = Office(tmp_path)
    first = await office.go()
    assert (await office.go({"type": "approve", "approval_id": other}))["id"] == first["id"]
    assert office.sent() == []
    second = await office.go({"type": "approve", "approval_id": first["id"]})
    assert second["id"] == other
    assert office.sent() == ["First"]
    assert await office.go({"type": "approve", "approval_id": other}) == {}
    assert office.sent() == ["First", "Second"]


async def test_an_answer_that_cannot_be_read_asks_again(tmp_path: Path) -> None:
    office = Office(tmp_path, MAILS[:1])
    asked = await office.go()
    assert (await office.go("perhaps"))["id"] == asked["id"]
    assert office.sent() == []
    assert await office.go(True) == {}
    assert office.sent() == ["First"]


async def test_a_rejection_reaches_the_model_with_its_reason(tmp_path: Path) -> None:
    office = Office(tmp_path, MAILS[:1])
    await office.go()
    await office.go({"decisions": [{"type": "reject", "message": "wrong customer"}]})
    assert office.sent() == []
    assert office.results[0]["error"]["code"] == "rejected"
    assert "wrong customer" in office.results[0]["error"]["message"]


async def test_an_edit_is_what_is_sent_and_the_model_learns_which_fields_changed(tmp_path: Path) -> None:
    office = Office(tmp_path, MAILS[:1])
    await office.go()
    edited = {**MAILS[0], "subject": "Better"}
    await office.go([{"type": "edit", "args": {"action": "send_email", "args": edited}}])
    assert office.sent() == ["Better"]
    assert office.results[0]["changed_by_reviewer"] == ["subject"]


async def test_an_edit_is_validated_like_any_arguments(tmp_path: Path) -> None:
    office = Office(tmp_path, MAILS[:1])
    await office.go()
    await office.go({"type": "edit", "arguments": {**MAILS[0], "subject": "two\nlines"}})
    assert office.sent() == []
    assert office.results[0]["error"]["code"] == "bad_arguments"


class Bell:
    """A graph of one node that rings a bell of one shot; nobody knows whether the first ring was heard."""

    def __init__(self, ledger: Ledger) -> None:
        self.keys: list[str] = []

        async def ring(arguments: Question, context: ToolContext) -> Output | Problem:
            self.keys.append(context.key)
            if len(self.keys) == 1:
                raise OutcomeUnknown("the door is thick")
            return Output(data={"rung": True})

        tool = Tool(name="ring", description="", parameters=Question, call=ring, risk=1, reconcile="ask_a_person")
        runner = ToolRunner(Registry([tool]), ledger, MemoryApprovals(), "run-1")

        async def node(state: Mails) -> Mails:
            result = await runner.run(ToolCall(id="c", name="ring", arguments={"text": "twice"}), "s1")
            return {"results": [result.content]}

        builder = StateGraph(Mails)
        builder.add_node("work", node)
        builder.add_edge(START, "work")
        self._graph = builder.compile(checkpointer=InMemorySaver())

    async def go(self, value: Any = None) -> Any:
        """What is asked, or the tool's answer."""
        given: Mails | Command[Any] = {"results": []} if value is None else Command(resume=value)
        answer = await self._graph.ainvoke(given, {"configurable": {"thread_id": "t"}})
        asked = answer.get("__interrupt__")
        return asked[0].value if asked else orjson.loads(answer["results"][0])


async def test_an_unknown_effect_is_asked_about_and_what_a_resume_says_is_taken() -> None:
    bell = Bell(MemoryLedger())
    asked = await bell.go()
    (action,) = asked["action_requests"]
    assert (asked["kind"], action["name"], action["args"]) == ("effect", "ring", {"text": "twice"})
    assert asked["description"].startswith("Step s1: the door is thick. Did it happen?")
    assert asked["review_configs"][0]["allowed_decisions"] == ["approve", "reject"]
    assert [name for name, may in asked["config"].items() if not may] == ["allow_edit", "allow_ignore"]
    assert asked["response_schema"]["properties"]["decision"] == {"enum": ["happened", "did_not", "retry"]}
    put_away = ({"type": "ignore"}, {"interruptId": asked["id"], "status": "cancelled"})
    of_another: dict[str, Any] = {"approval_id": "a1"}
    for unclear in ("perhaps", *put_away, {"type": "approve"} | of_another, {"type": "respond", "args": "well"}, [1]):
        assert (await bell.go(unclear))["id"] == asked["id"]
    assert await bell.go({"decision": "retry"}) == {"rung": True}
    assert bell.keys == [asked["id"]] * 2


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, "happened"),
        ("No", "did_not"),
        ({"type": "reject", "message": "seen"}, "did_not"),
        ({"decisions": [{"type": "approve"}]}, "happened"),
        ({"decisions": [{"type": "reject", "message": "seen"}]}, "did_not"),
        ([{"type": "accept", "args": None}], "happened"),
        ([{"type": "response", "args": "Did not"}], "did_not"),
        ({"type": "respond", "message": "retry"}, "retry"),
        ({"interruptId": "k", "status": "resolved", "payload": {"decision": "retry", "note": "seen"}}, "retry"),
        ({"interruptId": "k", "status": "resolved", "payload": {"type": "approve"}}, "happened"),
        ({"decision": "did_not", "note": "seen", "by": "mia"}, "did_not"),
    ],
)
def test_a_word_about_an_effect_is_understood_in_every_shape(answer: Any, verdict: str) -> None:
    said = read_verdict(answer)
    assert said
    assert (said.decision, said.note) == (verdict, "seen" if "seen" in str(answer) else "")


@pytest.mark.parametrize("decision", ["happened", "did_not"])
async def test_a_word_about_an_unknown_effect_is_its_result(decision: str) -> None:
    bell = Bell(MemoryLedger())
    await bell.go()
    answer = await bell.go({"decision": decision, "note": "I asked"})
    assert ("I asked" in str(answer), len(bell.keys)) == (True, 1)
    assert ("error" in answer) == (decision == "did_not")


async def test_what_a_person_types_in_studio_is_redacted_before_the_model_reads_it() -> None:
    bell = Bell(StudioLedger(lambda typed: {**typed, "note": "[EMAIL_1]"}))
    await bell.go()
    assert (await bell.go({"decision": "happened", "note": "anna@example.com"}))["note"] == "[EMAIL_1]"


class Question(Arguments):
    text: str


async def test_a_tool_may_itself_pause_the_run() -> None:
    async def asks(arguments: Question, context: ToolContext) -> Output | Problem:
        return Output(data={"heard": interrupt(arguments.text)})

    tool = Tool(name="ask", description="", parameters=Question, call=asks)
    runner = ToolRunner(Registry([tool]), MemoryLedger(), MemoryApprovals(), "run-1")

    async def node(state: Mails) -> Mails:
        result = await runner.run(ToolCall(id="c", name="ask", arguments={"text": "which one?"}), "s1")
        return {"results": [result.content]}

    builder = StateGraph(Mails)
    builder.add_node("work", node)
    builder.add_edge(START, "work")
    graph = builder.compile(checkpointer=InMemorySaver())
    where: Any = {"configurable": {"thread_id": "t"}}
    assert (await graph.ainvoke({"results": []}, where))["__interrupt__"][0].value == "which one?"
    assert (await graph.ainvoke(Command(resume="the blue one"), where))["results"] == ['{"heard":"the blue one"}']
