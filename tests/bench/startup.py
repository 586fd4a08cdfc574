"""`trireme up`: from the command to the printed addresses, with a new home (initdb) and with one that is there."""

import time
from collections.abc import Iterator
from statistics import median

from tests.acceptance.conftest import Home
from tests.bench.figure import Figure, table
from tests.bench.processes import cpu_seconds
from tests.bench.running import new_home, running

_TIMES = 3


def measure() -> Iterator[Figure]:
    cold, warm = [], []
    for _ in range(_TIMES):
        with new_home() as home:
            cold.append(_seconds(home))
            warm.append(_seconds(home))
    for name, times in (("new home", cold), ("warm home", warm)):
        wall, cpu = median(wall for wall, _ in times), median(cpu for _, cpu in times)
        yield Figure(f"trireme up: {name}", wall, "s", 5, f"{cpu:.1f} s of CPU in all processes, median of {_TIMES}")


def _seconds(home: Home) -> tuple[float, float]:
    """(wall, CPU of everything that was started)."""
    started = time.monotonic()
    with running(home) as stack:
        return time.monotonic() - started, cpu_seconds(stack.pid, home.path)


if __name__ == "__main__":
    print(table(measure()))
