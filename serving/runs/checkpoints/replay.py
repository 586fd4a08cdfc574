"""The history of a thread that has none, written at once: rows go out many at a time, and what was put last is
remembered, for the next superstep goes on from it."""

import asyncio
from typing import Final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_serializable_checkpoint_metadata,
)

from serving.database import Within
from serving.runs.checkpoints.place import Place, place_of
from serving.runs.checkpoints.rows import Entry, parameters
from serving.runs.checkpoints.statements import WRITE_ALONE

_MOST_ENTRIES: Final = 200
_MOST_BYTES: Final = 1 << 20


class Replay:
    def __init__(self, within: Within) -> None:
        self._within, self._entries, self._bytes = within, list[Entry](), 0
        self._last: CheckpointTuple | None = None

    async def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += entry.size
        if len(self._entries) >= _MOST_ENTRIES or self._bytes >= _MOST_BYTES:
            await self.flush()
        else:
            await asyncio.sleep(0)  # others have their turn between supersteps

    async def flush(self) -> None:
        if self._entries:
            async with self._within.connection() as connection:
                await connection.execute(WRITE_ALONE, parameters(self._entries))
            self._entries, self._bytes = [], 0

    def put(self, config: RunnableConfig, place: Place, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> None:
        told, parent = get_serializable_checkpoint_metadata(config, metadata), get_checkpoint_id(config)
        parent_config = place.config(parent) if parent else None
        self._last = CheckpointTuple(place.config(checkpoint["id"]), checkpoint, told, parent_config, [])

    async def last(self, config: RunnableConfig) -> CheckpointTuple | None:
        """None where another one is asked for: all that was put can be read then."""
        id_, last = get_checkpoint_id(config), self._last
        if last and last.config == place_of(config).config(id_ or last.checkpoint["id"]):
            return last
        await self.flush()
        return None
