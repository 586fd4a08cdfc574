"""One run in Studio: its parts, and which of LangGraph's runs carry it on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from langgraph.runtime import ExecutionInfo

from graph.bounds import Bounds, Budget
from graph.events import (
    ConversationRecalled,
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
from serving.studio.log import MemoryLog


class StudioRun:
    """A goal on its way through the graph. LangGraph's server gives every resume and every fork a run id of its own."""

    def __init__(self, deps: Deps, log: MemoryLog) -> None:
        self.deps, self._log = deps, log
        self._carried_by: str | None = None
        self._unfinished: set[str] = set()

    @contextmanager
    def task(self, state: Mapping[str, Any], at: ExecutionInfo) -> Iterator[Deps]:
        """Around each node: keeps the clock still from a task that ends early until it is taken up again."""
        if at.run_id != self._carried_by:
            self._take_up(state, at)
        self._unfinished.add(at.task_id)
        try:
            yield self.deps
        except BaseException:
            self._log.note(RunInterrupted(approvals=()))
            raise
        self._unfinished.discard(at.task_id)

    def _take_up(self, state: Mapping[str, Any], at: ExecutionInfo) -> None:
        """A task that had not ended goes on in the same log. Any other is a fork: its log is what the state says."""
        self._carried_by = at.run_id
        if at.task_id in self._unfinished:
            self._log.note(RunResumed(by="studio"))
            return
        self._log = MemoryLog(*_so_far(state, self._log.history))
        self._unfinished.clear()
        budget = Budget(Bounds(), self._log.history)
        self.deps = replace(self.deps, events=self._log, budget=budget)


def _so_far(state: Mapping[str, Any], history: Sequence[RunEvent]) -> Iterator[EventBody]:
    """What was recalled, the plan, and the outcomes: all that the nodes read in the log of earlier nodes."""
    bodies = [event.body for event in history]
    yield from (body for body in bodies if isinstance(body, MemoryRecalled | ConversationRecalled))
    plans = [body for body in bodies if isinstance(body, PlanProposed | PlanEdited)]
    if plan := state.get("plan"):
        yield PlanEdited(plan=Plan.model_validate(plan), by="studio")
    elif "step" in state and plans:  # the input of one step, which says nothing of the plan
        yield plans[-1]
    for outcome in state.get("known") or (state.get("outcomes") or {}).values():
        if outcome:
            yield StepFinished(outcome=StepOutcome.model_validate(outcome))
