"""A run whose attempt is cut behind any line of its log is finished by the next one, and nothing is done twice."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from graph.events import RunEvent
from graph.ports import ModelCall, ModelReply, StepTask
from serving.runs.log import AttemptLog
from tests.integration.run_house import CutLog, House, Lookup, PausedLog, gapless, kinds
from tests.integration.scripted_models import (
    ACCEPT,
    ScriptedModels,
    finds_and_reports,
    plans,
    revise,
    rules,
    which,
    written,
)

GOAL = "Find both parts and their sum"


@dataclass
class Story:
    """What one run did over all its attempts."""

    events: list[RunEvent]
    calls: list[ModelCall]
    asked: list[str]

    def prompts(self) -> dict[str, set[bytes]]:
        """Turn of the run -> the bytes of its prompt, in every attempt that took it."""
        found: dict[str, set[bytes]] = {}
        for call in self.calls:
            found.setdefault(which(call), set()).add(written(call.messages))
        return found


class OneAfterTheOther:
    """The second step reports when the first one has, so that findings come in the same order in every run."""

    def __init__(self) -> None:
        self._under_way: set[str] = set()

    async def __call__(self, call: ModelCall) -> ModelReply:
        assert isinstance(call.task, StepTask)
        step = call.task.step.id
        self._under_way.add(step)
        await asyncio.sleep(0.001)
        while step == "s2" and "s1" in self._under_way:
            await asyncio.sleep(0.001)
        if call.transcript:
            self._under_way.discard(step)
        return await finds_and_reports(call)


def models() -> ScriptedModels:
    """Two steps side by side and one behind them; the critic wants one of them again."""
    return ScriptedModels(
        planner=plans("s1", "s2", "s3<s1,s2"),
        worker=OneAfterTheOther(),
        critic=rules(revise("s2"), ACCEPT),
    )


async def whole(house: House) -> Story:
    scripted, lookup = models(), Lookup()
    view = await house.finish(scripted, lookup, goal=GOAL)
    assert view.status == "success", view.error
    return Story(await house.events(view.run_id), scripted.calls, lookup.asked)


async def cut(house: House, at: int) -> tuple[Story, Counter[str]]:
    """The run with its first attempt cut behind the `at`th append; and the turns that stood in the log by then."""
    scripted, lookup = models(), Lookup(takes_s=0.005)
    run_id = await house.create(goal=GOAL)
    claim = await house.claim()

    def cutting(log: AttemptLog) -> AttemptLog:
        task = asyncio.current_task()
        assert task is not None
        return CutLog(log, at, task)

    first = asyncio.create_task(house.executor(scripted, lookup, cutting).attempt(claim))
    with pytest.raises(asyncio.CancelledError):
        await first
    logged = turns_logged(await house.events(run_id), scripted.calls)
    await house.queue.release(claim)
    await house.executor(scripted, lookup).attempt(await house.claim())
    return Story(await house.events(run_id), scripted.calls, lookup.asked), logged


def turns_logged(events: list[RunEvent], calls: list[ModelCall]) -> Counter[str]:
    """Of the turns that were taken so far, those whose reply is in the log, told apart by role and step."""
    done = Counter(f"{e.body.role} {e.body.step_id}" for e in events if e.body.kind == "model_called")
    found: Counter[str] = Counter()
    for call in calls:
        key = f"{call.task.role} {getattr(getattr(call.task, 'step', None), 'id', '')}"
        if done[key] > 0:
            done[key] -= 1
            found[which(call)] += 1
    return found


async def appends_of_a_whole_run(house: House) -> int:
    counting: list[CutLog] = []

    def counted(log: AttemptLog) -> AttemptLog:
        task = asyncio.current_task()
        assert task is not None
        counting.append(CutLog(log, 10_000, task))
        return counting[0]

    await house.create(goal=GOAL)
    await house.executor(models(), Lookup(), counted).attempt(await house.claim())
    return counting[0].appends


async def test_a_run_is_finished_from_wherever_it_was_cut_and_repeats_nothing(house: House) -> None:
    uncut = await whole(house)
    last = await appends_of_a_whole_run(house)
    assert last > 20
    for at in range(1, last + 1):
        story, logged = await cut(house, at)
        told = f"cut behind append {at} of {last}"
        assert gapless(story.events), told
        assert Counter(kinds(story.events))["run_finished"] == 1, told
        assert kinds(story.events)[-1] == "run_finished"
        assert story.events[-1].body.model_dump()["status"] == "success", told
        again = Counter(which(call) for call in story.calls) - Counter(which(call) for call in uncut.calls)
        assert not again.keys() & logged.keys(), f"{told}: {again} was made again though its reply was logged"
        assert again.total() <= 1, f"{told}: {again}"
        assert {which(call) for call in story.calls} == {which(call) for call in uncut.calls}, told
        assert (Counter(story.asked) - Counter(uncut.asked)).total() <= 1, f"{told}: {story.asked}"
        assert not Counter(uncut.asked) - Counter(story.asked), told
        assert story.prompts() == uncut.prompts(), f"{told}: a prompt's bytes moved over the resume"
        only_once = Counter(kinds(story.events))
        for kind in ("plan_proposed", "memory_recalled", "answer_written"):
            assert only_once[kind] == 1, f"{told}: {kind}"
        assert only_once["verdict_given"] == 2, told
        assert only_once["step_finished"] == 5, told


async def test_a_cut_in_the_middle_of_an_append_leaves_no_half_of_it(house: House) -> None:
    """The statement itself is cancelled: whatever the database made of it, the next attempt reads the same."""
    for delay_ms in (0, 1, 2, 4, 8, 16, 32):
        scripted, lookup = models(), Lookup()
        run_id = await house.create(goal=GOAL)
        claim = await house.claim()
        attempt = asyncio.create_task(house.executor(scripted, lookup).attempt(claim))
        begun = time.monotonic()
        while time.monotonic() - begun < 0.03 + delay_ms / 1000 and not attempt.done():
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.gather(attempt, return_exceptions=True)
        await house.queue.release(claim)
        if (await house.store.get(run_id)).status != "success":
            await house.executor(scripted, lookup).attempt(await house.claim())
        events = await house.events(run_id)
        assert gapless(events)
        assert kinds(events)[-1] == "run_finished"
        assert Counter(kinds(events))["plan_proposed"] == 1
        assert Counter(kinds(events))["step_finished"] == 5


async def test_an_attempt_that_died_behind_the_last_step_of_the_graph_is_closed_by_the_next(house: House) -> None:
    """All checkpoints are written, only `run_finished` is missing."""
    scripted = models()
    run_id = await house.create(goal=GOAL)
    claim = await house.claim()

    class Dies(type(house.queue)):  # type: ignore[misc]
        async def leave(self, *_: object, **__: object) -> None:
            raise asyncio.CancelledError

    executor = house.executor(scripted)
    executor._queue = Dies(house.pool, "dies", 10.0)
    with pytest.raises(asyncio.CancelledError):
        await executor.attempt(claim)
    calls = len(scripted.calls)
    await house.queue.release(claim)
    await house.executor(scripted).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.status, view.answer) == ("success", "It is 42 [1].")
    assert len(scripted.calls) == calls


async def test_a_process_that_was_stopped_and_wakes_behind_another_changes_nothing(house: House) -> None:
    """Behind each of its lines: neither log nor checkpoint, which the thread's next run would take up, may move."""
    for at in range(1, 11):
        logs: list[PausedLog] = []

        def pausing(log: AttemptLog, at: int = at, logs: list[PausedLog] = logs) -> AttemptLog:
            logs.append(PausedLog(log, at))
            return logs[0]

        run_id = await house.create(goal="How much is it?")
        stopped = await house.claim()
        zombie = asyncio.create_task(house.executor(ScriptedModels(), None, pausing).attempt(stopped))
        while not logs:
            await asyncio.sleep(0)
        await asyncio.wait_for(logs[0].reached.wait(), 30)
        await house.queue.release(stopped)
        await house.executor(ScriptedModels()).attempt(await house.claim())
        before = await house.events(run_id)
        logs[0].go_on.set()
        await asyncio.wait_for(zombie, 30)
        assert await house.events(run_id) == before
        models = ScriptedModels()
        thread_id = (await house.store.get(run_id)).thread_id
        await house.finish(models, goal="And in EUR?", thread_id=thread_id)
        said = str(models.calls[0].messages[1].content)
        assert "- How much is it?\n  It is 42 [1]." in said, f"woken behind append {at}"
