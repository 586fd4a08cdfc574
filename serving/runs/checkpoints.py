"""LangGraph's checkpoints: its own saver on our pool, strict, one saver a run (a shared one serialises all runs)."""

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row

from serving.database import Pool

_LOCK = 0x7472_6972_656D_6501


def saver(pool: Pool) -> AsyncPostgresSaver:
    """Takes only plain JSON and LangChain's messages: any other type in a checkpoint's bytes is refused."""
    return AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))


async def prepare_checkpoints(dsn: str) -> None:
    """Makes or upgrades the saver's tables, one process at a time."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
        await connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        await AsyncPostgresSaver(connection).setup()
