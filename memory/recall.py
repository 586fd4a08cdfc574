"""What of memory goes into a prompt's prefix. The same memories and goal give the same bytes."""

from collections.abc import Iterable, Iterator
from typing import Final

from memory.item import Item
from memory.store import MemoryStore
from privacy.redact import Redacted

MAX_ITEMS: Final = 12
MAX_CHARACTERS: Final = 1_500


class Recall:
    """Preferences and profile always, notes when they bear on the goal."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def recall(self, goal: Redacted) -> tuple[Item, ...]:
        """At most `MAX_ITEMS` items of `MAX_CHARACTERS` in all; standing ones first, each group oldest first.

        Standing items don't depend on the goal, so the prefix keeps its bytes from run to run as far as they reach.
        """
        items = await self._store.list()
        near = await self._store.search(goal, MAX_ITEMS) if any(item.kind == "note" for item in items) else ()
        notes = tuple(item for item in near if item.kind == "note")
        chosen = set(_fitting((*_newest_first(items, "preference"), *_newest_first(items, "profile"), *notes)))
        standing = (item for item in items if item.id in chosen and item.kind != "note")
        return (*standing, *(item for item in items if item.id in chosen and item.kind == "note"))


def _newest_first(items: tuple[Item, ...], kind: str) -> Iterator[Item]:
    return (item for item in reversed(items) if item.kind == kind)


def _fitting(items: Iterable[Item]) -> Iterator[str]:
    """Ids of the first items that fit in both limits; what is too long for the rest is passed over."""
    count = characters = 0
    for item in items:
        if count < MAX_ITEMS and characters + len(item.text) <= MAX_CHARACTERS:
            count, characters = count + 1, characters + len(item.text)
            yield item.id
