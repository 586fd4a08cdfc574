"""What a stack's processes take, as Linux counts it: CPU seconds and memory of a whole tree, its Postgres included."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_S = 0.1
_CPU_FIELDS = slice(11, 15)  # of what follows the name in /proc/PID/stat: own and reaped children's user and system


@dataclass(slots=True)
class Memory:
    """Peaks in MiB over all processes together: PSS counts a shared page once, RSS once a process."""

    pss: float = 0.0
    rss: float = 0.0


def cpu_seconds(root: int, home: Path) -> float:
    """Of the tree since its start, ended children included as soon as their parent has seen them end."""
    ticks = 0
    for pid in _tree(root, home):
        with suppress(OSError):
            ticks += sum(int(field) for field in _stat(pid)[_CPU_FIELDS])
    return ticks / _TICKS


@contextmanager
def sampled_memory(root: int, home: Path) -> Iterator[Memory]:
    """Looks at the tree every 100 ms while the block runs."""
    peak, ended = Memory(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            sizes = [memory_of(pid) for pid in _tree(root, home)]
            peak.pss = max(peak.pss, sum(pss for pss, _ in sizes))
            peak.rss = max(peak.rss, sum(rss for _, rss in sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()


def memory_of(pid: int) -> tuple[float, float]:
    """(PSS, RSS) of one process, in MiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0.0, 0.0
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return kilobytes.get("Pss", 0) / 1024, kilobytes.get("Rss", 0) / 1024


def _tree(root: int, home: Path) -> list[int]:
    """`root` and all below it, and the same for the Postgres of `home`, which is nobody's child."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, waiting = [], [root, *_postmaster(home)]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def _postmaster(home: Path) -> list[int]:
    try:
        return [int((home / "postgres" / "postmaster.pid").read_text().split("\n")[0])]
    except (OSError, ValueError):
        return []


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
