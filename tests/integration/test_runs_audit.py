"""The chain over the log: intact for what was written, and every way to tamper with it is named."""

import pytest

from graph.events import Noted, RunFinished
from serving.errors import BadRequest, LogDamaged, NotFound
from serving.runs.log import AttemptLog
from tests.integration.run_house import House

_LINES = 9


async def written(house: House) -> str:
    """A finished run whose log has 9 lines: created, claimed, six notes, finished."""
    run_id = await house.create()
    claim = await house.claim()
    log = AttemptLog(house.pool, run_id, claim.fence, house.notices)
    await log.append(*(Noted(code="n", message=f"ünd {n}") for n in range(4)))
    await log.append(Noted(code="n", message='{"a" : 1e22}\n'))
    await log.append(Noted(code="n", message="last"))
    await house.queue.leave(claim, "success", RunFinished(status="success"))
    return run_id


def tamper(house: House, run_id: str, *statements: str) -> None:
    """As the database's superuser could: no trigger holds him back."""
    house.execute("alter table run_events disable trigger user")
    try:
        for statement in statements:
            house.execute(statement.replace("RUN", f"'{run_id}'"))
    finally:
        house.execute("alter table run_events enable trigger user")


async def test_a_log_that_was_only_appended_to_is_intact(house: House) -> None:
    run_id = await written(house)
    found = await house.store.audit(run_id)
    assert (found.intact, found.events, found.fault) == (True, _LINES, None)
    assert found.head == (await house.store.get(run_id)).log_head
    assert len(found.head) == 64


async def test_a_head_that_was_kept_earlier_is_still_in_the_log(house: House) -> None:
    run_id = await house.create()
    kept = (await house.store.get(run_id)).log_head
    await house.queue.leave(await house.claim(), "success", RunFinished(status="success"))
    assert (await house.store.audit(run_id, kept)).intact
    assert (await house.store.get(run_id)).log_head != kept


@pytest.mark.parametrize(
    ("fault", "at", "statement"),
    [
        ("changed", 4, 'update run_events set body = \'{"kind":"noted"}\' where run_id = RUN and seq = 4'),
        ("changed", 5, "update run_events set at = at + interval '1 microsecond' where run_id = RUN and seq = 5"),
        ("changed", 3, "update run_events set kind = 'answer_delta' where run_id = RUN and seq = 3"),
        ("changed", 7, "update run_events set body = replace(body::text, '1e22', '1e23')::json where run_id = RUN"),
        ("changed", 1, "update run_events set hash = sha256('') where run_id = RUN and seq = 1"),
        ("missing", 5, "delete from run_events where run_id = RUN and seq = 5"),
        ("missing", 1, "delete from run_events where run_id = RUN and seq = 1"),
        (
            "reordered",
            4,
            "update run_events line set body = other.body from run_events other where line.run_id = RUN "
            "and other.run_id = RUN and line.seq in (4, 6) and other.seq = 10 - line.seq",
        ),
        ("truncated", 8, "delete from run_events where run_id = RUN and seq > 7"),
        ("truncated", 1, "delete from run_events where run_id = RUN"),
        (
            "forged",
            10,
            "insert into run_events (run_id, seq, kind, body, hash) "
            "select run_id, 10, kind, body, sha256(hash) from run_events where run_id = RUN and seq = 9",
        ),
        (
            "forged",
            -1,
            "insert into run_events (run_id, seq, kind, body, hash) "
            "select run_id, -1, kind, body, hash from run_events where run_id = RUN and seq = 1",
        ),
    ],
)
async def test_tampering_is_named_with_its_place(house: House, fault: str, at: int, statement: str) -> None:
    run_id = await written(house)
    tamper(house, run_id, statement)
    found = await house.store.audit(run_id)
    assert (found.intact, found.broken_at, found.fault) == (False, at, fault)
    assert found.events == max(at, 1) - 1, "what stands before it is still proven"
    assert found.message


async def test_two_lines_that_changed_places_are_named(house: House) -> None:
    """Whole rows this time, each with its clock and its hash."""
    run_id = await written(house)
    swap = "update run_events set seq = {} where run_id = RUN and seq = {}"
    tamper(house, run_id, swap.format(99, 4), swap.format(4, 6), swap.format(6, 99))
    found = await house.store.audit(run_id)
    assert (found.broken_at, found.fault) == (4, "reordered")
    assert "6" in found.message


async def test_a_tail_cut_off_together_with_the_runs_row_is_proven_by_the_head_that_was_kept(house: House) -> None:
    run_id = await written(house)
    kept = (await house.store.get(run_id)).log_head
    cut = """update runs set last_seq = 7, log_head = (select hash from run_events where run_id = RUN and seq = 7)
        where run_id = RUN"""
    tamper(house, run_id, "delete from run_events where run_id = RUN and seq > 7", cut)
    assert (await house.store.audit(run_id)).intact, "nothing in the database says otherwise"
    found = await house.store.audit(run_id, kept)
    assert (found.intact, found.fault) == (False, "rewritten")


async def test_a_log_written_anew_as_a_whole_is_proven_by_the_head_that_was_kept(house: House) -> None:
    run_id = await written(house)
    kept = (await house.store.get(run_id)).log_head
    forged = """select append_events(RUN, null, '[{"kind": "run_created"}, {"kind": "run_finished"}]')"""
    start = "update runs set last_seq = 0, log_head = '' where run_id = RUN"
    tamper(house, run_id, "delete from run_events where run_id = RUN", start, forged)
    assert (await house.store.audit(run_id)).intact
    assert (await house.store.audit(run_id, kept)).fault == "rewritten"


async def test_a_chain_computed_anew_without_the_runs_row_is_found(house: House) -> None:
    run_id = await written(house)
    tamper(house, run_id, "update runs set log_head = sha256('') where run_id = RUN")
    assert (await house.store.audit(run_id)).fault == "rewritten"


async def test_a_long_log_is_walked_in_pages(house: House) -> None:
    run_id = await house.create()
    await house.claim()
    house.execute(
        """select append_events(%s, null, (select json_agg(json_build_object('kind', 'noted', 'code', 'n', 'message',
            repeat('x', 2000))) from generate_series(1, 2500)))""",
        run_id,
    )
    found = await house.store.audit(run_id)
    assert (found.intact, found.events) == (True, 2_502)


async def test_what_is_no_head_and_no_run_is_refused(house: House) -> None:
    run_id = await house.create()
    for head in ("x" * 64, "ab", "A" * 64, "\x00"):
        with pytest.raises(BadRequest):
            await house.store.audit(run_id, head)
    with pytest.raises(NotFound):
        await house.store.audit("01a1fd36-0000-7000-8000-000000000000")


async def test_a_line_that_no_longer_reads_is_named(house: House) -> None:
    run_id = await written(house)
    tamper(house, run_id, 'update run_events set body = \'{"kind": "notEd"}\' where run_id = RUN and seq = 4')
    with pytest.raises(LogDamaged, match="line 4 of the log") as damaged:
        await house.store.get(run_id)
    assert f"trireme audit verify {run_id}" in damaged.value.hint
