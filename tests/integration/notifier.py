"""A tool of one shot, and runs whose step calls it: what becomes of a call is the test's to say."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from graph.errors import OutcomeUnknown
from graph.ports import Deps, ModelCall, ModelReply, StepTask
from graph.tools.policy import Policy
from graph.tools.registry import Arguments, Output, Problem, Registry, Tool, ToolContext
from graph.tools.runner import ToolRunner
from serving.runs.attempts.execute import Executor
from serving.runs.attempts.terms import Terms
from serving.runs.decisions.approvals import PostgresApprovals
from serving.runs.ledger import PostgresLedger
from serving.runs.log import AttemptLog
from serving.runs.queue import Claim
from serving.runs.requests.request import RunRequest
from serving.runs.view import RunView
from tests.integration.ledger_rows import ALLOW
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels, plans, spoken, tool_call, tool_results


class Words(Arguments):
    text: str


@dataclass
class Notifier:
    """A tool of one shot. Its call number n ends as `ends[n]` says: an error is raised, None never answers."""

    ends: list[Exception | str | None] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def tool(self, **more: Any) -> Tool:
        options: dict[str, Any] = {"risk": 3, "reconcile": "ask_a_person"} | more
        return Tool(name="notify", description="Tells somebody.", parameters=Words, call=self._call, **options)

    async def _call(self, arguments: Words, context: ToolContext) -> Output | Problem:
        self.keys.append(context.key)
        self.called.set()
        end = self.ends.pop(0) if self.ends else "sent"
        if end is None:
            await asyncio.sleep(60)
        if isinstance(end, Exception):
            raise end
        return Output(data={"where": end})


CUT = OutcomeUnknown("the mail server broke off while it took the message")


async def notifies(call: ModelCall) -> ModelReply:
    """Calls the tool once, then reports what came back."""
    assert isinstance(call.task, StepTask)
    if not tool_results(call):
        return spoken("", tool_call(call, "notify", text=f"[EMAIL_1] {call.task.step.id}"))
    return spoken("", tool_call(call, "report", status="done", finding=orjson.dumps(tool_results(call)).decode()))


def models(*steps: str) -> ScriptedModels:
    return ScriptedModels(planner=plans(*(steps or ("s1",))), worker=notifies)


def executor(house: House, tool: Tool, scripted: ScriptedModels | None = None, policy: Policy = ALLOW) -> Executor:
    async def make_deps(claim: Claim, request: RunRequest, events: AttemptLog, terms: Terms) -> Deps:
        deps = await house.parts(scripted or models())(claim, request, events, terms)
        where = (claim.run_id, claim.fence)
        ledger, approvals = PostgresLedger(house.pool, house.calls, *where), PostgresApprovals(house.pool, *where)
        runner = ToolRunner(Registry([tool]), ledger, approvals, claim.run_id, policy)
        return replace(deps, tools=runner)

    whole = house.executor(scripted or models())
    whole._make_deps = make_deps
    return whole


async def parked(house: House, notifier: Notifier, *steps: str) -> RunView:
    run_id = await house.create()
    await executor(house, notifier.tool(), models(*steps)).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.status, view.phase) == ("interrupted", "waiting_for_human")
    return view


async def goes_on(house: House, run_id: str, notifier: Notifier, *steps: str) -> RunView:
    await executor(house, notifier.tool(), models(*steps)).attempt(await house.claim())
    return await house.store.get(run_id)
