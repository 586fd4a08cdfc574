"""What must hold of a run that a person paused, edited or forked; each yields what is wrong."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos.caller import Told
from tests.chaos.history import History

# What people say while a run stands still.
_SAID = ("plan_edited", "approval_decided", "effect_decided", "bounds_changed", "cancel_requested", "run_resumed")


def stands_still(history: History, arrived: Sequence[dict[str, Any]]) -> Iterator[str]:
    """From its pause on nothing is done in it, until it is resumed or a cancel ends it."""
    paused, cancelled = 0.0, False
    for (seq, body), at in zip(history.events, history.times, strict=True):
        kind = body["kind"]
        cancelled = (cancelled or kind == "cancel_requested") and kind != "run_resumed"
        if paused and not (kind in _SAID or (cancelled and kind in ("run_claimed", "run_finished", "run_paused"))):
            yield f"it stands still, and {kind} follows in line {seq}"
        if paused and (acts := [line for line in arrived if line["act"] == "effect" and paused < line["at"] < at]):
            yield f"it stands still before line {seq}, and {acts} arrive"
        paused = at if kind == "run_paused" or (paused and kind != "run_resumed") else 0.0


def stepped_as_planned(told: Told, history: History) -> Iterator[str]:
    """An edit that was acknowledged stands; each step begins under a plan that has it; and all of the last one end."""
    edited = [_steps(body["plan"]) for body in history.whole if body["kind"] == "plan_edited"]
    for plan in told.edits:
        if _steps(plan) not in edited:
            yield f"an edit was acknowledged and is lost: {sorted(_steps(plan))}; there are {edited}"
    planned: dict[str, str] = {}
    for body in history.whole:
        if body["kind"] in ("plan_proposed", "plan_edited"):
            planned = _steps(body["plan"])
        elif body["kind"] == "step_started" and body["step_id"] not in planned:
            yield f"step {body['step_id']} began, and the plan has {sorted(planned)}"
    ended = {body["outcome"]["step_id"] for body in history.whole if body["kind"] == "step_finished"}
    if told.ended == "success" and (missing := sorted(set(planned) - ended)):
        yield f"its plan has {missing}, which never ended"


def begun_where_asked(told: Told, history: History, arrived: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A fork goes on from its parent's line, and repeats no effect that was done before it."""
    if told.origin is None:
        return
    row, (_, second) = history.row, history.events[1]
    goes_on = (told.origin.run_id, told.origin.seq)
    if (row["forked_from"], row["forked_seq"]) != goes_on or (second.get("run_id"), second.get("seq")) != goes_on:
        yield f"it was to go on from {goes_on}, and goes on from {row['forked_from']} at {row['forked_seq']}: {second}"
    done = _done([body for _, body in history.inherited])
    for line in arrived:
        if line["act"] == "effect" and (line["step"], line["tool"], line["text"]) in done:
            yield f"{line['tool']} of {line['step']} was done before line {told.origin.seq}, and is done again"


def _steps(plan: dict[str, Any]) -> dict[str, str]:
    return {step["id"]: step["goal"] for step in plan["steps"]}


def _done(bodies: Sequence[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(step, tool, text) of the calls that have a result."""
    ended = {(body["step_id"], body["attempt"], body["call_id"]) for body in bodies if body["kind"] == "tool_finished"}
    return {
        (body["step_id"], body["tool"], body["arguments"].get("text", ""))
        for body in bodies
        if body["kind"] == "tool_started" and (body["step_id"], body["attempt"], body["call_id"]) in ended
    }
