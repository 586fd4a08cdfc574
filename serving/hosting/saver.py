"""The checkpointer of graphs that aren't ours: any type in their state, and our trouble told from theirs."""

from collections.abc import Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple

from serving.database import Pool, storage
from serving.runs.checkpoints import PostgresSaver
from serving.runs.checkpoints.open_codec import OpenCodec


def hosted_saver(
    pool: Pool, key: bytes, tenant: str, run_id: str | None = None, fence: int | None = None, fresh: bool = False
) -> PostgresSaver:
    """For an attempt; without `run_id` and `fence` for those who read or edit state."""
    how: Any = {"codec": OpenCodec(), "task_results": True, "fresh": fresh}
    return _HostedSaver(pool, run_id, fence, key=key, tenant=tenant, **how)


class _HostedSaver(PostgresSaver):
    """A graph may use Postgres itself: only trouble with ours is StorageLost, which ends the attempt alone."""

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with storage():
            return await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with storage():
            return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        with storage():
            await super().aput_writes(config, writes, task_id, task_path)
