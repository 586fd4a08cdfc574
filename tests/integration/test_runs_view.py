"""What a caller sees of a run is folded from its row and its log alone: usage, cost, cached share, phase."""

import asyncio

import pytest

from graph.errors import BadReply
from graph.events import AnswerDelta, Noted
from graph.ports import ModelCall, ModelReply
from graph.tools.registry import Output, Problem, ToolContext
from serving.runs.history import read_history
from serving.runs.log import AttemptLog
from serving.runs.view import RunView, view_of
from tests.integration.run_house import House, Lookup, Query, until
from tests.integration.scripted_models import (
    ACCEPT,
    TOKENS,
    ScriptedModels,
    Turn,
    finds_and_reports,
    plans,
    revise,
    rules,
    says,
)


async def test_usage_cost_and_cached_share_are_the_sums_of_the_log(house: House) -> None:
    view = await house.finish(ScriptedModels(planner=plans("s1", "s2"), price=0.001))
    calls = 1 + 2 * 2 + 1 + 1
    assert view.usage.model_calls == calls
    assert view.usage.tool_calls == 2
    assert view.usage.input_tokens + view.usage.output_tokens == calls * TOKENS
    assert view.usage.cached_tokens == calls * 30
    assert view.cached_share == pytest.approx(30 / 90, abs=1e-4)
    assert view.cost_usd == pytest.approx(calls * 0.001)
    assert view.model == "scripted"
    assert view.last_seq == len(await house.events(view.run_id))
    assert view.finished_at is not None
    assert view.duration_s == pytest.approx((view.finished_at - view.created_at).total_seconds(), abs=0.001)


async def test_a_run_that_has_done_nothing_yet_shows_zeros(house: House) -> None:
    view = await house.store.get(await house.create())
    assert (view.cost_usd, view.cached_share, view.model, view.plan, view.answer) == (0, 0, "", None, None)
    assert (view.partial, view.steps, view.sources, view.approvals, view.error) == (False, (), (), (), None)
    assert view.usage.model_dump() == dict.fromkeys(view.usage.model_dump(), 0)


async def test_the_answer_cites_only_the_sources_it_names(house: House) -> None:
    view = await house.finish(ScriptedModels(planner=plans("s1", "s2"), writer=says("Only the second: 42 [2].")))
    assert view.answer == "Only the second: 42 [2]."
    assert [(source.number, source.path) for source in view.sources] == [(2, "notes/s2.md")]


async def test_every_attempt_at_a_step_is_shown_and_the_last_verdict(house: House) -> None:
    view = await house.finish(ScriptedModels(critic=rules(revise("s1"), ACCEPT)))
    assert [(step.step_id, step.attempt) for step in view.steps] == [("s1", 1), ("s1", 2)]
    assert view.verdict is not None
    assert view.verdict.decision == "accept"


async def test_an_error_is_shown_until_the_run_is_resumed_and_a_useless_reply_counts(house: House) -> None:
    useless = BadReply("no JSON object for Plan")
    useless.usage = {"input_tokens": 70, "output_tokens": 5, "cost_usd": 0.02}

    async def planner(call: ModelCall) -> ModelReply:
        raise useless

    view = await house.finish(ScriptedModels(planner=planner))
    assert view.error is not None
    assert (view.status, view.phase, view.error.code) == ("error", "error", "bad_reply")
    assert (view.usage.model_calls, view.usage.input_tokens, view.cost_usd) == (1, 70, 0.02)
    assert (await house.controls.resume(view.run_id, by="ops")).error is None


class Watcher:
    """The distinct phases a run went through, as someone sees them who looks often."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def watch(self, house: House, run_id: str, ended: "asyncio.Task[None]") -> list[str]:
        while not ended.done():
            phase = (await house.store.get(run_id)).phase
            if not self.seen or self.seen[-1] != phase:
                self.seen.append(phase)
            await asyncio.sleep(0.002)
        return [*self.seen, (await house.store.get(run_id)).phase]

    def saw(self, phase: str, then: Turn) -> Turn:
        """A turn that is taken when the phase has been seen."""

        async def turn(call: ModelCall) -> ModelReply:
            await until(lambda: phase in self.seen)
            return await then(call)

        return turn


class SeenLookup(Lookup):
    """Its call is over when its phase has been seen."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        self._watcher = watcher

    async def _call(self, arguments: Query, context: ToolContext) -> Output | Problem:
        await until(lambda: "waiting_for_tool" in self._watcher.seen)
        return await super()._call(arguments, context)


async def test_the_phase_follows_the_log(house: House) -> None:
    watcher = Watcher()
    models = ScriptedModels(
        planner=watcher.saw("planning", plans("s1")),
        worker=watcher.saw("waiting_for_model", finds_and_reports),
        critic=rules(ACCEPT),
        writer=says("It is 42 [1]."),
    )
    run_id = await house.create()
    assert (await house.store.get(run_id)).phase == "pending"
    executor = house.executor(models, SeenLookup(watcher))
    attempt = asyncio.create_task(executor.attempt(await house.claim()))
    seen = await watcher.watch(house, run_id, attempt)
    assert seen[0] == "planning"
    assert seen[-1] == "success"
    order = [seen.index(phase) for phase in ("planning", "waiting_for_model", "waiting_for_tool")]
    assert order == sorted(order)
    assert set(seen) <= {"planning", "working", "waiting_for_model", "waiting_for_tool", "success"}


async def test_questions_are_shown_only_while_they_can_be_answered(house: House) -> None:
    run_id = await house.create(review_plan=True)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (view.phase, [approval.approval_id for approval in view.approvals]) == ("waiting_for_human", ["plan-1"])
    assert (await house.controls.cancel(run_id, by="ops")).approvals == ()


async def test_a_log_of_many_pages_is_folded_whole(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    log = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    await log.append(*(Noted(code="n", message=str(n)) for n in range(1_200)))
    await house.queue.release(claim)
    await house.executor(ScriptedModels()).attempt(await house.claim())
    view: RunView = await house.store.get(run_id)
    assert (view.status, view.usage.model_calls) == ("success", 5)


async def test_a_view_is_that_of_the_whole_log_and_passes_over_what_was_said_in_passing(house: House) -> None:
    run_id = await house.create()
    claim = await house.claim()
    log = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    for part in range(3):
        deltas = [AnswerDelta(text=f"{part} {piece}") for piece in range(700)]
        await log.append(*deltas, Noted(code="n", message=str(part)), *deltas)
    row = await house.store.row(run_id)
    assert await house.store.get(run_id) == view_of(row, await read_history(house.pool, run_id))
    lines = (await read_history(house.pool, run_id, row["last_seq"])).own
    assert [line.body.kind for line in lines] == ["run_created", "run_claimed", *["noted"] * 3, "answer_delta"]
    assert (lines[-1].seq, [line.seq for line in lines if line.body.kind == "noted"]) == (4205, [703, 2104, 3505])
