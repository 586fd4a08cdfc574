"""LangGraph's checkpoints: its own saver on our pool, strict and fenced, one an attempt (a shared one blocks all)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row

from graph.errors import FenceLost
from serving.database import Pool

_LOCK = 0x7472_6972_656D_6501
_OWNED: LiteralString = "select 1 from runs where run_id = %s and fence = %s and status = 'running' for share"


class FencedSaver(AsyncPostgresSaver):
    """Writes only while its attempt owns the run, in one transaction with the look at the fence: else FenceLost.

    Takes only plain JSON and LangChain's messages: any other type in a checkpoint's bytes is refused.
    """

    def __init__(self, pool: Pool, run_id: str, fence: int) -> None:
        super().__init__(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        self._pool, self._run_id, self._fence = pool, run_id, fence

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        async with self._owned() as saver:
            return await saver.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        async with self._owned() as saver:
            await saver.aput_writes(config, writes, task_id, task_path)

    @asynccontextmanager
    async def _owned(self) -> AsyncIterator[AsyncPostgresSaver]:
        async with self._pool.connection() as connection, connection.transaction():
            owned = await connection.execute(_OWNED, (self._run_id, self._fence))
            if await owned.fetchone() is None:
                raise FenceLost(f"run {self._run_id}: a newer attempt owns it")
            yield AsyncPostgresSaver(connection, serde=self.serde)


async def prepare_checkpoints(dsn: str) -> None:
    """Makes or upgrades the saver's tables, one process at a time."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        await AsyncPostgresSaver(connection).setup()
