"""Linux's table of processes: what began with some of them, and ending all of that while it may still grow."""

import logging
import os
import signal
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

# pid -> the clock tick in which it began, by which a pid that is used again is told from the one before it.
Processes: TypeAlias = dict[int, int]

_STAGES: Final = ((signal.SIGTERM, 0.4), (signal.SIGKILL, 0.4))
_LOOK_S: Final = 0.04
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    parent: int
    group: int
    session: int
    began: int


def began(pid: int) -> int:
    """Raises OSError when it is gone."""
    return _entry(pid)[1].began


def end(roots: Mapping[int, int]) -> None:
    """SIGTERM, and after a short grace SIGKILL, to `roots`, their descendants, and whoever is in a group or session
    that one of them leads or led. A root that began at 0 has ended. Blocks until all are gone, at most a second."""
    known: Processes = dict(roots)
    for number, patience_s in _STAGES:
        until, told = time.monotonic() + patience_s, set[int]()
        while living := _living(known):
            known |= living
            for pid in living.keys() - told:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told |= living.keys()
            if time.monotonic() > until:
                break
            time.sleep(_LOOK_S)
        else:
            return
    log.warning("action=end_processes outcome=left pids=%s", sorted(living))


def live(roots: Mapping[int, int]) -> bool:
    """Whether one of those is there that `end` would end."""
    return bool(roots and _living(dict(roots)))


def _living(known: Processes) -> Processes:
    table = _table()

    def led(leader: int, entry: _Entry) -> bool:
        return known.get(leader, entry.began + 1) <= entry.began and (
            leader not in table or table[leader].began == known[leader]
        )

    below: defaultdict[int, list[int]] = defaultdict(list)
    for pid, entry in table.items():
        below[entry.parent].append(pid)
    waiting = [
        pid
        for pid, entry in table.items()
        if known.get(pid) == entry.began or led(entry.group, entry) or led(entry.session, entry)
    ]
    found: Processes = {}
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found[pid] = table[pid].began
            waiting += below[pid]
    return found


def _table() -> dict[int, _Entry]:
    """Without those that have ended and only wait for their parent to see it."""
    table: dict[int, _Entry] = {}
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            state, entry = _entry(int(name))
            if state not in "ZX":
                table[int(name)] = entry
    return table


def _entry(pid: int) -> tuple[str, _Entry]:
    """See proc(5), /proc/PID/stat; the name before the last bracket may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return fields[0], _Entry(int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))
