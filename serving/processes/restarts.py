"""When a process that has ended by itself is started again."""

_LONG_S = 10.0
_LONGEST_PAUSE_S = 30.0


class Restarts:
    """At once; but after 1, 2, 4, ... 30 s while it never lives for 10 s. Times are of one monotonic clock."""

    def __init__(self) -> None:
        self._begun, self._ended = 0.0, 0.0
        self._short_lives = 0

    def begun(self, now: float) -> None:
        self._begun, self._ended = now, 0.0

    def due(self, now: float) -> bool:
        """Asked from when it is seen to have ended until it has begun again."""
        if not self._ended:
            self._ended = now
            self._short_lives = self._short_lives + 1 if now - self._begun < _LONG_S else 0
        return now - self._ended >= self._pause_s()

    def _pause_s(self) -> float:
        return min(2.0 ** (self._short_lives - 2), _LONGEST_PAUSE_S) if self._short_lives > 1 else 0.0
