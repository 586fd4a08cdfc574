"""One run in Studio: its parts, and which of LangGraph's runs carry it on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from langgraph.runtime import ExecutionInfo

from graph.bounds import Bounds, Budget
from graph.events import (
    ConversationRecalled,
    DocumentsListed,
    EventBody,
    MemoryRecalled,
    PlanEdited,
    PlanProposed,
    RunEvent,
    RunInterrupted,
    RunResumed,
    StepFinished,
)
from graph.ports import Deps
from graph.state import Plan, StepOutcome
from privacy.redact import strings
from serving.studio.log import MemoryLog


class StudioRun:
    """A goal on its way through the graph. LangGraph's server gives every resume and every fork a run id of its own."""

    def __init__(self, deps: Deps, log: MemoryLog, carried_by: str | None) -> None:
        self.deps, self._log = deps, log
        self._carried_by = carried_by
        self._unfinished: set[str] = set()

    def forked_by(self, at: ExecutionInfo) -> bool:
        """Whether somebody starts at an earlier checkpoint or with an edited state, instead of going on."""
        return at.run_id != self._carried_by and at.task_id not in self._unfinished

    def texts(self) -> set[str]:
        """Every text in its log."""
        return set(strings([event.body.model_dump(mode="json") for event in self._log.history]))

    @contextmanager
    def task(self, state: Mapping[str, Any], at: ExecutionInfo) -> Iterator[Deps]:
        """Around each node. A task that ends early stops the run's clock until somebody takes it up again."""
        if self.forked_by(at):
            self._fork(state)
        elif at.run_id != self._carried_by:
            self._log.note(RunResumed(by="studio"))
        self._carried_by = at.run_id
        self._unfinished.add(at.task_id)
        try:
            yield self.deps
        except BaseException:
            self._log.note(RunInterrupted(approvals=()))
            raise
        self._unfinished.discard(at.task_id)

    def _fork(self, state: Mapping[str, Any]) -> None:
        """The nodes read in the log what earlier nodes did; from here on that is what the state says."""
        self._log = MemoryLog(*_so_far(state, self._log.history))
        self._unfinished.clear()
        self.deps = replace(self.deps, events=self._log, budget=Budget(Bounds(), self._log.history))


_RECALLED = MemoryRecalled | ConversationRecalled | DocumentsListed


def _so_far(state: Mapping[str, Any], history: Sequence[RunEvent]) -> Iterator[EventBody]:
    """What was recalled when the run began, its plan, and its outcomes."""
    bodies = [event.body for event in history]
    yield from (body for body in bodies if isinstance(body, _RECALLED))
    plans = [body for body in bodies if isinstance(body, PlanProposed | PlanEdited)]
    if plan := state.get("plan"):
        yield PlanEdited(plan=Plan.model_validate(plan), by="studio")
    elif "step" in state and plans:  # the input of one step, which says nothing of the plan
        yield plans[-1]
    for outcome in state.get("known") or (state.get("outcomes") or {}).values():
        if outcome:
            yield StepFinished(outcome=StepOutcome.model_validate(outcome))
