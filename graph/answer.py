"""The answer: in its channel's profile, with numbered sources; composed from the findings when no call is left. Or in
the form that its caller asked for, by its schema, or not at all."""

import json
import re
import time

from graph.channels import RunState
from graph.errors import BadReply, BoundReached, MemoryUnavailable
from graph.events import AnswerDelta, AnswerWritten, EventBody, MemoryProposed, Noted
from graph.faults import point
from graph.ports import AnswerTask, CallPiece, Deps, ModelReply
from graph.state import Answer, Citation, Source, StepOutcome, Verdict
from graph.transcript import bodies, memory_of, stopped_by
from graph.turn import log_bound, take_turn
from privacy.placeholder import unfinished

_MOST_SOURCES = 20
_CITED = re.compile(r"\[(\d{1,2})\]")
_FLUSH_CHARACTERS = 240
_FLUSH_SECONDS = 0.15


async def answer(state: RunState, deps: Deps) -> RunState:
    from langchain_core.messages import AIMessage

    if not bodies(deps.events.history, AnswerWritten):
        await _write(state, deps)
    value = bodies(deps.events.history, AnswerWritten)[-1].answer
    message = AIMessage(value.text, id=f"answer-{deps.run_id}")
    return {"answer": value.model_dump(mode="json"), "messages": [message]}


async def remember(state: RunState, deps: Deps) -> RunState:
    """Keeps what the person stated as lasting. A memory that is out of reach is noted and never fails the run."""
    if not bodies(deps.events.history, MemoryProposed):
        try:
            point("memory.proposed")
            items = await deps.memory.propose(state["goal"])
            point("memory.kept")
            if items:
                await deps.events.append(MemoryProposed(items=tuple(item.text for item in items)))
        except MemoryUnavailable as error:
            await deps.events.append(Noted(code=error.code, message=str(error)))
    return {}


async def _write(state: RunState, deps: Deps) -> None:
    task = _task(state, deps)
    deltas = _Deltas(deps)

    def follows(reply: ModelReply) -> tuple[EventBody, ...]:
        point("model.last_chunk")
        if deps.form:
            return (AnswerWritten(answer=_formed(reply, task)),)
        return (*deltas.rest(), AnswerWritten(answer=_answer(reply.text, task, task.stopped)))

    # An answer in a form is told when it is known to be one.
    on_piece = None if deps.form else deltas.add
    try:
        await take_turn(deps, task, reply=deps.form, on_piece=on_piece, follows=follows)
    except BoundReached as error:
        await log_bound(deps, error)
        if deps.form:
            raise
        stopped = stopped_by(deps.events.history)
        text = _without_a_model(task, stopped)
        await deps.events.append(AnswerWritten(answer=_answer(text, task, stopped)))


def _task(state: RunState, deps: Deps) -> AnswerTask:
    outcomes = tuple(StepOutcome.model_validate(o) for o in (state.get("outcomes") or {}).values() if o)
    return AnswerTask(
        goal=state["goal"],
        outcomes=outcomes,
        sources=_distinct(outcomes),
        profile=deps.profile,
        memory=memory_of(deps.events.history),
        verdict=Verdict.model_validate(state["verdict"]) if state.get("verdict") else None,
        stopped=stopped_by(deps.events.history),
    )


def _answer(text: str, task: AnswerTask, stopped: str) -> Answer:
    """Partial when a bound stopped the run or one of its steps, or the critic gave up; the note says which."""
    steps = [f"step {outcome.step_id} {outcome.finding}" for outcome in task.outcomes if outcome.status == "stopped"]
    missed = task.verdict.reasons if task.verdict and task.verdict.decision == "give_up" else ()
    note = "; ".join([stopped, *missed] if stopped else [*steps, *missed])
    return Answer(text=text, sources=_cited(text, task.sources), partial=bool(note), note=note)


def _formed(reply: ModelReply, task: AnswerTask) -> Answer:
    """Its text is JSON, so that no number in it is a citation; it rests on all sources."""
    if not isinstance(reply.parsed, dict):
        told = (
            "the offline model fills a form of one text alone: set ANTHROPIC_API_KEY, OPENAI_API_KEY or TRIREME_ROUTES"
        )
        raise BadReply(f"{reply.model} wrote no answer in the form that was asked for; {told}")
    numbered = tuple(Citation(number=n, **source.model_dump()) for n, source in enumerate(task.sources, 1))
    answer = _answer("", task, task.stopped)
    return answer.model_copy(update={"text": json.dumps(reply.parsed, ensure_ascii=False), "sources": numbered})


def _distinct(outcomes: tuple[StepOutcome, ...]) -> tuple[Source, ...]:
    found = {source.ref: source for outcome in outcomes for source in outcome.sources}
    return tuple(found.values())[:_MOST_SOURCES]


def _cited(text: str, sources: tuple[Source, ...]) -> tuple[Citation, ...]:
    numbers = sorted({int(n) for n in _CITED.findall(text) if 1 <= int(n) <= len(sources)})
    return tuple(Citation(number=n, **sources[n - 1].model_dump()) for n in numbers)


def _without_a_model(task: AnswerTask, stopped: str) -> str:
    numbers = {source.ref: n for n, source in enumerate(task.sources, 1)} if task.profile.cites else {}
    said = f"The run stopped early: {stopped}." + (" What was found until then:" if task.outcomes else "")
    lines = [said]
    for outcome in task.outcomes:
        marks = "".join(f"[{numbers[s.ref]}]" for s in outcome.sources if s.ref in numbers)
        lines.append(f"- {outcome.finding} {marks}".rstrip())
    return task.profile.shaped(["\n".join(lines)])


class _Deltas:
    """Joins a model's small pieces of text into few log events; a placeholder is never cut in two."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._text = ""
        self._begun = False
        self._since = time.monotonic()

    async def add(self, piece: str | CallPiece) -> None:
        if isinstance(piece, CallPiece):
            return
        point("model.chunk")
        self._text += piece
        full = time.monotonic() - self._since >= _FLUSH_SECONDS or len(self._text) >= _FLUSH_CHARACTERS
        if full and (delta := self._delta(unfinished(self._text))):
            await self._deps.events.append(*delta)
            point("answer.flushed")

    def rest(self) -> tuple[AnswerDelta, ...]:
        """What has not been written down yet; empty afterwards."""
        return self._delta(len(self._text))

    def _delta(self, end: int) -> tuple[AnswerDelta, ...]:
        text, self._text, self._since = self._text[:end], self._text[end:], time.monotonic()
        if not text:
            return ()
        begins, self._begun = not self._begun, True
        return (AnswerDelta(text=text, begins=begins),)
