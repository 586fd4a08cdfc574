"""An effect that nobody knows about parks its run; a person decides once, and the run goes on with that."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from graph.errors import StorageLost
from graph.events import RunFinished
from graph.ledger import EffectCall, EffectDecision
from graph.ports import ApprovalDecision
from graph.tools.policy import Policy, Rule
from serving.database import Within
from serving.errors import Conflict, NotFound
from serving.runs.ledger import PostgresLedger
from serving.runs.queue import CANCELLED
from serving.runs.view import RunView
from tests.integration.notifier import CUT, Notifier, executor, goes_on, models, parked
from tests.integration.run_house import House, code_of, gapless, kinds


def said(decision: Any, note: str = "", round: int = 1) -> EffectDecision:
    return EffectDecision(decision=decision, round=round, note=note, by="mia")


def row_of(house: House, key: str) -> tuple[Any, ...]:
    query = "select state, round, decision, decided_by, note, decided_at is not null from effects where key = %s"
    return house.execute(query, key)[0]


async def test_an_unknown_effect_parks_the_run_and_says_what_a_person_must_look_after(house: House) -> None:
    notifier = Notifier([CUT])
    view = await parked(house, notifier)
    (effect,) = view.effects
    assert (effect.tool, effect.step_id, effect.round) == ("notify", "s1", 1)
    assert effect.arguments == {"text": "[EMAIL_1] s1"}
    assert effect.reason == "the mail server broke off while it took the message"
    assert effect.key == notifier.keys[0]
    events = await house.events(view.run_id)
    assert kinds(events)[-2:] == ["effect_unknown", "run_interrupted"]
    assert events[-1].body.model_dump()["effects"] == (effect.key,)
    assert not await house.queue.claim(), "nothing but a person's word sets it going"
    assert gapless(events)


@pytest.mark.parametrize(
    ("decision", "calls", "state", "told"),
    [
        ("happened", 1, "done", '"confirmed":"a person looked: it happened'),
        ("did_not", 1, "failed", '"did_not_happen"'),
        ("retry", 2, "done", '"where":"sent"'),
    ],
)
async def test_the_run_goes_on_with_what_a_person_says(
    house: House, decision: str, calls: int, state: str, told: str
) -> None:
    notifier = Notifier([CUT])
    view = await parked(house, notifier)
    key = view.effects[0].key
    woken = await house.decisions.decide_effect(view.run_id, key, said(decision, "I called them"))
    assert (woken.status, woken.effects) == ("pending", ())
    view = await goes_on(house, view.run_id, notifier)
    assert (view.status, view.effects) == ("success", ())
    assert told in view.steps[0].finding
    assert ("I called them" in view.steps[0].finding) == (decision != "retry")
    assert notifier.keys == [key] * calls
    assert row_of(house, key) == (state, 1 + (decision == "retry"), decision, "mia", "I called them", True)
    (line,) = await house.bodies(view.run_id, "effect_decided")
    assert (line.key, line.decision, line.by, line.note) == (key, decision, "mia", "I called them")
    assert len(await house.bodies(view.run_id, "effect_unknown")) == 1


async def test_a_retry_that_is_cut_again_is_asked_about_again(house: House) -> None:
    notifier = Notifier([CUT, TimeoutError()])
    view = await parked(house, notifier)
    key = view.effects[0].key
    await house.decisions.decide_effect(view.run_id, key, said("retry"))
    view = await goes_on(house, view.run_id, notifier)
    assert (view.status, view.effects[0].round) == ("interrupted", 2)
    assert view.effects[0].reason == "notify did not answer within 60 s"
    for late in (said("retry"), said("happened", round=3)):
        with pytest.raises(Conflict, match="what waits is round 2"):
            await house.decisions.decide_effect(view.run_id, key, late)
    await house.decisions.decide_effect(view.run_id, key, said("did_not", round=2))
    view = await goes_on(house, view.run_id, notifier)
    assert view.status == "success"
    assert notifier.keys == [key, key]
    assert [body.round for body in await house.bodies(view.run_id, "effect_unknown")] == [1, 2]


async def test_an_attempt_that_dies_around_the_call_leaves_it_to_a_person_and_calls_nothing(house: House) -> None:
    notifier = Notifier([None])
    run_id = await house.create()
    claim = await house.claim()
    dying = asyncio.create_task(executor(house, notifier.tool()).attempt(claim))
    await asyncio.wait_for(notifier.called.wait(), 30)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    await house.queue.release(claim)
    view = await goes_on(house, run_id, notifier)
    assert (view.status, len(notifier.keys)) == ("interrupted", 1)
    assert view.effects[0].reason == "notify was interrupted while it ran"


async def test_a_database_that_goes_away_in_a_tool_ends_the_attempt_and_the_run_goes_on(house: House) -> None:
    notifier = Notifier([StorageLost("gone")])
    run_id = await house.create()
    claim = await house.claim()
    await executor(house, notifier.tool(reconcile="honours_key")).attempt(claim)
    view = await house.store.get(run_id)
    assert view.status == "running"
    assert [row[0] for row in house.execute("select state from effects")] == ["prepared"]
    await house.queue.release(claim)
    await executor(house, notifier.tool(reconcile="honours_key")).attempt(await house.claim())
    view = await house.store.get(run_id)
    assert view.status == "success"
    assert len(set(notifier.keys)) == 1
    assert len(notifier.keys) == 2


async def test_two_unknown_effects_of_steps_at_the_same_time_are_decided_one_by_one(house: House) -> None:
    notifier = Notifier([CUT, CUT])
    view = await parked(house, notifier, "s1", "s2")
    first, second = (effect.key for effect in view.effects)
    await house.decisions.decide_effect(view.run_id, second, said("happened"))
    view = await goes_on(house, view.run_id, notifier, "s1", "s2")
    assert view.status == "interrupted"
    assert [effect.key for effect in view.effects] == [first]
    await house.decisions.decide_effect(view.run_id, first, said("did_not"))
    view = await goes_on(house, view.run_id, notifier, "s1", "s2")
    assert view.status == "success"
    assert sorted(notifier.keys) == sorted([first, second])
    assert len(await house.bodies(view.run_id, "effect_unknown")) == 2


async def test_both_are_decided_before_the_run_goes_on(house: House) -> None:
    notifier = Notifier([CUT, CUT])
    view = await parked(house, notifier, "s1", "s2")
    await asyncio.gather(
        *(house.decisions.decide_effect(view.run_id, effect.key, said("happened")) for effect in view.effects)
    )
    view = await goes_on(house, view.run_id, notifier, "s1", "s2")
    assert (view.status, len(notifier.keys)) == ("success", 2)


async def test_what_waits_for_both_an_approval_and_a_word_wakes_for_the_word(house: House) -> None:
    """A step that asks for approval beside one whose effect is unknown."""
    notifier = Notifier([CUT])
    run_id = await house.create()
    whole = executor(house, notifier.tool(), models("s1", "s2"), Policy(rules=(Rule(action="ask"),)))
    await whole.attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (len(view.approvals), view.effects) == (2, ())
    await house.decisions.decide(run_id, view.approvals[0].approval_id, ApprovalDecision(type="approve", by="mia"))
    await whole.attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (len(view.approvals), len(view.effects)) == (1, 1)
    await house.decisions.decide_effect(run_id, view.effects[0].key, said("happened"))
    await whole.attempt(await house.claim())
    view = await house.store.get(run_id)
    assert (len(view.approvals), view.effects) == (1, ())
    await house.decisions.decide(run_id, view.approvals[0].approval_id, ApprovalDecision(type="approve", by="mia"))
    await whole.attempt(await house.claim())
    assert (await house.store.get(run_id)).status == "success"
    assert len(notifier.keys) == 2


async def test_of_many_decisions_at_a_time_one_is_taken(house: House) -> None:
    view = await parked(house, Notifier([CUT]))
    key = view.effects[0].key
    words = ["happened", "did_not", "retry"] * 4
    taken = await asyncio.gather(
        *(house.decisions.decide_effect(view.run_id, key, said(word)) for word in words), return_exceptions=True
    )
    assert sum(isinstance(each, RunView) for each in taken) == 1
    assert {each.code for each in taken if isinstance(each, Conflict)} == {"effect_already_decided"}
    assert len(await house.bodies(view.run_id, "effect_decided")) == 1


async def test_what_cannot_be_decided_is_refused_by_kind_and_changes_nothing(house: House) -> None:
    notifier = Notifier(["sent"])
    done = await house.create()
    await executor(house, notifier.tool()).attempt(await house.claim())
    view = await parked(house, Notifier([CUT]))
    other = await parked(house, Notifier([CUT]))
    key = view.effects[0].key
    decide = house.decisions.decide_effect
    stranger = house.decisions.of(house.store.of("acme"))
    assert await code_of(decide(done, notifier.keys[0], said("retry"))) == "no_decision_pending"
    assert await code_of(decide(other.run_id, key, said("retry")), NotFound) == "effect_not_found"
    assert await code_of(stranger.decide_effect(view.run_id, key, said("retry")), NotFound) == "run_not_found"
    assert row_of(house, key)[0] == "unknown"
    await house.controls.cancel(other.run_id, by="mia")
    gone = other.effects[0].key
    assert await code_of(decide(other.run_id, gone, said("retry"))) == "no_decision_pending"
    assert row_of(house, gone)[0] == "unknown"


async def test_a_run_cancelled_around_a_call_leaves_an_effect_to_look_after(house: House) -> None:
    notifier = Notifier([None])
    run_id = await house.create()
    attempt = asyncio.create_task(executor(house, notifier.tool()).attempt(await house.claim()))
    await notifier.called.wait()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    house.execute("update runs set status = 'pending', lease_until = null where run_id = %s", run_id)
    await house.controls.cancel(run_id, by="mia")
    key = notifier.keys[0]
    assert row_of(house, key)[0] == "unknown"
    (end,) = await house.bodies(run_id, "run_finished")
    assert (end.status, end.effects) == ("cancelled", (key,)), "the log says so"
    view = await house.decisions.decide_effect(run_id, key, said("happened", "it is in their inbox"))
    assert (view.status, row_of(house, key)[0]) == ("cancelled", "done")
    assert (await house.events(run_id))[-1].body.kind == "effect_decided"
    assert gapless(await house.events(run_id))


async def test_a_run_whose_worker_cancels_it_around_a_call_says_what_it_left_open(house: House) -> None:
    notifier = Notifier([None])
    run_id = await house.create()
    work = executor(house, notifier.tool())
    claim = await house.claim()
    attempt = asyncio.create_task(work.attempt(claim))
    await notifier.called.wait()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await work.cancelled(claim)
    (end,) = await house.bodies(run_id, "run_finished")
    assert (end.status, end.effects) == ("cancelled", tuple(notifier.keys))
    assert row_of(house, notifier.keys[0])[0] == "unknown"


async def test_a_run_that_fails_around_a_call_says_so_in_the_statement_that_ends_it(house: House) -> None:
    notifier, run_id = Notifier([None]), await house.create()
    claim = await house.claim()
    attempt = asyncio.create_task(executor(house, notifier.tool()).attempt(claim))
    await notifier.called.wait()
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await house.queue.leave(claim, "error", RunFinished(status="error", code="gave_up", message='ä " {}'))
    (end,) = await house.bodies(run_id, "run_finished")
    assert (end.effects, end.code, end.message) == (tuple(notifier.keys), "gave_up", 'ä " {}')
    (shown,) = (await house.decisions.effects(run_id, "unknown", 10, "")).effects
    assert shown.arguments == {"text": "[EMAIL_1] s1"}, "for the person who is to say what became of it"
    assert (await house.store.audit(run_id)).intact


@pytest.mark.parametrize("ended_by", ["its worker", "a person"])
async def test_a_run_that_ends_while_an_effect_is_being_prepared_names_it(house: House, ended_by: str) -> None:
    """Whoever ends it waits for the run's row, which the prepare holds."""
    run_id, call = await house.create(), EffectCall(key="k", step_id="s1", tool="notify", arguments={})
    claim = await house.claim()
    async with house.pool.connection() as connection, connection.transaction():
        within: Any = Within(connection)
        await PostgresLedger(within, house.calls, run_id, claim.fence).prepare(call)
        if ended_by == "a person":
            await connection.execute(
                "update runs set status = 'pending', lease_until = null where run_id = %s", (run_id,)
            )
            ends: Awaitable[Any] = house.controls.cancel(run_id, by="mia")
        else:
            ends = house.queue.leave(claim, "cancelled", CANCELLED)
        ending = asyncio.ensure_future(ends)
        await house.until_one_waits_for_a_lock()
    await ending
    (end,) = await house.bodies(run_id, "run_finished")
    assert end.effects == ("k",)


