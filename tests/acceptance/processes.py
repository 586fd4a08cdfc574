"""What runs on this machine for a home folder, and waiting for it to end."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def processes_of(home: Path) -> dict[int, str]:
    """pid -> command line of every process that has this TRIREME_HOME or one in it, or is its Postgres."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            own = any(f"{line.decode('utf-8', 'replace')}/".startswith(f"TRIREME_HOME={home}/") for line in environment)
            if own or f"{home}/postgres " in command:
                found[int(pid)] = command
    return {pid: command for pid, command in found.items() if pid != os.getpid() and command}


def left_behind(home: Path, *, besides: str = "\0", patience_s: float = 60.0) -> list[str]:
    """The command lines that are still there after a while, without those that hold `besides`."""

    def there() -> list[str]:
        return [command for command in processes_of(home).values() if besides not in command]

    wait_until(lambda: not there(), patience_s)
    return there()


def wait_until(happened: Callable[[], bool], patience_s: float = 90.0) -> bool:
    """Looks every 50 ms; False when it has not happened in time."""
    deadline = time.monotonic() + patience_s
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
