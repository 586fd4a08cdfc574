"""One way for every call: errors are values, effects happen once, a cut-off effect is reconciled."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from graph.errors import FenceLost, OutcomeUnknown, StorageLost, ToolFailed
from graph.ports import ToolCall, ToolResult
from graph.state import Source
from graph.tools.builtin.calculate import CALCULATE
from graph.tools.policy import Policy, Rule
from graph.tools.registry import Arguments, CanCheck, Output, Problem, Reconcile, Registry, Tool, ToolContext
from graph.tools.runner import ToolRunner
from serving.runs.decisions.approvals import MemoryApprovals
from serving.runs.ledger import MemoryLedger

ALLOW = Policy(rules=(Rule(action="allow"),))


class Note(Arguments):
    text: str


class Notebook:
    """A tool whose effect can be counted; `fail` is raised after the effect."""

    def __init__(self, fail: Exception | None = None) -> None:
        self.lines: list[tuple[str, str]] = []
        self._fail = fail

    async def call(self, arguments: Note, context: ToolContext) -> Output | Problem:
        self.lines.append((context.key, arguments.text))
        await asyncio.sleep(0)
        if self._fail:
            raise self._fail
        return Output(data={"line": len(self.lines)}, sources=(Source(ref="a.md#1", path="a.md"),))

    def tool(self, risk: int = 3, reconcile: Reconcile | None = "honours_key", **more: Any) -> Tool:
        return Tool(
            name="note", description="Write.", parameters=Note, call=self.call, risk=risk, reconcile=reconcile, **more
        )


def runner_of(*tools: Tool, ledger: MemoryLedger | None = None, policy: Policy = ALLOW) -> ToolRunner:
    return ToolRunner(Registry(tools), ledger or MemoryLedger(), MemoryApprovals(), "run-1", policy)


async def call(runner: ToolRunner, name: str = "note", step: str = "s1", **arguments: Any) -> ToolResult:
    return await runner.run(ToolCall(id="c", name=name, arguments=arguments), step)


def error_of(result: ToolResult) -> dict[str, str]:
    assert not result.ok
    error: dict[str, str] = orjson.loads(result.content)["error"]
    return error


# ---------------------------------------------------------------- errors are values


async def test_an_unknown_tool_is_answered_with_a_close_name() -> None:
    error = error_of(await call(runner_of(CALCULATE), "calculator", expression="1"))
    assert (error["code"], error["hint"]) == ("unknown_tool", "did you mean calculate?")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "expression: Field required"),
        ({"expression": 7}, "expression: Input should be a valid string"),
        ({"expression": "1", "digits": 3}, "digits: Extra inputs are not permitted"),
        ({"expression": "x" * 2_000}, "expression: String should have at most 1000 characters"),
    ],
)
async def test_bad_arguments_name_the_field(arguments: dict[str, Any], said: str) -> None:
    error = error_of(await call(runner_of(CALCULATE), "calculate", **arguments))
    assert error == {"code": "bad_arguments", "message": said, "hint": "calculate takes: expression (required)"}


async def test_what_policy_denies_is_not_called() -> None:
    notebook = Notebook()
    error = error_of(await call(runner_of(notebook.tool(), policy=Policy()), text="x"))
    assert error["code"] == "denied_by_policy"
    assert notebook.lines == []


async def test_a_failure_tells_its_kind_and_nothing_of_the_machine() -> None:
    notebook = Notebook(PermissionError(13, "denied", "/home/anna/.ssh/id_rsa"))
    result = await call(runner_of(notebook.tool(risk=0)), text="x")
    assert error_of(result)["message"] == "note failed with PermissionError"
    assert "anna" not in result.content
    assert "Traceback" not in result.content


async def test_a_failure_that_a_tool_explains_is_passed_on_without_paths() -> None:
    error = error_of(await call(runner_of(Notebook(ToolFailed("no /srv/data/x.csv")).tool()), text="x"))
    assert (error["code"], error["message"]) == ("tool_failed", "no x.csv")


async def test_a_slow_tool_is_stopped() -> None:
    async def slow(arguments: Note, context: ToolContext) -> Output | Problem:
        await asyncio.sleep(30)
        return Output(data={})

    tool = Tool(name="note", description="", parameters=Note, call=slow, timeout_s=0.05)
    error = error_of(await call(runner_of(tool), text="x"))
    assert (error["code"], error["message"]) == ("timeout", "note did not answer within 0.05 s")


@pytest.mark.parametrize("stop", [FenceLost("run run-1"), StorageLost("gone"), asyncio.CancelledError()])
async def test_what_ends_the_attempt_is_not_turned_into_a_value(stop: BaseException) -> None:
    async def stopped(arguments: Note, context: ToolContext) -> Output | Problem:
        raise stop

    tool = Tool(name="note", description="", parameters=Note, call=stopped)
    with pytest.raises(type(stop)):
        await call(runner_of(tool), text="x")


async def test_nul_and_lone_surrogates_never_get_through() -> None:
    notebook = Notebook()
    result = await call(runner_of(notebook.tool()), text="a\x00b\udcff")
    assert result.ok
    assert [text for _, text in notebook.lines] == ["ab"]


async def test_a_huge_result_is_cut_and_stays_json() -> None:
    async def huge(arguments: Note, context: ToolContext) -> Output | Problem:
        return Output(data={"text": "ab" * 50_000})

    result = await call(runner_of(Tool(name="note", description="", parameters=Note, call=huge)), text="x")
    assert len(result.content.encode()) <= 16_000
    assert "over the limit" in orjson.loads(result.content)["cut"]


# ---------------------------------------------------------------- effects happen once


async def test_the_same_action_gives_the_same_result_without_a_second_effect() -> None:
    notebook, ledger = Notebook(), MemoryLedger()
    first = await call(runner_of(notebook.tool(), ledger=ledger), text="x")
    again = await call(runner_of(notebook.tool(), ledger=ledger), text="x")
    assert first == again
    assert first.sources[0].ref == "a.md#1"
    assert len(notebook.lines) == 1


async def test_the_same_action_twice_at_a_time_happens_once() -> None:
    notebook = Notebook()
    runner = runner_of(notebook.tool(reconcile="ask_a_person"))
    results = await asyncio.gather(*(call(runner, text="x") for _ in range(5)))
    assert [result.ok for result in results] == [True] * 5
    assert len(notebook.lines) == 1


async def test_another_step_argument_or_version_is_another_action() -> None:
    notebook, ledger = Notebook(), MemoryLedger()
    await call(runner_of(notebook.tool(), ledger=ledger), text="x")
    await call(runner_of(notebook.tool(), ledger=ledger), text="x", step="s2")
    await call(runner_of(notebook.tool(), ledger=ledger), text="y")
    await call(runner_of(notebook.tool(version="2"), ledger=ledger), text="x")
    assert len({key for key, _ in notebook.lines}) == 4


async def test_reading_leaves_no_row_and_may_be_repeated() -> None:
    notebook = Notebook()
    runner = runner_of(notebook.tool(risk=0, reconcile=None))
    await call(runner, text="x")
    await call(runner, text="x")
    assert len(notebook.lines) == 2


async def test_a_stated_failure_is_recorded_and_not_tried_again() -> None:
    notebook = Notebook(ToolFailed("the server refused"))
    runner = runner_of(notebook.tool(reconcile="ask_a_person"))
    assert error_of(await call(runner, text="x")) == error_of(await call(runner, text="x"))
    assert len(notebook.lines) == 1


class Fails(Notebook):
    """Its first `times` calls fail after their effect."""

    def __init__(self, fail: Exception, times: int) -> None:
        super().__init__(fail)
        self._times = times

    async def call(self, arguments: Note, context: ToolContext) -> Output | Problem:
        if len(self.lines) == self._times:
            self._fail = None
        return await super().call(arguments, context)


LEAVE_IT_OPEN = [OutcomeUnknown("cut off"), OSError("cut off"), TimeoutError()]


@pytest.mark.parametrize("failure", LEAVE_IT_OPEN)
async def test_a_live_failure_that_leaves_it_open_is_tried_again_with_the_same_key(failure: Exception) -> None:
    fails = Fails(failure, times=1)
    assert (await call(runner_of(fails.tool()), text="x")).ok
    assert len(fails.lines) == 2
    assert len({key for key, _ in fails.lines}) == 1


@pytest.mark.parametrize("failure", LEAVE_IT_OPEN)
async def test_a_live_failure_of_a_tool_that_can_be_asked_is_asked_about(failure: Exception) -> None:
    async def check(arguments: Note, context: ToolContext) -> Output | None:
        return Output(data={"found": True})

    fails = Fails(failure, times=1)
    result = await call(runner_of(fails.tool(reconcile=CanCheck(check))), text="x")
    assert (result.ok, result.content) == (True, '{"found":true}')
    assert len(fails.lines) == 1


async def test_a_pure_tool_that_keeps_failing_has_just_failed() -> None:
    fails = Fails(OSError("cut off"), times=9)
    error = error_of(await call(runner_of(fails.tool(reconcile="pure")), text="x"))
    assert (error["code"], error["message"]) == ("tool_failed", "note failed with OSError")
    assert len(fails.lines) == 2


@pytest.mark.parametrize("stop", [FenceLost("run run-1"), StorageLost("gone")])
async def test_what_ends_the_attempt_leaves_its_effect_prepared(stop: Exception) -> None:
    stopped, ledger = Fails(stop, times=1), MemoryLedger()
    with pytest.raises(type(stop)):
        await call(runner_of(stopped.tool(), ledger=ledger), text="x")
    (row,) = ledger.rows
    assert row.state == "prepared"
    assert (await call(runner_of(stopped.tool(), ledger=ledger), text="x")).ok
    assert len({key for key, _ in stopped.lines}) == 1


async def test_a_call_ends_with_the_runs_seconds_when_they_are_fewer_than_its_own() -> None:
    async def slow(arguments: Note, context: ToolContext) -> Output | Problem:
        await asyncio.sleep(30)
        return Output(data={})

    tool = Tool(name="note", description="", parameters=Note, call=slow, risk=1, reconcile="pure")
    started = time.monotonic()
    result = await runner_of(tool).run(ToolCall(id="c", name="note", arguments={"text": "x"}), "s1", 0.05)
    assert error_of(result)["message"] == "note did not answer within 0.05 s"
    assert time.monotonic() - started < 20


async def _cut_off(cut: "Cut", tool: Callable[[], Tool], ledger: MemoryLedger) -> None:
    """An attempt that ends between the effect and its record."""
    runner = runner_of(tool(), ledger=ledger)
    task = asyncio.create_task(call(runner, text="x"))
    async with asyncio.timeout(60):
        while not cut.lines:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Cut(Notebook):
    """Its first call never answers."""

    async def call(self, arguments: Note, context: ToolContext) -> Output | Problem:
        answer = await super().call(arguments, context)
        if len(self.lines) == 1:
            await asyncio.sleep(30)
        return answer


async def test_after_a_cut_a_tool_that_honours_keys_is_called_again_with_the_same_key() -> None:
    cut, ledger = Cut(), MemoryLedger()
    await _cut_off(cut, cut.tool, ledger)
    assert (await call(runner_of(cut.tool(), ledger=ledger), text="x")).ok
    assert len(cut.lines) == 2
    assert len({key for key, _ in cut.lines}) == 1


@pytest.mark.parametrize(("happened", "calls"), [(True, 1), (False, 2)])
async def test_after_a_cut_a_tool_that_can_be_asked_is_asked_first(happened: bool, calls: int) -> None:
    cut, ledger = Cut(), MemoryLedger()

    async def check(arguments: Note, context: ToolContext) -> Output | None:
        return Output(data={"found": True}) if happened else None

    def tool() -> Tool:
        return cut.tool(reconcile=CanCheck(check))

    await _cut_off(cut, tool, ledger)
    assert (await call(runner_of(tool(), ledger=ledger), text="x")).ok
    assert len(cut.lines) == calls
