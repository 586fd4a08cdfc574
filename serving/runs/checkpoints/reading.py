"""A row of the READ statement back to LangGraph's checkpoint tuple, every part checked against its seal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import ormsgpack
from langgraph.checkpoint.base import CheckpointTuple, PendingWrite

from serving.database import Row
from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.errors import CheckpointRefused
from serving.runs.checkpoints.layout import Apart, Inline, Listed, Stored, mark_of
from serving.runs.checkpoints.place import Place
from serving.runs.checkpoints.seal import Seal


@dataclass(frozen=True, slots=True)
class Loaded:
    """The checkpoint, and where its channels' values lie, so that the next one needn't write them again."""

    tuple: CheckpointTuple
    place: Place
    stored: dict[str, Stored]


class Parts(Protocol):
    """Values and items that checkpoints refer to, by the row of the one that does."""

    def value(self, row: Row, channel: str, version: str) -> Any: ...

    def items(self, row: Row, channel: str, epoch: int, length: int) -> list[Any]: ...


class Reader:
    """Raises CheckpointRefused when a part is missing, was changed, or is another thread's or tenant's."""

    def __init__(self, codec: Codec, seal: Seal) -> None:
        self._codec, self._seal = codec, seal

    def loaded(self, row: Row) -> Loaded:
        place = Place(row["thread_id"], row["namespace"])
        checkpoint, inline, metadata = self._body(row)
        versions, refs = checkpoint["channel_versions"], orjson.loads(row["refs"])
        stored: dict[str, Stored] = {channel: Inline(versions.get(channel), data) for channel, data in inline.items()}
        values = {channel: self._codec.decode(data) for channel, data in inline.items()}
        for channel, data in self._values(row, refs.get("values", {})):
            values[channel], stored[channel] = self._codec.decode(data), Apart(versions.get(channel))
        for channel, (epoch, length) in refs.get("items", {}).items():
            items = self._items(row, channel, length)
            values[channel] = [self._codec.decode(item) for item in items]
            stored[channel] = Listed(versions.get(channel), epoch, tuple(map(mark_of, items)))
        checkpoint["channel_values"] = values
        parent = place.config(row["parent_id"]) if row["parent_id"] else None
        writes = list(self._writes(row))
        return Loaded(
            CheckpointTuple(place.config(row["checkpoint_id"]), checkpoint, metadata, parent, writes), place, stored
        )

    def beside(self, row: Row, parts: Parts) -> CheckpointTuple:
        """Of a row without values and items: those come from `parts`, which other checkpoints have too."""
        place = Place(row["thread_id"], row["namespace"])
        checkpoint, inline, metadata = self._body(row)
        refs = orjson.loads(row["refs"])
        values = {channel: self._codec.decode(data) for channel, data in inline.items()}
        for channel, version in refs.get("values", {}).items():
            values[channel] = parts.value(row, channel, version)
        for channel, (epoch, length) in refs.get("items", {}).items():
            values[channel] = parts.items(row, channel, epoch, length)
        checkpoint["channel_values"] = values
        parent = place.config(row["parent_id"]) if row["parent_id"] else None
        return CheckpointTuple(
            place.config(row["checkpoint_id"]), checkpoint, metadata, parent, list(self._writes(row))
        )

    def value(self, row: Row) -> Any:
        """Of state_values."""
        return self._codec.decode(
            self._seal.open("value", (*_thread(row), row["channel"], row["version"]), row["sealed"])
        )

    def items(self, row: Row) -> list[Any]:
        """Of state_items."""
        place = (*_thread(row), row["channel"], row["epoch"], row["position"], row["items"])
        return [self._codec.decode(item) for item in ormsgpack.unpackb(self._seal.open("items", place, row["sealed"]))]

    def metadata(self, row: Row) -> dict[str, Any]:
        """Of a row that needs no more than the columns of state_checkpoints."""
        return dict(self._body(row)[2])

    def inline(self, row: Row) -> dict[str, Any]:
        """The values that lie in the row itself, by channel."""
        return {channel: self._codec.decode(data) for channel, data in self._body(row)[1].items()}

    def _body(self, row: Row) -> Any:
        place = (row["thread_id"], row["namespace"], row["checkpoint_id"], row["parent_id"], row["run_id"], row["refs"])
        return self._codec.decode(self._seal.open("checkpoint", place, row["sealed"]))

    def _values(self, row: Row, refs: dict[str, str]) -> Iterator[tuple[str, bytes]]:
        found = dict(zip(row["value_channel"] or (), row["value_sealed"] or (), strict=True))
        for channel, version in refs.items():
            if channel not in found:
                raise missing(row, channel)
            yield channel, self._seal.open("value", (*_thread(row), channel, version), found[channel])

    def _items(self, row: Row, channel: str, length: int) -> list[bytes]:
        items: list[bytes] = []
        columns = ("item_channel", "item_epoch", "item_position", "item_items", "item_sealed")
        for of_channel, of_epoch, position, count, sealed in zip(
            *(row[column] or () for column in columns), strict=True
        ):
            if of_channel == channel and position == len(items):
                place = (*_thread(row), channel, of_epoch, position, count)
                items += ormsgpack.unpackb(self._seal.open("items", place, sealed))
        if len(items) != length:
            raise missing(row, channel)
        return items

    def _writes(self, row: Row) -> Iterator[PendingWrite]:
        columns = ("write_task_id", "write_index", "write_channel", "write_task_path", "write_sealed")
        for task_id, index, channel, path, sealed in zip(*(row[column] or () for column in columns), strict=True):
            place = (*_thread(row), row["checkpoint_id"], task_id, index, channel, path)
            yield task_id, channel, self._codec.decode(self._seal.open("write", place, sealed))


def _thread(row: Row) -> tuple[str, str]:
    return row["thread_id"], row["namespace"]


def missing(row: Row, channel: str) -> CheckpointRefused:
    return CheckpointRefused(
        f"checkpoint {row['checkpoint_id']} of thread {row['thread_id']} lacks stored rows of channel {channel}",
        "restore them from a backup, or go on from an earlier checkpoint",
    )
