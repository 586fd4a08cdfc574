"""Answers and tools' arguments as they are written: few lines, whole placeholders, told anew after a kill."""

import asyncio
from dataclasses import replace

import orjson
import pytest

from graph.events import AnswerDelta, EventBody, ModelCalled, RunEvent, ToolCallDelta
from graph.ports import CallPiece, ModelCall, ModelReply, OnPiece
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


class Asking(ScriptedModels):
    """A worker whose tools' arguments come `size` characters at a time, `pace` seconds apart."""

    size, pace = 0, 0.0

    async def complete(self, call: ModelCall, on_piece: OnPiece | None = None) -> ModelReply:
        reply = await super().complete(call)
        for index, made in enumerate(reply.tool_calls if on_piece and self.size else ()):
            assert on_piece is not None
            text = orjson.dumps(made.arguments).decode()
            for at in range(0, len(text), self.size):
                await on_piece(CallPiece(index, made.id, made.name, text[at : at + self.size]))
                await asyncio.sleep(self.pace)
        return reply


class CountingLog(AttemptLog):
    """The attempt's own log; `sizes` are of its writes, in lines."""

    def __init__(self, log: AttemptLog, sizes: list[int]) -> None:
        self.__dict__.update(log.__dict__)
        self._sizes = sizes

    async def append(self, *bodies: EventBody) -> None:
        self._sizes.append(len(bodies))
        await super().append(*bodies)


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


async def written(house: House, models: ScriptedModels) -> tuple[list[int], list[RunEvent]]:
    """The sizes of a run's writes, and its log."""
    sizes: list[int] = []
    run_id = await house.create()
    await house.executor(models, log=lambda log: CountingLog(log, sizes)).attempt(await house.claim())
    return sizes, await house.events(run_id)


async def test_arguments_that_come_at_once_cost_a_line_and_no_write(house: House) -> None:
    models = Asking()
    whole, _ = await written(house, models)
    models.size = 1_000
    sizes, events = await written(house, models)
    made = [event.body for event in events if isinstance(event.body, ToolCallDelta)]
    assert len(sizes) == len(whole)
    assert sum(sizes) == sum(whole) + len(made)
    assert [(delta.tool, delta.begins, delta.closes) for delta in made] == [("lookup", True, ""), ("report", True, "")]


async def test_arguments_that_take_their_time_are_seen_before_they_are_whole(house: House) -> None:
    models = Asking()
    models.size, models.pace = 3, 0.04
    _, events = await written(house, models)
    replies = [event.body.tool_calls for event in events if isinstance(event.body, ModelCalled)]
    arguments = {call["id"]: call["arguments"] for calls in replies for call in calls}
    come: dict[str, list[str]] = {}
    for delta in (event.body for event in events if isinstance(event.body, ToolCallDelta)):
        come.setdefault(delta.call_id, []).append(delta.text)
        assert isinstance(orjson.loads("".join(come[delta.call_id]) + delta.closes), dict)
    assert {id_: orjson.loads("".join(pieces)) for id_, pieces in come.items()} == arguments
    assert max(map(len, come.values())) > 2
