"""What a busy machine keeps from whoever is ready to run: that is in no figure of ours."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_BEAT_S = 0.05


class Pulse:
    """A thread that wakes again and again, and notes by how much too late: it does nothing, so it waited for a core."""

    def __init__(self) -> None:
        self._beats: list[tuple[float, float]] = []
        self._over = threading.Event()

    @contextmanager
    def felt(self) -> Iterator[None]:
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def kept_s(self, since: float, until: float) -> float:
        """Of the time between two times by the clock, what the beats in it were late by."""
        return sum(min(late, at - since) for at, late in self._beats if since < at <= until)

    def _beat(self) -> None:
        due = time.monotonic() + _BEAT_S
        while not self._over.wait(max(0.0, due - time.monotonic())):
            woke = time.monotonic()
            self._beats.append((time.time(), woke - due))
            due = woke + _BEAT_S
