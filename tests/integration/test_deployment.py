"""All processes of a deployment have one key: one with another could open neither vault nor checkpoints."""

import asyncio

import pytest

from serving.database import open_pool
from serving.deployment import require_same_key
from serving.errors import SettingsError


async def test_a_process_with_another_key_is_told_so(database: str) -> None:
    async with open_pool(database) as pool:
        await asyncio.gather(*(require_same_key(pool, b"k" * 32) for _ in range(5)))
        with pytest.raises(SettingsError, match="TRIREME_VAULT_KEY"):
            await require_same_key(pool, b"other" * 8)
        await require_same_key(pool, b"k" * 32)
        async with pool.connection() as connection:
            rows = await (await connection.execute("select key_mark from deployment")).fetchall()
    assert len(rows) == 1
    assert b"k" * 32 not in rows[0]["key_mark"]
