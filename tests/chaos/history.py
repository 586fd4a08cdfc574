"""What the database says about runs, read by plain SQL, past all of the product's code; and how take-overs went."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.arena import LEASE_S, snapshot
from tests.chaos.zygote import Process

_ONCE = {
    "run_created": (),
    "memory_recalled": (),
    "documents_listed": (),
    "answer_written": (),
    "plan_proposed": ("round",),
    "verdict_given": ("round",),
    "step_started": ("step_id", "attempt"),
    "tool_started": ("step_id", "attempt", "call_id"),
    "tool_finished": ("step_id", "attempt", "call_id"),
    "approval_requested": ("approval_id",),
    "approval_decided": ("approval_id",),
    "effect_unknown": ("key", "round"),
}


@dataclass(slots=True)
class History:
    row: dict[str, Any]
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    effects: dict[str, str] = field(default_factory=dict)  # key -> state
    tools: dict[str, str] = field(default_factory=dict)  # key -> tool
    decisions: dict[str, str] = field(default_factory=dict)
    inherited: list[tuple[int, dict[str, Any]]] = field(default_factory=list)  # of a fork

    @property
    def whole(self) -> list[dict[str, Any]]:
        """All that the run goes on from."""
        return [body for _, body in [*self.inherited, *self.events]]

    @property
    def kinds(self) -> list[str]:
        return [body["kind"] for _, body in self.events]

    @property
    def interruptions(self) -> int:
        """How many attempts were cut, by a death, a lost lease, a failure or a cancel, and followed by another one."""
        cut, found = False, 0
        for _, body in self.events:
            if body["kind"] == "run_claimed":
                found, cut = found + cut, True
            elif body["kind"] in ("run_interrupted", "run_paused"):
                cut = False
        return found

    def once(self) -> Counter[str]:
        """How often that which may stand in a log once stands there."""
        found: Counter[str] = Counter()
        for body in self.whole:
            if body["kind"] in _ONCE:
                found[" ".join([body["kind"], *(str(body[name]) for name in _ONCE[body["kind"]])])] += 1
            elif body["kind"] == "step_finished":
                found[f"step_finished {body['outcome']['step_id']} {body['outcome']['attempt']}"] += 1
        return found


def histories(dsn: str, run_ids: Sequence[str]) -> dict[str, History]:
    with snapshot(dsn) as read:
        return _read(read, list(run_ids))


def _read(read: Callable[..., list[tuple[Any, ...]]], ids: list[str]) -> dict[str, History]:
    query = "select run_id::text, to_json(runs) from runs where run_id = any(%s::uuid[])"
    found = {run_id: History(row) for run_id, row in read(query, ids)}
    query = """select run_id::text, seq, body, extract(epoch from at)::float8 from run_events
        where run_id = any(%s::uuid[]) order by run_id, seq"""
    for run_id, seq, body, at in read(query, ids):
        found[run_id].events.append((seq, body))
        found[run_id].times.append(at)
    for history in found.values():
        if parent := found.get(history.row["forked_from"]):
            lines = (line for line in parent.events if line[0] <= history.row["forked_seq"])
            history.inherited = [line for line in lines if line[1]["kind"] != "run_created"]
    query = "select run_id::text, key, state, tool from effects where run_id = any(%s::uuid[])"
    for run_id, key, state, tool in read(query, ids):
        found[run_id].effects[key], found[run_id].tools[key] = state, tool
    query = """select run_id::text, approval_id, decision ->> 'type' from approvals
        where run_id = any(%s::uuid[]) and decision is not null"""
    for run_id, approval_id, decision in read(query, ids):
        found[run_id].decisions[approval_id] = decision
    return found


def take_overs(known: Iterable[History], processes: Iterable[Process]) -> list[tuple[float, float]]:
    """From when to when: a worker's death, or stop, and the next claim of a run it had; where another one stood by."""
    workers = [process for process in processes if process.kind == "worker"]
    fell: defaultdict[int, list[float]] = defaultdict(list)
    for process in workers:
        fell[process.pid] += [*process.stops, *([process.ended] if process.ended and process.code == -9 else [])]
    found = []
    for history in known:
        for pid, begun, ended in _tenures(history):
            died = min((at for at in fell[pid] if begun < at < ended), default=None)
            if died and any(_stood_by(other, died) for other in workers if other.pid != pid):
                found.append((died, ended))
    return found


def _tenures(history: History) -> Iterator[tuple[int, float, float]]:
    """(pid, from, to) of each attempt that another claim ended."""
    current: tuple[int, float] | None = None
    for (_, body), at in zip(history.events, history.times, strict=True):
        if body["kind"] in ("run_interrupted", "run_paused", "run_handed_over", "run_finished"):
            current = None
        elif body["kind"] == "run_claimed":
            if current:
                yield (*current, at)
            current = int(body["worker"].rsplit("-", 2)[1]), at


def _stood_by(process: Process, since: float) -> bool:
    """It had come up well before, and neither died nor stopped within the time that a take-over may need."""
    until = since + LEASE_S + 1.0
    troubled = any(since - LEASE_S < at < until for at in process.stops)
    return process.begun < since - 0.5 and (process.ended is None or process.ended > until) and not troubled
