"""A saver for other threads: in one a sync node invokes a subgraph with the run's saver, or runs a loop that does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from serving.blocking import served_on, wait_for

_INSTEAD: Final = "ainvoke and astream instead of invoke and stream, and the saver's a-methods"
Asked = ParamSpec("Asked")
Result = TypeVar("Result")
Saver = TypeVar("Saver", bound="BlockingSaver")


class BlockingSaver(BaseCheckpointSaver[int]):
    """Made on the loop that its async methods are `at_home` on; these here wait for them from any other thread."""

    def __init__(self, serde: SerializerProtocol) -> None:
        super().__init__(serde=serde)
        self._loop = asyncio.get_running_loop()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return self._wait_for(self.aget_tuple(config))

    def list(self, config: RunnableConfig | None, **asked: Any) -> Iterator[CheckpointTuple]:
        return iter(self._wait_for(_all_of(self.alist(config, **asked))))

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

    async def _from_home(self, found: AsyncIterator[Result]) -> AsyncIterator[Result]:
        """One by one on the own loop, else all at once."""
        if asyncio.get_running_loop() is self._loop:
            async for each in found:
                yield each
        else:
            for each in await served_on(self._loop, _all_of(found)):
                yield each

    def _wait_for(self, asked: Coroutine[Any, Any, Result]) -> Result:
        return wait_for(asked, self._loop, _INSTEAD)


async def _all_of(found: AsyncIterator[Result]) -> Sequence[Result]:
    return [each async for each in found]


def at_home(
    method: Callable[Concatenate[Saver, Asked], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Saver, Asked], Coroutine[Any, Any, Result]]:
    """An async method of a saver that may be awaited on any loop, and runs on the saver's own."""

    @wraps(method)
    async def served(saver: Saver, /, *args: Asked.args, **named: Asked.kwargs) -> Result:
        return await served_on(saver._loop, method(saver, *args, **named))

    return served
