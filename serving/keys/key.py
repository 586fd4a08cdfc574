"""API keys as rows: made, listed and revoked by the deployment's owner. A key itself is shown once and never kept."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, LiteralString

from serving.database import Connection, Row, new_id
from serving.errors import BadRequest, Conflict, NotFound
from serving.keys.identity import SCOPES

_MARK: Final = "trm_"
_SHOWN: Final = len(_MARK) + 8
_TENANT: Final = re.compile(r"[a-zA-Z0-9._-]{1,100}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{0,100}")
_INSERT: LiteralString = """
insert into api_keys (key_id, tenant, digest, prefix, name, scopes, expires_at)
values (%(key_id)s, %(tenant)s, %(digest)s, %(prefix)s, %(name)s, %(scopes)s,
    now() + %(days)s::float8 * interval '1 day')
returning *
"""
_LIST: LiteralString = """
select * from api_keys where %(tenant)s::text is null or tenant = %(tenant)s order by tenant, key_id
"""
_NAMED: LiteralString = "select * from api_keys where key_id::text = %(word)s or prefix = %(word)s for update"
_REVOKE: LiteralString = "update api_keys set revoked_at = now() where key_id = %s returning *"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. `used_at` is to the minute."""

    key_id: str
    tenant: str
    prefix: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def check_tenant(tenant: str) -> None:
    """Raises BadRequest."""
    if not _TENANT.fullmatch(tenant):
        raise BadRequest("a tenant is 1 to 100 letters, digits, '.', '_' and '-'", "--tenant acme", "bad_tenant")


async def create(
    connection: Connection, tenant: str, name: str, scopes: Collection[str], days: float | None
) -> tuple[ApiKey, str]:
    """The new key's row, and the key: 256 random bits, which nobody can show again. Raises BadRequest."""
    check_tenant(tenant)
    if not _NAME.fullmatch(name):
        raise BadRequest("a key's name has at most 100 printable characters", "", "bad_name")
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise BadRequest(f"no scope {unknown[0][:40]!r}", f"scopes are {', '.join(SCOPES)}", "bad_scope")
    key = _MARK + secrets.token_urlsafe(32)
    values = {
        "key_id": new_id(),
        "tenant": tenant,
        "digest": digest(key),
        "prefix": key[:_SHOWN],
        "name": name,
        "scopes": [scope for scope in SCOPES if scope in scopes],
        "days": days,
    }
    row = await (await connection.execute(_INSERT, values)).fetchone()
    assert row is not None
    return _key_of(row), key


async def listed(connection: Connection, tenant: str | None) -> list[ApiKey]:
    """Oldest first by tenant; of one tenant, or of all."""
    rows = await (await connection.execute(_LIST, {"tenant": tenant})).fetchall()
    return [_key_of(row) for row in rows]


async def revoke(connection: Connection, word: str) -> ApiKey:
    """`word`: an id or a prefix. Raises NotFound, Conflict for a key that is revoked, or for two of one prefix."""
    async with connection.transaction():
        found = await (await connection.execute(_NAMED, {"word": word.replace("\x00", "")})).fetchall()
        if not found:
            raise NotFound(f"no API key {word[:60]!r}", "trireme keys list shows ids and prefixes", "key_not_found")
        if len(found) > 1:
            raise Conflict(f"{len(found)} API keys begin with {word}", "name one by its id", "which_key")
        if found[0]["revoked_at"]:
            raise Conflict(f"this key was revoked at {found[0]['revoked_at']:%Y-%m-%d %H:%M} UTC", "", "key_revoked")
        row = await (await connection.execute(_REVOKE, (found[0]["key_id"],))).fetchone()
        assert row is not None
        return _key_of(row)


def _key_of(row: Row) -> ApiKey:
    values = {field.name: row[field.name] for field in fields(ApiKey)}
    return ApiKey(**{**values, "key_id": str(row["key_id"]), "scopes": tuple(row["scopes"])})
