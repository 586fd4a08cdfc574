"""The answer: written for the channel, with numbered sources; composed from the findings when no call is left."""

import re
import time

from graph.channels import RunState
from graph.errors import BoundReached, MemoryUnavailable
from graph.events import AnswerDelta, AnswerWritten, MemoryProposed, Noted
from graph.ports import AnswerTask, Deps
from graph.state import Answer, Citation, Source, StepOutcome, Verdict
from graph.transcript import bodies, memory_of, stopped_by
from graph.turn import log_bound, take_turn

_MOST_SOURCES = 20
_CITED = re.compile(r"\[(\d{1,2})\]")
_FLUSH_CHARACTERS = 240
_FLUSH_SECONDS = 0.15


async def answer(state: RunState, deps: Deps) -> RunState:
    written = bodies(deps.events.history, AnswerWritten)
    value = written[-1].answer if written else await _write(state, deps)
    if not written:
        await deps.events.append(AnswerWritten(answer=value))
    from langchain_core.messages import AIMessage

    message = AIMessage(value.text, id=f"answer-{deps.run_id}")
    return {"answer": value.model_dump(mode="json"), "messages": [message]}


async def remember(state: RunState, deps: Deps) -> RunState:
    """Keeps what the person stated as lasting. A memory that is out of reach is noted and never fails the run."""
    if not bodies(deps.events.history, MemoryProposed):
        try:
            items = await deps.memory.propose(state["goal"])
            if items:
                await deps.events.append(MemoryProposed(items=tuple(item.text for item in items)))
        except MemoryUnavailable as error:
            await deps.events.append(Noted(code=error.code, message=str(error)))
    return {}


async def _write(state: RunState, deps: Deps) -> Answer:
    outcomes = tuple(StepOutcome.model_validate(o) for o in (state.get("outcomes") or {}).values() if o)
    sources = _distinct(outcomes)
    stopped = stopped_by(deps.events.history)
    verdict = Verdict.model_validate(state["verdict"]) if state.get("verdict") else None
    task = AnswerTask(
        goal=state["goal"],
        outcomes=outcomes,
        sources=sources,
        channel=state.get("channel", "api"),
        memory=memory_of(deps.events.history),
        verdict=verdict,
        stopped=stopped,
    )
    deltas = _Deltas(deps)
    try:
        text = (await take_turn(deps, task, on_text=deltas.add)).text
        await deltas.flush()
    except BoundReached as error:
        await log_bound(deps, error)
        stopped = stopped_by(deps.events.history)
        text = _without_a_model(outcomes, sources, stopped)  # type: ignore[assignment]
    open_reasons = "; ".join(verdict.reasons) if verdict and verdict.decision == "give_up" else ""
    note = stopped or open_reasons
    return Answer(text=text, sources=_cited(text, sources), partial=bool(note), note=note)


def _distinct(outcomes: tuple[StepOutcome, ...]) -> tuple[Source, ...]:
    found = {source.ref: source for outcome in outcomes for source in outcome.sources}
    return tuple(found.values())[:_MOST_SOURCES]


def _cited(text: str, sources: tuple[Source, ...]) -> tuple[Citation, ...]:
    numbers = sorted({int(n) for n in _CITED.findall(text) if 1 <= int(n) <= len(sources)})
    return tuple(Citation(number=n, **sources[n - 1].model_dump()) for n in numbers)


def _without_a_model(outcomes: tuple[StepOutcome, ...], sources: tuple[Source, ...], stopped: str) -> str:
    numbers = {source.ref: n for n, source in enumerate(sources, 1)}
    lines = [f"The run stopped early: {stopped}." + (" What was found until then:" if outcomes else "")]
    for outcome in outcomes:
        marks = "".join(f"[{numbers[s.ref]}]" for s in outcome.sources if s.ref in numbers)
        lines.append(f"- {outcome.finding} {marks}".rstrip())
    return "\n".join(lines)


class _Deltas:
    """Joins a model's small pieces of text into few log events."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._pieces: list[str] = []
        self._since = time.monotonic()

    async def add(self, piece: str) -> None:
        self._pieces.append(piece)
        waited = time.monotonic() - self._since
        if waited >= _FLUSH_SECONDS or sum(map(len, self._pieces)) >= _FLUSH_CHARACTERS:
            await self.flush()

    async def flush(self) -> None:
        text, self._pieces, self._since = "".join(self._pieces), [], time.monotonic()
        if text:
            await self._deps.events.append(AnswerDelta(text=text))
