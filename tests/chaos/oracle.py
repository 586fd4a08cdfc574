"""Compares what callers were told, the log, the ledger and the counter, after every run of a bout has ended."""

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.arena import Arena, rows
from tests.chaos.caller import Told
from tests.chaos.control import begun_where_asked, stands_still, stepped_as_planned
from tests.chaos.counter import arrivals
from tests.chaos.history import History, histories
from tests.chaos.http import Broken, follow, request
from tests.chaos.models import plan_of
from tests.chaos.tools import STAMPS

_BRANCHES = 3
_AT_ONCE, _PATIENCE_S = 8, 10.0
_RUN = re.compile(r"run ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


@dataclass(slots=True)
class Findings:
    """What is wrong, one line each; and what was seen on the way."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    take_overs: list[float] = field(default_factory=list)
    slow_take_overs: int = 0
    recoveries: list[float] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        self.wrong += other.wrong
        self.counts += other.counts
        self.take_overs += other.take_overs
        self.slow_take_overs += other.slow_take_overs
        self.recoveries += other.recoveries


async def judge(arena: Arena, callers: Sequence[Told]) -> Findings:
    found = Findings()
    found.wrong += [f"{told.goal}: {line}" for told in callers if not told.run_id for line in told.faults]
    acknowledged = {told.run_id: told for told in callers if told.run_id}
    known = histories(arena.dsn, list(acknowledged))
    arrived = _by_run(arrivals(arena.arrivals))
    replayed = await _replays(arena, acknowledged.values(), known)
    for run_id, told in acknowledged.items():
        history = known.get(run_id)
        if history is None:
            found.wrong.append(f"run {run_id} was acknowledged and is gone")
            continue
        wrong = [*_wrong(told, history, arrived[run_id]), *_repeats(history, arrived[run_id], found.counts)]
        found.wrong += [f"run {run_id} ({told.goal}): {line}" for line in [*wrong, *replayed.get(run_id, [])]]
        found.counts += _seen(told, history)
    found.wrong += strangers(arena.dsn)
    return found


def _wrong(told: Told, history: History, arrived: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield from told.faults
    yield from _ending(told, history)
    yield from _log(history)
    yield from _shown(told, history)
    yield from _effects(told, history, arrived)
    yield from _decisions(told, history)
    yield from stands_still(history, arrived)
    yield from stepped_as_planned(told, history)
    yield from begun_where_asked(told, history, arrived)


def _seen(told: Told, history: History) -> Counter[str]:
    failures = sum(body["kind"] == "run_finished" and body["status"] == "error" for _, body in history.events)
    told_of = {"runs": 1, "looked": told.looked, "edits": len(told.edits), "forks": told.origin is not None}
    logged = {"events": len(history.events), "pauses": history.kinds.count("run_paused"), "failures": failures}
    return Counter({**told_of, **logged, "interruptions": history.interruptions})


def _by_run(lines: Iterable[dict[str, Any]]) -> defaultdict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        found[line["run"]].append(line)
    return found


def _ending(told: Told, history: History) -> Iterator[str]:
    if not told.ended:
        told_of = {name: history.row[name] for name in ("status", "worker", "lease_until", "attempts", "last_seq")}
        yield f"is lost: it never ended; {told_of}, behind {history.kinds[-4:]}"
    elif told.ended != "success" and not (told.ended == "cancelled" and told.cancelled and not told.resumes):
        yield f"ended as {told.ended}: {history.events[-1][1]}"


def _log(history: History) -> Iterator[str]:
    seqs = [seq for seq, _ in history.events]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"its log has gaps: {seqs}"
    if history.row["last_seq"] != len(seqs):
        yield f"its row says {history.row['last_seq']} events, its log has {len(seqs)}"
    fences = [body["fence"] for _, body in history.events if body["kind"] == "run_claimed"]
    if fences != sorted(set(fences)):
        yield f"its fences don't rise: {fences}"
    ended = history.row["status"] in ("success", "error", "cancelled", "timeout")
    if ended and history.kinds[-1] != "run_finished":
        yield f"it has ended and its log goes on: {history.kinds[-1]}"
    for name, times in history.once().items():
        if times > 1:
            yield f"{name} stands {times} times in its log"


def _shown(told: Told, history: History) -> Iterator[str]:
    missing = set(told.frames) - {seq for seq, _ in history.events}
    if missing:
        yield f"events {sorted(missing)} were shown and are not in the log"


async def _replays(arena: Arena, callers: Iterable[Told], known: Mapping[str, History]) -> dict[str, list[str]]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(told: Told) -> list[str]:
        async with slots:
            return await _replay(arena, told, known[told.run_id])

    ended = [told for told in callers if told.ended and told.run_id in known]
    found = await asyncio.gather(*(one(told) for told in ended))
    return {told.run_id: wrong for told, wrong in zip(ended, found, strict=True)}


async def _replay(arena: Arena, told: Told, history: History) -> list[str]:
    """The whole log, streamed again by any API process, in the same bytes; and its chain of hashes, proven."""
    try:
        port = arena.ports[history.row["last_seq"] % len(arena.ports)]
        again = [frame async for frame in follow(port, told.run_id, 0, _PATIENCE_S)]
        proven = (await request(port, "GET", f"/runs/{told.run_id}/audit", patience_s=_PATIENCE_S)).json()
    except Broken as error:
        return [f"its log can't be replayed: {error}"]
    if not proven["intact"] or proven["events"] != len(history.events):
        return [f"its chain of hashes is broken: {proven}"]
    if [frame.seq for frame in again] != [seq for seq, _ in history.events]:
        return [f"its replay has events {[frame.seq for frame in again]}"]
    other = [frame.seq for frame in again if told.frames.get(frame.seq, frame.data) != frame.data]
    return [f"events {other} are shown in other bytes than before"] if other else []


def _effects(told: Told, history: History, arrived: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Per action: one key, one effect, and the ledger knows."""
    actions: defaultdict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in arrived:
        if line["act"] == "effect":
            actions[line["tool"], line["step"], line["text"]].append(line)
    for (tool, step, text), lines in actions.items():
        about = f"{tool} of {step} ({text})"
        keys = {line["key"] for line in lines}
        if len(keys) > 1:
            yield f"{about} went out under {len(keys)} keys"
        happened = len(lines) if STAMPS[tool] != "honours_key" else sum(not line["repeated"] for line in lines)
        state = history.effects.get(lines[0]["key"])
        if happened > 1 and STAMPS[tool] != "pure":
            yield f"{about} happened {happened} times; the ledger says {state}"
        if state is None or state in ("failed", "proposed", "approved"):
            yield f"{about} happened, and the ledger says {state}"
        elif state == "prepared" and told.ended == "success":
            yield f"{about} happened, and the ledger still says {state}"
        if tool == "stamp_approved" and "approve" not in history.decisions.values():
            yield f"{about} happened without an approval"
    came = {line["key"] for line in arrived if line["act"] == "effect"}
    for key, state in history.effects.items():
        if state == "done" and key not in came and history.tools[key] in STAMPS:
            yield f"the ledger says that {history.tools[key]} is done, and it never arrived"
    if told.ended == "success" and told.kind in ("fan", "asks", "revises"):
        wanted = sum(tool in STAMPS for tool, _ in plan_of(told.kind).values()) + (told.kind == "revises")
        if (stamped := sum(tool in STAMPS for tool in history.tools.values())) != wanted:
            yield f"its ledger has {stamped} effects instead of {wanted}"


def _decisions(told: Told, history: History) -> Iterator[str]:
    taken: defaultdict[str, list[str]] = defaultdict(list)
    for approval_id, decision in told.decided:
        taken[approval_id].append(decision)
    for approval_id, answers in taken.items():
        if len(answers) > 1:
            yield f"approval {approval_id} was decided {len(answers)} times: {answers}"
        elif history.decisions.get(approval_id) != answers[0]:
            yield f"approval {approval_id}: {answers[0]} was acknowledged, {history.decisions.get(approval_id)} stands"


def _repeats(history: History, arrived: Sequence[dict[str, Any]], counts: Counter[str]) -> Iterator[str]:
    """A model's turn is taken again only where an attempt was cut, at most one a branch; a logged one never."""
    turns = [line["turn"] for line in arrived if line["act"] == "model"]
    if "plan_edited" in history.kinds:  # a turn that was cut before the edit is asked for in other words behind it
        turns = [turn.rpartition(" ")[0] for turn in turns]
    made = Counter(turns)
    again = made.total() - len(made)
    counts["turns again"] += again
    if again > history.interruptions * _BRANCHES:
        yield f"{again} model turns were taken again over {history.interruptions} interruptions: {made}"
    logged = history.kinds.count("model_called")
    if made and (logged > len(made) or (logged < len(made) and history.row["status"] == "success")):
        yield f"its log has {logged} model turns, {len(made)} were taken: {made}"


def evidence(arena: Arena, wrong: Iterable[str]) -> str:
    """All that was kept of the runs that these lines name, one JSON object a line."""
    ids = sorted({run_id for line in wrong for run_id in _RUN.findall(line)})
    arrived, found = _by_run(arrivals(arena.arrivals)), list[dict[str, Any]]()
    for run_id, history in histories(arena.dsn, ids).items():
        lines = zip(history.events, history.times, strict=True)
        found += [{"run": run_id, "row": history.row, "effects": history.effects}]
        found += [{"run": run_id, "seq": seq, "at": at, "body": body} for (seq, body), at in lines]
        found += [{"run": run_id, "arrived": line} for line in arrived[run_id]]
    return "".join(json.dumps(line) + "\n" for line in found)


def strangers(dsn: str) -> list[str]:
    """Rows that a process wrote for a run which another one owned; each is told once."""
    query = "delete from chaos_strangers returning application, place, owner, left(row, 300)"
    return [f"{app} wrote to {place} what {owner} owns: {row}" for app, place, owner, row in rows(dsn, query)]
