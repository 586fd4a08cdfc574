"""A run's log in this process's memory."""

from collections.abc import Sequence
from datetime import UTC, datetime

from graph.events import EventBody, RunEvent


class MemoryLog:
    """Port `Events` without a database: nothing is durable, and there is no newer attempt to lose the fence to."""

    def __init__(self, *bodies: EventBody) -> None:
        self._history: list[RunEvent] = []
        self.note(*bodies)

    @property
    def history(self) -> Sequence[RunEvent]:
        return self._history

    async def append(self, *bodies: EventBody) -> None:
        self.note(*bodies)

    def note(self, *bodies: EventBody) -> None:
        for body in bodies:
            self._history.append(RunEvent(seq=len(self._history) + 1, at=datetime.now(UTC), body=body))
