"""From LangGraph's put calls to sealed rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_serializable_checkpoint_metadata,
)

from serving.runs.checkpoints.codec import Codec
from serving.runs.checkpoints.errors import NotCarried
from serving.runs.checkpoints.layout import Layout, Stored
from serving.runs.checkpoints.place import Place, name
from serving.runs.checkpoints.rows import Entry
from serving.runs.checkpoints.seal import RowKind, Seal
from serving.runs.group import Fence


class Writer:
    """Makes entries for the group commit. Raises NotCarried for values and ids that can't be kept exactly."""

    def __init__(self, codec: Codec, seal: Seal, tenant: str, fence: Fence | None) -> None:
        self._codec, self._seal, self._tenant, self._fence = codec, seal, tenant, fence
        self._layout = Layout(codec)

    def checkpoint(
        self,
        config: RunnableConfig,
        place: Place,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        changed: ChannelVersions,
        before: Mapping[str, Stored],
    ) -> tuple[Entry, dict[str, Stored]]:
        """`before`: where the values of the checkpoint before lie. Returns the rows, and where those of this lie."""
        rest: dict[str, Any] = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        versions = checkpoint["channel_versions"]
        plan = self._layout.plan(checkpoint["channel_values"], versions, changed, before)
        told: dict[str, Any] = dict(get_serializable_checkpoint_metadata(config, metadata))
        entry = Entry(self._fence)
        columns: dict[str, Any] = {
            "checkpoint_id": name(checkpoint["id"], "checkpoint id"),
            "parent_id": config["configurable"].get("checkpoint_id"),
            "run_id": self._run_id(told),
            "refs": orjson.dumps(plan.refs | _replayed(told)).decode(),
        }
        body = self._codec.encode([rest, plan.inline, told])
        entry.checkpoints.append(self._row("checkpoint", place, columns, body))
        for channel, version, data in plan.values:
            entry.values.append(self._row("value", place, {"channel": channel, "version": str(version)}, data))
        for new in plan.items:
            columns = {"channel": new.channel, "epoch": new.epoch, "position": new.position, "items": new.count}
            entry.items.append(self._row("items", place, columns, new.data))
        return entry, plan.stored

    def writes(
        self, place: Place, checkpoint_id: str, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> Entry:
        """Some channels have one place each, such as what a task is resumed with: the last word there counts."""
        entry = Entry(self._fence)
        placed = {WRITES_IDX_MAP.get(write[0], at): write for at, write in enumerate(writes)}
        for index, (channel, value) in placed.items():
            columns = {
                "checkpoint_id": name(checkpoint_id, "checkpoint id"),
                "task_id": name(task_id, "task id"),
                "index": index,
                "channel": name(channel, "channel name"),
                "task_path": name(task_path, "task path", 10_000),
            }
            entry.writes.append(self._row("write", place, columns, self._encoded(channel, value)))
        return entry

    def _encoded(self, channel: str, value: Any) -> bytes:
        try:
            return self._codec.encode(value)
        except NotCarried as error:
            raise error.within(f"write to channel {channel}") from None

    def _run_id(self, metadata: Mapping[str, Any]) -> str | None:
        run_id = metadata.get("run_id") or (self._fence and self._fence.run_id)
        return name(str(run_id), "run id") if run_id else None

    def _row(self, kind: RowKind, place: Place, columns: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        """`columns` in the order in which the reader checks them."""
        sealed = self._seal.close(kind, (place.thread_id, place.namespace, *columns.values()), body)
        return {"tenant": self._tenant, **place.columns, **columns}, sealed


def _replayed(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    """The DeltaChannels whose values are read back from what was written since their last snapshot."""
    channels = metadata.get("counters_since_delta_snapshot")
    return {"replayed": sorted(channels)} if channels else {}
