"""What a tenant's messages are signed with (Standard Webhooks, symmetric): kept sealed, shown to the operator."""

import base64
import secrets
from datetime import datetime
from typing import Final, LiteralString

from privacy.sealer import Sealer
from serving.database import Connection

_PREFIX: Final = "whsec_"
_KEEP: LiteralString = "insert into webhook_secrets (tenant, sealed) values (%s, %s) on conflict do nothing"
_READ: LiteralString = """
select sealed, case when changed_at > now() - interval '1 day' then previous end as previous
from webhook_secrets where tenant = %s
"""
_CHANGE: LiteralString = """
update webhook_secrets set previous = sealed, sealed = %s, changed_at = now() where tenant = %s
"""


async def signing_secrets(connection: Connection, sealer: Sealer, tenant: str) -> list[str]:
    """The tenant's secret, made when it has none, and behind it the one before, for a day."""
    bound = _bound_to(tenant)
    row = await (await connection.execute(_READ, (tenant,))).fetchone()
    if row is None:
        await connection.execute(_KEEP, (tenant, sealer.seal(_new(), bound)))
        row = await (await connection.execute(_READ, (tenant,))).fetchone()
    assert row is not None
    return [sealer.open(sealed, bound) for sealed in (row["sealed"], row["previous"]) if sealed]


async def change_secret(connection: Connection, sealer: Sealer, tenant: str) -> None:
    await signing_secrets(connection, sealer, tenant)
    await connection.execute(_CHANGE, (sealer.seal(_new(), _bound_to(tenant)), tenant))


def signed(secrets_: list[str], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """The three headers that Standard Webhooks asks for."""
    from standardwebhooks import Webhook

    signatures = [Webhook(secret).sign(message_id, at, body) for secret in secrets_]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _new() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _bound_to(tenant: str) -> bytes:
    return f"webhook secret of {tenant}".encode()