async def test_an_effect_that_is_not_unknown_is_not_decided(house: House) -> None:
    """Two effects: one done, one unknown."""
    notifier = Notifier(["sent", CUT])
    view = await parked(house, notifier, "s1", "s2<s1")
    late = house.decisions.decide_effect(view.run_id, notifier.keys[0], said("retry"))
    assert await code_of(late) == "effect_not_unknown"


async def test_effects_are_listed_a_page_at_a_time_and_for_their_tenant_alone(house: House) -> None:
    waiting = [await parked(house, Notifier([CUT]), "s1", "s2<s1") for _ in range(3)]
    await house.create()
    await executor(house, Notifier().tool()).attempt(await house.claim())
    seen: list[str] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        page = await house.decisions.effects(None, "unknown", 2, after)
        seen += [effect.run_id for effect in page.effects]
        after, pages = page.next, pages + 1
    assert seen == [view.run_id for view in reversed(waiting)]
    assert pages == 2
    everything = await house.decisions.effects(None, None, 50, "")
    assert sorted(effect.state for effect in everything.effects) == ["done"] + ["unknown"] * 3
    assert (await house.decisions.of(house.store.of("acme")).effects(None, None, 50, "")).effects == []
    mine = await house.decisions.effects(waiting[0].run_id, None, 50, "")
    assert [effect.run_id for effect in mine.effects] == [waiting[0].run_id]
