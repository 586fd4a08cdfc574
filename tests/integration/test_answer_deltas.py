"""The answer as it is written: few lines, whole placeholders, and told anew when an attempt is killed in the middle."""

import asyncio
from dataclasses import replace

import pytest

from graph.events import AnswerDelta, EventBody, RunEvent
from graph.ports import ModelCall, ModelReply, OnPiece
from privacy.placeholder import find
from privacy.redact import from_record
from serving.runs.log import AttemptLog
from tests.integration.run_house import House
from tests.integration.scripted_models import ScriptedModels

TEXT = "Write to [EMAIL_12] or [PERSON_S3], as it says in [1]. " * 60


class Typing(ScriptedModels):
    """A writer whose answer comes three characters at a time."""

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        reply = await super().complete(call)
        if on_piece is None:
            return reply
        for at in range(0, len(TEXT), 3):
            await on_piece(TEXT[at : at + 3])
        return replace(reply, text=from_record(TEXT))


class KilledLog(AttemptLog):
    """The attempt's own log; the attempt ends right behind its third piece of the answer."""

    def __init__(self, log: AttemptLog, attempt: "asyncio.Task[None]") -> None:
        self.__dict__.update(log.__dict__)
        self._pieces, self._attempt = 0, attempt

    async def append(self, *bodies: EventBody) -> None:
        await super().append(*bodies)
        self._pieces += sum(isinstance(body, AnswerDelta) for body in bodies)
        if self._pieces == 3:
            self._attempt.cancel()
            await asyncio.sleep(60)


def told(events: list[RunEvent]) -> str:
    """The rule that `AnswerDelta` states, as a reader follows it."""
    text = ""
    for event in events:
        if isinstance(event.body, AnswerDelta):
            text = ("" if event.body.begins else text) + event.body.text
    return text


def deltas(events: list[RunEvent]) -> list[AnswerDelta]:
    return [event.body for event in events if isinstance(event.body, AnswerDelta)]


async def test_an_answer_takes_few_lines_and_no_placeholder_is_cut(house: House) -> None:
    view = await house.finish(Typing())
    events = await house.events(view.run_id)
    pieces = deltas(events)
    assert told(events) == TEXT == view.answer
    assert len(pieces) <= len(TEXT) / 200, "by size; by time it is at most seven a second"
    assert [piece.begins for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert sum(len(list(find(piece.text))) for piece in pieces) == len(list(find(TEXT)))


async def test_after_a_kill_in_the_middle_a_reader_shows_the_text_once(house: House) -> None:
    run_id, models = await house.create(), Typing()
    claim = await house.claim()
    first: asyncio.Task[None] = asyncio.create_task(
        house.executor(models, log=lambda log: KilledLog(log, first)).attempt(claim)
    )
    with pytest.raises(asyncio.CancelledError):
        await first
    half = told(await house.events(run_id))
    assert 0 < len(half) < len(TEXT)
    await house.queue.release(claim)
    await house.executor(models).attempt(await house.claim())
    events = await house.events(run_id)
    assert sum(piece.begins for piece in deltas(events)) == 2
    assert "".join(piece.text for piece in deltas(events)) == half + TEXT
    assert told(events) == TEXT == (await house.store.get(run_id)).answer
