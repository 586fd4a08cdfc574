"""The half of a saver that isn't async: a sync node invokes a subgraph in a thread, with the run's saver."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from serving.blocking import wait_for

_INSTEAD: Final = "ainvoke and astream instead of invoke and stream, and the saver's a-methods"
Result = TypeVar("Result")


class BlockingSaver(BaseCheckpointSaver[int]):
    """Made on the loop that its async methods belong to; these here wait for them from any other thread."""

    def __init__(self, serde: SerializerProtocol) -> None:
        super().__init__(serde=serde)
        self._loop = asyncio.get_running_loop()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._wait_for(self.aget_tuple(config))

    def list(self, config: RunnableConfig | None, **asked: Any) -> Iterator[CheckpointTuple]:
        async def all_of_them() -> Sequence[CheckpointTuple]:
            return [found async for found in self.alist(config, **asked)]

        return iter(self._wait_for(all_of_them()))

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return self._wait_for(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self._wait_for(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        self._wait_for(self.adelete_thread(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        self._wait_for(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self._wait_for(self.acopy_thread(source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        self._wait_for(self.aprune(thread_ids, strategy=strategy))

    def _wait_for(self, asked: Coroutine[Any, Any, Result]) -> Result:
        return wait_for(asked, self._loop, _INSTEAD)
