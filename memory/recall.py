"""What of memory goes into a prompt's prefix. The same memories and goal give the same bytes."""

from collections.abc import Iterable, Iterator
from typing import Final

from memory.item import Item, Kind
from memory.store import MemoryStore
from privacy.redact import Redacted

MAX_ITEMS: Final = 12
MAX_CHARACTERS: Final = 1_500


class Recall:
    """Chooses what fits: preferences, then the profile, then the notes that are nearest to the goal."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def recall(self, goal: Redacted) -> tuple[Item, ...]:
        """At most `MAX_ITEMS` items of `MAX_CHARACTERS` in all: notes last, otherwise oldest first.

        While everything fits the goal plays no part, so that all of an owner's runs share one prefix.
        """
        items = await self._store.list()
        if not _fits_whole(items):
            near = await self._store.search(goal, len(items))
            notes = (item for item in near if item.kind == "note")
            ranked = (*_newest_first(items, "preference"), *_newest_first(items, "profile"), *notes)
            chosen = set(_fitting(ranked))
            items = tuple(item for item in items if item.id in chosen)
        return tuple(sorted(items, key=lambda item: item.kind == "note"))


def _newest_first(items: tuple[Item, ...], kind: Kind) -> Iterator[Item]:
    return (item for item in reversed(items) if item.kind == kind)


def _fits_whole(items: tuple[Item, ...]) -> bool:
    return len(items) <= MAX_ITEMS and sum(len(item.text) for item in items) <= MAX_CHARACTERS


def _fitting(items: Iterable[Item]) -> Iterator[str]:
    """Ids of the first items that fit in both limits; what is too long for the rest is passed over."""
    count = characters = 0
    for item in items:
        if count < MAX_ITEMS and characters + len(item.text) <= MAX_CHARACTERS:
            count, characters = count + 1, characters + len(item.text)
            yield item.id
