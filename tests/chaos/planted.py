"""Bugs for the tests of the tests: each is planted in a forked process as it starts, over the product as it is.

Every one is a mistake that a system like this one makes easily. `SCENARIOS` says which trouble brings each to light.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.scenarios import (
    ALONE,
    API_KILLED,
    CALM,
    DECIDED,
    FORKED,
    HELD,
    KILLED_BEHIND_AN_EFFECT,
    OVERSLEPT,
    OVERTAKEN,
    PRUNED,
    ROBBED,
    ROBBED_AMID_EFFECTS,
    SLOW_TO_TELL,
    Scenario,
)

_UNLOCKED = """
create or replace function planted_append(run uuid, attempt bigint, bodies json)
    returns table (seq bigint, at timestamptz, body json) language plpgsql as $$
begin
    select coalesce(max(line.seq), 0) into seq from run_events line where line.run_id = run;
    perform pg_sleep(0.02);
    for body in select value from json_array_elements(bodies) loop
        seq := seq + 1;
        at := clock_timestamp();
        insert into run_events (run_id, seq, kind, body, at, hash)
        values (run, planted_append.seq, planted_append.body ->> 'kind', planted_append.body, planted_append.at, '');
        return next;
    end loop;
    update runs set last_seq = planted_append.seq where run_id = run;
