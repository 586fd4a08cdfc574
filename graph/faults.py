"""Named places before and after every commit, send and acknowledge, where a test may break the process.

Off, which is always outside of tests, a place costs one look at a global. `install` is for serving/processes/serve.py,
which takes what to do from TRIREME_FAULTS: `checkpoint.committed:3=kill` kills the process when it comes there a third
time.
"""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

POINTS: Final = (
    # a caller's request, until it is answered
    "accept.received",
    "accept.committed",
    "accept.noticed",
    "decide.locked",
    "decide.committed",
    "effect_decide.locked",
    "effect_decide.committed",
    "resume.locked",
    "resume.committed",
    "cancel.ready",
    "cancel.committed",
    "pause.locked",
    "pause.committed",
    "plan_edit.locked",
    "plan_edit.committed",
    "fork.ready",
    "fork.committed",
    # a worker and the queue
    "claim.ready",
    "claim.committed",
    "heartbeat.ready",
    "heartbeat.committed",
    "cancel.heard",
    "drain.begun",
    "hand_over.ready",
    "hand_over.committed",
    "release.ready",
    "release.committed",
    "cron.ready",
    "cron.committed",
    # an attempt, from its first look to how it leaves its run
    "attempt.loaded",
    "attempt.placed",
    "park.ready",
    "park.committed",
    "paused.ready",
    "paused.committed",
    "finish.ready",
    "finish.committed",
    # what an attempt writes
    "event.ready",
    "event.committed",
    "checkpoint.ready",
    "checkpoint.committed",
    "writes.ready",
    "writes.committed",
    "artifact.ready",
    "artifact.committed",
    "notice.ready",
    "notice.sent",
    # the graph
    "memory.asked",
    "memory.recalled",
    "memory.proposed",
    "memory.kept",
    "plan.logged",
    "fan_out.ready",
    "step.ready",
    "step.started",
    "step.done",
    "step.finished",
    "verdict.logged",
    "answer.flushed",
    # a model's turn
    "budget.reserved",
    "model.sent",
    "model.chunk",
    "model.last_chunk",
    "model.answered",
    "budget.settled",
    # a tool and its effect
    "tool.started",
    "effect.ready",
    "effect.prepared",
    "effect.let_out",
    "effect.done",
    "effect.left_open",
    "effect.recorded",
    "tool.answered",
    # a person
    "interrupt.ready",
    "interrupt.recorded",
    # a stream
    "stream.subscribed",
    "stream.read",
    "stream.written",
    # retention
    "prune.marked",
    "prune.committed",
)

_SPEC: Final = re.compile(
    r"(?P<point>[a-z_.]+)(?::(?P<pass>[1-9]\d*))?=(?P<action>[a-z]+)(?: (?P<seconds>\d+(\.\d+)?))?"
)
_ACTIONS: Final = ("kill", "stop", "exit", "raise", "sleep")

_reached: Callable[[str], None] | None = None


def point(name: str) -> None:
    if _reached is not None:
        _reached(name)


def install(reached: Callable[[str], None] | None) -> None:
    """From now on `reached` is called with the name of each place that the process passes; None ends it."""
    global _reached
    _reached = reached


class Faults:
    """What to do where, as `POINT[:PASS]=kill|stop|exit|raise|sleep SECONDS`, with commas between; for `install`.

    A fault strikes once, at its pass (the first without one). `raise` raises what `error` makes. `sleep` blocks.
    Raises ValueError for a spec that can't be read, or names a place that isn't there.
    """

    def __init__(self, spec: str, error: Callable[[], Exception]) -> None:
        self._at = dict(_parsed(part.strip()) for part in spec.split(","))
        self._passes: Counter[str] = Counter()
        self._error = error

    def __call__(self, name: str) -> None:
        self._passes[name] += 1
        if (fault := self._at.get((name, self._passes[name]))) is None:
            return
        action, seconds = fault
        match action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "exit":
                os._exit(1)
            case "raise":
                raise self._error()
            case "sleep":
                time.sleep(seconds)


def _parsed(part: str) -> tuple[tuple[str, int], tuple[str, float]]:
    """(point, pass) and (action, seconds)."""
    found = _SPEC.fullmatch(part)
    if (
        found is None
        or found["action"] not in _ACTIONS
        or (found["action"] == "sleep") != (found["seconds"] is not None)
    ):
        raise ValueError(f"{part[:80]!r} is no fault: write POINT[:PASS]={'|'.join(_ACTIONS)} SECONDS")
    if found["point"] not in POINTS:
        raise ValueError(f"there is no point {found['point']!r}: graph/faults.py lists them")
    return (found["point"], int(found["pass"] or 1)), (found["action"], float(found["seconds"] or 0))
