"""What a run does with memory: recall at its start, propose at its end."""

from memory.item import Item
from memory.proposals import extract
from memory.recall import Recall
from memory.store import Guard, MemoryStore
from privacy.redact import Redacted


class LongTermMemory:
    """The memory of one owner. Raises MemoryUnavailable; a run can go on without it."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._recall = Recall(store)

    async def recall(self, goal: Redacted) -> tuple[Item, ...]:
        """What belongs into the prefix of a run with this goal."""
        return await self._recall.recall(goal)

    async def propose(self, goal: Redacted, source: str, guard: Guard | None = None) -> tuple[Item, ...]:
        """Stores what the person stated as lasting in `goal`; returns what is new or changed.

        It is given nothing but the goal, so neither an answer nor a document can become a memory. Raises what `guard`
        raises, which looks in the writing transaction whether the run still may.
        """
        await self._store.delete_expired()
        return await self._store.remember(extract(goal, source), guard)