end $$
"""


def _module(name: str) -> Any:
    return import_module(f"serving.{name}")


def _reworded(text: str, old: str, new: str) -> str:
    if old not in text:
        raise LookupError(f"nothing to plant the bug in: {old!r} is not there any more")
    return text.replace(old, new)


def events_without_fence() -> None:
    log = _module("runs.log")
    group, alone = (_reworded(text, "owned.fence", "null::bigint") for text in (log._LOG.group, log._LOG.alone))
    log._LOG = replace(log._LOG, group=group, alone=alone)


def checkpoints_without_fence() -> None:
    rows = _module("runs.checkpoints.rows")
    group, alone = (
        _reworded(_reworded(text, "or owned.fence = entry.fence", "or true"), "and status = 'running'", "")
        for text in (rows.CHECKPOINTS.group, rows.CHECKPOINTS.alone)
    )
    rows.CHECKPOINTS = replace(rows.CHECKPOINTS, group=group, alone=alone)


def effects_without_fence() -> None:
    ledger = _module("runs.ledger")
    ledger.OWNED = _reworded(ledger.OWNED, "and fence = %(fence)s and status = 'running'", "")


def taken_over_without_a_new_fence() -> None:
    queue = _module("runs.queue")
    queue._CLAIM = _reworded(queue._CLAIM, "fence = fence + 1", "fence = greatest(fence, 1)")


def let_out_without_its_lock() -> None:
    _module("runs.attempts.in_flight").InFlight.alone = lambda *_: nullcontext(True)


def decided_behind_a_call_in_flight() -> None:
    async def require_ended(*_: Any) -> None:
        """Whoever looked, and whenever, is believed."""

    _module("runs.decisions.store").require_ended = require_ended
    effects = _module("runs.decisions.effects")
    effects._DECIDE = _reworded(effects._DECIDE, "not in_flight and not call_in_flight(key)", "true")


def renewed_after_its_end() -> None:
    heartbeat = _module("runs.attempts.heartbeat")
    heartbeat._BEAT = _reworded(heartbeat._BEAT, "run.lease_until > now() and", "")


def acknowledged_before_the_commit() -> None:
    """The run is written a moment after its caller was told of it."""
    store, view = _module("runs.store"), _module("runs.view")
    kept, shown, new_id = store.RunStore.accept, store.RunStore.get, store.new_id
    later: set[asyncio.Task[Any]] = set()
    coming: dict[str, Any] = {}

    async def accept(self: Any, request: Any, key: str | None = None, asked: Any = None) -> Any:
        run_id, thread_id = new_id(), new_id()

        async def write() -> None:
            await asyncio.sleep(0.3)
            given = iter((run_id, thread_id))
            store.new_id = lambda: next(given, None) or new_id()
            await kept(self, request, key, asked)
            del coming[run_id]

        now, usage = datetime.now(UTC), view.UsageView()
        about = {"run_id": run_id, "thread_id": thread_id, "goal": request.goal, "created_at": now, "usage": usage}
        coming[run_id] = view.RunView(**about, status="pending", phase="queued", last_seq=1, log_head="")
        later.add(asyncio.create_task(write()))
        return run_id, True

    async def get(self: Any, run_id: str) -> Any:
        return coming.get(run_id) or await shown(self, run_id)

    store.RunStore.accept, store.RunStore.get = accept, get


def key_from_position() -> None:
    action: Any = import_module("graph.tools.action")
    places = count(os.getpid() * 1_000)
    kept = action.digest
    action.digest = lambda *parts: kept(*parts, next(places)) if len(parts) == 5 else kept(*parts)


def prepared_is_not_committed() -> None:
    """The ledger hears of an effect when it is done."""
    ledger, effect = _module("runs.ledger").PostgresLedger, import_module("graph.ledger").Effect
    kept_prepare, kept_settle, kept_open = ledger.prepare, ledger.settle, ledger.leave_open
    calls: dict[str, Any] = {}

    async def prepare(self: Any, call: Any) -> Any:
        calls[call.key] = call
        return effect(key=call.key, state="prepared", fresh=True)

    async def settle(self: Any, key: str, *rest: Any) -> None:
        await kept_prepare(self, calls[key])
        await kept_settle(self, key, *rest)

    async def leave_open(self: Any, call: Any, reason: str) -> None:
        await kept_prepare(self, call)
        await kept_open(self, call, reason)

    ledger.prepare, ledger.settle, ledger.leave_open = prepare, settle, leave_open


def status_without_its_event() -> None:
    """A run ends in one transaction, its last line comes in another; the first process dies between them."""
    queue = _module("runs.queue")
    kept, died = queue.Queue._write, Path(os.environ["TRIREME_HOME"]) / "died-between"

    async def write(self: Any, statement: str, claim: Any, bodies: Any, **more: Any) -> None:
        if statement is queue.LEAVE and more["status"] == "success" and not died.exists():
            await kept(self, queue._LEFT + "table run", claim, bodies, **more)
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        await kept(self, statement, claim, bodies, **more)

    queue.Queue._write = write


def seq_without_a_lock() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(1)")
        connection.execute(_UNLOCKED.encode())
    log = _module("runs.log")
    group, alone = (_reworded(text, "append_events", "planted_append") for text in (log._LOG.group, log._LOG.alone))
    log._LOG = replace(log._LOG, group=group, alone=alone)


def decided_twice() -> None:
    approvals = _module("runs.decisions.approvals")
    approvals._DECIDE = _reworded(approvals._DECIDE, "and decision is null", "")


def replayed_from_before() -> None:
    """A resumed stream begins with the line that its reader has already."""
    stream = _module("api.stream")
    kept = stream.read_tail
    seen: set[tuple[str, int]] = set()

    async def read_tail(pool: Any, run_id: str, after: int, most: int) -> Any:
        again = after > 0 and (run_id, after) not in seen
        seen.add((run_id, after))
        return await kept(pool, run_id, after - again, most)

    stream.read_tail = read_tail


def subscribed_after_the_replay() -> None:
    """What is written between the first page and the subscription is shown to nobody."""
    stream = _module("api.stream")
    kept = stream.Tails._give
    joined: set[Any] = set()

    def give(self: Any, run_id: str, readers: Any, page: Any) -> None:
        kept(self, run_id, readers, page)
        for reader in set(readers) - joined:
            joined.add(reader)
            asyncio.get_running_loop().create_task(subscribe(self, run_id, reader))

    async def subscribe(self: Any, run_id: str, reader: Any) -> None:
        reader.after = 1 << 60
        await asyncio.sleep(0.1)
        _, reader.after = (await stream.standings(self._pool, [run_id]))[run_id]

    stream.Tails._give = give


def woken_by_notices_alone() -> None:
    """Nobody polls: a lapsed lease, which sends no notice, is never seen."""
    _module("runs.attempts.worker")._POLL_S = 3_600.0


def pruned_in_pieces() -> None:
    """The mark on a run and the end of its log are commits of their own."""
    pruning = _module("runs.prune").Pruning
    kept = pruning._next_runs

    async def next_runs(self: Any) -> Any:
        self._connection.transaction = nullcontext
        try:
            return await kept(self)
        finally:
            del self._connection.transaction

    pruning._next_runs = next_runs


def pause_forgets_the_cancel() -> None:
    """A run that was cancelled while it came to its pause stands still for ever."""
    queue = _module("runs.queue")
    queue._PAUSE = _reworded(
        queue._PAUSE, "case when cancel_requested then 'pending' else 'interrupted' end", "'interrupted'"
    )


def paused_and_due() -> None:
    """A run stands still and is due: whoever looks next takes it up, and pauses it again."""
    queue = _module("runs.queue")
    queue._PAUSE = _reworded(queue._PAUSE, "run_at = null", "run_at = now()")


def edit_is_not_carried_out() -> None:
    _module("runs.attempts.execute").catch_up = lambda *_: None


def forked_from_its_beginning() -> None:
    branches = _module("runs.checkpoints.branches")
    branches._POINT = _reworded(branches._POINT, "order by log_seq desc, checkpoint_id desc", "order by log_seq")


def forked_without_its_past() -> None:
    """It says which line a fork goes on from, gives it the run's first state, and forgets what was done by then."""
    branches = _module("runs.checkpoints.branches").Branches
    kept = branches.at

    async def at(self: Any, thread_id: str, run_id: str, seq: int) -> Any:
        point, points = await kept(self, thread_id, run_id, seq), await self.points(thread_id, run_id, 100)
        return point and replace(points[0], seq=point.seq)

    async def nothing(*_: Any) -> list[Any]:
        return []

    branches.at, _module("runs.log").read_inherited = at, nothing


SCENARIOS: dict[Callable[[], None], Scenario] = {
    events_without_fence: ROBBED,
    checkpoints_without_fence: ROBBED,
    effects_without_fence: ROBBED_AMID_EFFECTS,
    taken_over_without_a_new_fence: ROBBED,
    let_out_without_its_lock: OVERTAKEN,
    decided_behind_a_call_in_flight: DECIDED,
    renewed_after_its_end: OVERSLEPT,
    acknowledged_before_the_commit: API_KILLED,
    key_from_position: KILLED_BEHIND_AN_EFFECT,
    prepared_is_not_committed: KILLED_BEHIND_AN_EFFECT,
    status_without_its_event: CALM,
    seq_without_a_lock: CALM,
    decided_twice: CALM,
    replayed_from_before: CALM,
    subscribed_after_the_replay: CALM,
    woken_by_notices_alone: ALONE,
    pause_forgets_the_cancel: SLOW_TO_TELL,
    paused_and_due: HELD,
    edit_is_not_carried_out: HELD,
    forked_from_its_beginning: FORKED,
    forked_without_its_past: FORKED,
    pruned_in_pieces: PRUNED,
}
PLANTS = {plant.__name__: plant for plant in SCENARIOS}
