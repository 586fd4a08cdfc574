"""Plays a goal end to end with the real tools over a real folder: plan, steps, review, answer."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from graph.ports import AnswerTask, Message, ModelCall, Models, Overview, PlanTask, ReviewTask, StepTask, Task, ToolCall
from graph.state import Plan, Source, Step, StepOutcome, Verdict
from graph.tools.builtin import builtin_tools
from graph.tools.policy import Policy, Rule
from graph.tools.registry import Registry
from graph.tools.runner import ToolRunner
from privacy.redact import from_record
from serving.documents.document import ParsedDocument
from serving.documents.parse import read_folder
from serving.documents.search import CollectionDocuments
from serving.documents.store import DocumentStore
from serving.documents.tables import CollectionTables, Databases
from serving.mail import OutboxMailer
from serving.runs.artifacts import MemoryArtifacts
from serving.runs.decisions.approvals import MemoryApprovals
from serving.runs.ledger import MemoryLedger
from tests.evals.pdf import pdf

FOLDERS = Path(__file__).parent / "folders"
_ALLOW_ALL = Policy(rules=(Rule(action="allow", max_risk=3),))
_MOST_TURNS = 12


def build(name: str, into: Path) -> Path:
    """A copy of an eval folder in which every `x.pdf.txt` is a PDF, without its goals."""
    root = into / name
    shutil.copytree(FOLDERS / name, root, ignore=shutil.ignore_patterns("goals.yaml"))
    for text in root.rglob("*.pdf.txt"):
        text.with_suffix("").write_bytes(pdf(text.read_text().splitlines()))
        text.unlink()
    return root


async def ingest(store: DocumentStore, root: Path) -> None:
    found = [entry for entry in read_folder(root) if isinstance(entry, ParsedDocument)]
    await store.put(root.name, [document.redacted(from_record) for document in found])


@dataclass
class Played:
    answer: str
    sources: tuple[Source, ...]
    plan: Plan
    outcomes: tuple[StepOutcome, ...]
    calls: list[ToolCall] = field(default_factory=list)

    @property
    def cited(self) -> set[str]:
        """Paths that the answer cites by number."""
        return {self.sources[int(n) - 1].path for n in re.findall(r"\[(\d+)\]", self.answer)}


class Table:
    """One run at a time over one collection."""

    def __init__(self, models: Models, store: DocumentStore, collection: str, outbox: Path) -> None:
        self.models, self.documents = models, CollectionDocuments(store, collection)
        self.artifacts = MemoryArtifacts()
        tables = CollectionTables(store, collection, Databases())
        tools = builtin_tools(self.documents, tables, self.artifacts, OutboxMailer(outbox))
        self.registry = Registry(tools)

    async def play(self, goal: str, memory: tuple[str, ...] = ()) -> Played:
        run = _Run(self, goal, memory, await self.documents.overview())
        return await run.play()


class _Run:
    def __init__(self, table: Table, goal: str, memory: tuple[str, ...], overview: Overview) -> None:
        self.table, self.goal, self.memory, self.overview = table, goal, memory, overview
        self.runner = ToolRunner(table.registry, MemoryLedger(), MemoryApprovals(), f"run {goal}", policy=_ALLOW_ALL)
        self.calls: list[ToolCall] = []
        self.outcomes: dict[str, StepOutcome] = {}

    async def play(self) -> Played:
        plan = Plan.model_validate_json(
            await self._say(PlanTask(goal=self.goal, overview=self.overview, memory=self.memory))
        )
        feedback: dict[str, str] = {}
        for round_ in range(3):
            while ready := plan.ready(set(self.outcomes)):
                for step in ready:
                    self.outcomes[step.id] = await self._step(plan, step, feedback.get(step.id, ""), round_ + 1)
            ordered = tuple(self.outcomes[step.id] for step in plan.steps)
            review = ReviewTask(goal=self.goal, plan=plan, outcomes=ordered, round=round_)
            verdict = Verdict.model_validate_json(await self._say(review))
            if verdict.decision != "revise":
                break
            feedback = verdict.revise
            for id_ in _affected(plan, set(feedback)):
                del self.outcomes[id_]
        sources = tuple({s.ref: s for outcome in ordered for s in outcome.sources}.values())[:20]
        task = AnswerTask(goal=self.goal, outcomes=ordered, sources=sources, memory=self.memory, verdict=verdict)
        return Played(await self._say(task), sources, plan, ordered, self.calls)

    async def _step(self, plan: Plan, step: Step, feedback: str, attempt: int) -> StepOutcome:
        known = tuple(self.outcomes[id_] for id_ in step.depends_on)
        task = StepTask(
            goal=self.goal, step=step, overview=self.overview, memory=self.memory, known=known, feedback=feedback
        )
        transcript: list[Message] = []
        called: list[ToolCall] = []
        seen: dict[str, Source] = {}
        for _ in range(_MOST_TURNS):
            reply = await self.table.models.complete(self._call(task, tuple(transcript), allow_tools=True))
            call = reply.tool_calls[0]
            if call.name == "report":
                return _reported(step, attempt, call.arguments, seen)
            assert call not in called, f"the same call twice: {call}"
            called.append(call)
            self.calls.append(call)
            result = await self.runner.run(call, step.id)
            seen |= {source.ref: source for source in result.sources}
            transcript.append(Message("assistant", reply.text, tool_calls=(call,)))
            transcript.append(Message("tool", from_record(result.content), tool_call_id=call.id))
        raise AssertionError(f"step {step.id} did not end: {[c.name for c in self.calls]}")

    async def _say(self, task: Task) -> str:
        return (await self.table.models.complete(self._call(task, ()))).text

    def _call(self, task: Task, transcript: tuple[Message, ...], allow_tools: bool = False) -> ModelCall:
        prompt = Message("user", from_record(orjson.dumps(task.model_dump(mode="json")).decode()))
        return ModelCall(
            run_id="eval",
            thread_id="eval",
            task=task,
            messages=(prompt, *transcript),
            tools=self.table.registry.schemas,
            transcript=transcript,
            allow_tools=allow_tools,
        )


def _affected(plan: Plan, named: set[str]) -> set[str]:
    grown = named | {step.id for step in plan.steps if named.intersection(step.depends_on)}
    return grown if grown == named else _affected(plan, grown)


def _reported(step: Step, attempt: int, said: Mapping[str, Any], seen: Mapping[str, Source]) -> StepOutcome:
    """As the graph's worker does it: only refs that a tool of this step returned count."""
    finding = str(said["finding"])
    if missing := said.get("missing"):
        finding = f"{finding} (missing: {missing})".strip()
    sources = tuple(seen[ref] for ref in seen if ref in said["sources"])
    return StepOutcome(step_id=step.id, status=said["status"], finding=finding, sources=sources, attempt=attempt)
