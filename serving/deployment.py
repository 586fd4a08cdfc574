"""One key for every process of a deployment: it seals vault and checkpoints, and the database knows its mark."""

import hmac
from typing import LiteralString

from serving.database import Pool
from serving.errors import SettingsError

_MARK: LiteralString = """
with new as (insert into deployment (key_mark) values (%s) on conflict do nothing returning key_mark)
select key_mark from new union all select key_mark from deployment
"""


async def require_same_key(pool: Pool, key: bytes) -> None:
    """The first process leaves its key's mark. Raises SettingsError in one whose key differs: it could read nothing."""
    mark = hmac.digest(key, b"trireme deployment: mark", "sha256")
    async with pool.connection() as connection:
        row = None
        while row is None:  # none where another process inserts at this very moment
            row = await (await connection.execute(_MARK, (mark,))).fetchone()
    if not hmac.compare_digest(row["key_mark"], mark):
        raise SettingsError(
            "this process has another vault key than the deployment whose database this is",
            "give all its processes the same TRIREME_VAULT_KEY, or the same TRIREME_HOME with its server-vault.key",
        )
