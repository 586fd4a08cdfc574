"""`trireme keys`: make, list and revoke what callers of the API send. Works on the database itself."""

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from serving.cli.output import aligned, print_json
from serving.cli.owner import owned_database
from serving.errors import BadRequest
from serving.keys.key import ApiKey, create, listed, revoke

_DAYS = re.compile(r"([1-9]\d{0,4})d?")


async def create_key(tenant: str, name: str, scopes: Sequence[str], expires: str | None, json: bool) -> int:
    """The key goes to stdout alone, so that it can be piped to where secrets rest."""
    days = _days(expires) if expires is not None else None
    async with owned_database() as connection:
        made, key = await create(connection, tenant, name, scopes, days)
    if json:
        print_json({"key": key, **asdict(made)})
        return 0
    until = f" until {made.expires_at:%Y-%m-%d}" if made.expires_at else ""
    print(f"for tenant {made.tenant}: {', '.join(made.scopes)}{until}; it is shown only now", file=sys.stderr)
    print(key)
    return 0


async def list_keys(tenant: str | None, json: bool) -> int:
    async with owned_database() as connection:
        keys = await listed(connection, tenant)
    if json:
        print_json([asdict(key) for key in keys])
        return 0
    if not keys:
        print("no keys: only this machine may use the server, and everybody on it may; trireme keys create")
        return 0
    print("\n".join(aligned([("prefix", "tenant", "may", "state", "last used", "name"), *map(_cells, keys)])))
    return 0


async def revoke_key(word: str) -> int:
    async with owned_database() as connection:
        key = await revoke(connection, word)
    print(f"revoked {key.prefix} of tenant {key.tenant}: refused everywhere within 5 seconds")
    return 0


def _days(text: str) -> int:
    if found := _DAYS.fullmatch(text):
        return int(found[1])
    raise BadRequest(f"--expires takes days, as in 90d, not {text[:40]!r}", "leave it out for a key without an end")


def _cells(key: ApiKey) -> tuple[str, ...]:
    used = f"{key.used_at:%Y-%m-%d %H:%M}" if key.used_at else "never"
    return key.prefix, key.tenant, ",".join(key.scopes), _state(key), used, key.name


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    if key.expires_at is None:
        return "valid"
    return f"{'expired' if key.expires_at <= datetime.now(UTC) else 'until'} {key.expires_at:%Y-%m-%d}"
