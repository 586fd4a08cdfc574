"""The worker: carries out one step in a bounded loop of model turns and tool calls.

Everything it does is in the log before it goes on, so a worker that starts again after a kill reads its own
transcript and continues behind the last line.
"""

import time
from typing import TypedDict

from graph.bounds import SAME_CALL_LIMIT
from graph.call_deltas import CallDeltas
from graph.channels import RunState
from graph.errors import BoundReached
from graph.events import StepFinished, StepStarted, ToolFinished, ToolStarted
from graph.faults import point
from graph.ports import Deps, StepTask, ToolCall
from graph.state import Source, Step, StepOutcome
from graph.tools.registry import REPORT
from graph.transcript import StepTranscript, bodies, memory_of, overview_of
from graph.turn import log_bound, take_turn


class StepWork(TypedDict):
    """What `Send` carries to one worker."""

    goal: str
    step: dict[str, object]
    known: list[dict[str, object]]
    feedback: str
    attempt: int


def work_for(state: RunState, step: Step) -> StepWork:
    return {
        "goal": state["goal"],
        "step": step.model_dump(mode="json"),
        "known": [state["outcomes"][id_] for id_ in step.depends_on],
        "feedback": state["feedback"].get(step.id, ""),
        "attempt": state["round"] + 1,
    }


async def work(sent: StepWork, deps: Deps) -> RunState:
    step = Step.model_validate(sent["step"])
    attempt = sent["attempt"]
    outcome = _finished(deps, step, attempt)
    if outcome is None:
        await _announce(deps, step, attempt)
        outcome = await _loop(deps, _task(deps, sent, step), attempt)
        point("step.done")
        await deps.events.append(StepFinished(outcome=outcome))
        point("step.finished")
    return {"outcomes": {step.id: outcome.model_dump(mode="json")}}


async def _loop(deps: Deps, task: StepTask, attempt: int) -> StepOutcome:
    """Every turn reads from the log how far the step is, so it goes on wherever the last attempt was cut."""
    try:
        while True:
            done = StepTranscript(deps.events.history, task.step.id, attempt)
            call = done.waiting()
            if call and call.name == REPORT:
                return _reported(task, attempt, call, done)
            if call:
                await _use_tool(deps, task.step, attempt, call, done)
            elif (words := done.last_words()) is not None:
                return _spoken(task.step, attempt, words, done)
            else:
                deltas = CallDeltas(deps, task.step.id, attempt, done.called())
                await take_turn(deps, task, attempt=attempt, on_piece=deltas.add, precedes=deltas.rest)
    except BoundReached as error:
        await log_bound(deps, error)
        done = StepTranscript(deps.events.history, task.step.id, attempt)
        return _outcome(task.step, attempt, "stopped", f"stopped early: {error}", _sources(done))


async def _use_tool(deps: Deps, step: Step, attempt: int, call: ToolCall, done: StepTranscript) -> None:
    times = done.times_called(call) + (not done.has_started(call))
    if times >= SAME_CALL_LIMIT:
        raise BoundReached("repeated_call", SAME_CALL_LIMIT, times)
    where = {"step_id": step.id, "attempt": attempt, "call_id": call.id, "tool": call.name}
    if not done.has_started(call):
        with deps.budget.tool_call():
            await deps.events.append(ToolStarted(**where, arguments=call.arguments))
    point("tool.started")
    started = time.perf_counter()
    result = await deps.tools.run(call, step.id, deps.budget.seconds_for_tool())
    spent_ms = round((time.perf_counter() - started) * 1000, 1)
    point("tool.answered")
    await deps.events.append(ToolFinished(**where, **result.model_dump(), duration_ms=spent_ms))


def _task(deps: Deps, sent: StepWork, step: Step) -> StepTask:
    return StepTask(
        goal=sent["goal"],
        step=step,
        overview=overview_of(deps.events.history),
        memory=memory_of(deps.events.history),
        known=tuple(StepOutcome.model_validate(outcome) for outcome in sent["known"]),
        feedback=sent["feedback"],
    )


async def _announce(deps: Deps, step: Step, attempt: int) -> None:
    begun = bodies(deps.events.history, StepStarted)
    if not any(body.step_id == step.id and body.attempt == attempt for body in begun):
        point("step.ready")
        await deps.events.append(StepStarted(step_id=step.id, goal=step.goal, attempt=attempt))
        point("step.started")


def _finished(deps: Deps, step: Step, attempt: int) -> StepOutcome | None:
    outcomes = (body.outcome for body in bodies(deps.events.history, StepFinished))
    return next((o for o in outcomes if o.step_id == step.id and o.attempt == attempt), None)


def _reported(task: StepTask, attempt: int, call: ToolCall, done: StepTranscript) -> StepOutcome:
    """Sources are those of the cited refs that a tool or an earlier step really gave; a made-up ref is dropped."""
    listed = call.arguments.get("sources")
    cited = [ref for ref in (listed if isinstance(listed, list) else [listed]) if isinstance(ref, str)]
    finding = str(call.arguments.get("finding") or "")
    status = "done" if finding.strip() and call.arguments.get("status") == "done" else "failed"
    if missing := call.arguments.get("missing"):
        finding = f"{finding} (missing: {missing})".strip()
    given = {source.ref: source for outcome in task.known for source in outcome.sources}
    given |= {source.ref: source for source in _sources(done)}
    sources = tuple(given[ref] for ref in dict.fromkeys(cited) if ref in given)
    return _outcome(task.step, attempt, status, finding, sources)


def _spoken(step: Step, attempt: int, text: str, done: StepTranscript) -> StepOutcome:
    """A model that answers in words instead of `report`: its finding rests on the refs it names, or on all it saw."""
    if not text.strip():
        return _outcome(step, attempt, "failed", "the model ended the step without a word", ())
    seen = _sources(done)
    return _outcome(step, attempt, "done", text, tuple(s for s in seen if s.ref in text) or seen)


def _outcome(step: Step, attempt: int, status: str, finding: str, sources: tuple[Source, ...]) -> StepOutcome:
    values = {"step_id": step.id, "status": status, "finding": finding, "sources": sources, "attempt": attempt}
    return StepOutcome.model_validate(values)


def _sources(done: StepTranscript) -> tuple[Source, ...]:
    found = {source.ref: source for result in done.results.values() for source in result.sources}
    return tuple(found.values())
