"""Several subscriptions on one connection, kept in step."""

import asyncio
from typing import Final

_MOST_S: Final = 2.0


class InStep:
    """What they tell goes out in the order of the stream: a client takes the end of a run, whichever subscription tells
    it, for the end of all of them."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}  # by subscription: up to which seq it has told everything
        self._moved = asyncio.Event()

    def reached(self, subscription: str, seq: int) -> None:
        """It begins behind `seq`, or has told everything up to it."""
        self._told[subscription] = seq
        self._moved.set()

    def left(self, subscription: str) -> None:
        self._told.pop(subscription, None)
        self._moved.set()

    async def turn(self, subscription: str, seq: int) -> None:
        """Waits until the others have told what comes before `seq`. For one that stands still nobody waits for long,
        nor again before it has moved."""
        self.reached(subscription, seq - 1)
        try:
            async with asyncio.timeout(_MOST_S):
                while self._behind(seq):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            for other in self._behind(seq):
                self.left(other)

    def _behind(self, seq: int) -> list[str]:
        return [other for other, told in self._told.items() if told < seq - 1]
