"""Ids of tool calls: a result is found by them, so they are each step's own."""

from collections.abc import Iterable
from itertools import chain, count


class CallIds:
    """Some servers number tool calls anew in each reply; an id that is `used` is replaced, always by the same one."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = set(used)

    def of(self, id_: str) -> str:
        """Of the reply's next call."""
        new = (f"call_{number}" for number in count(len(self._used)))
        found = next(each for each in chain((id_,), new) if each not in self._used)
        self._used.add(found)
        return found
